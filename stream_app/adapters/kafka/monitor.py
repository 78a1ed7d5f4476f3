"""Looks every few seconds whether Kafka answers, and whether it has what our consumer has not brought."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from stream_app.adapters.kafka.end_offsets import Place
from stream_app.core.stall import Progress
from stream_app.errors import NoBroker, OtherTopic

LOOK_SECONDS: Final = 2.0
_log = structlog.stdlib.get_logger(__name__)
Ends = Callable[[Collection[Place]], Mapping[Place, int]]


class KafkaMonitor:
    """A second opinion beside a consumer, from a thread and a client of its own.

    A consumer that has gone silent looks like one for which there is nothing: it hears neither of new records nor of a
    broker that is gone.

    Args:
        ends: asks Kafka where partitions end; raises NoBroker.
        away_after: seconds without an answer after which Kafka counts as away.
        every: seconds between two looks.
        clock: seconds that never go back.
        gone: tells which topics are gone; raises OtherTopic if one was created again, and NoBroker.

    >>> monitor = KafkaMonitor(lambda places: dict.fromkeys(places, 9), away_after=10, clock=lambda: 0.0)
    >>> monitor.note({("shop.alerts", 0): 7})
    >>> monitor.look()
    >>> monitor.progress.lag, monitor.away
    (2, False)
    """

    def __init__(
        self,
        ends: Ends,
        away_after: float,
        every: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        gone: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.gone_topics: Sequence[str] = ()
        self.other_topic: OtherTopic | None = None  # a topic is not the one that was read before
        self._gone = gone
        self._ask, self._away_after, self._every, self._clock = ends, away_after, every, clock
        self._answered = clock()
        self._standing: Mapping[Place, int] = {}
        self._ends: Mapping[Place, int] = {}
        self._told = False
        self.problem = ""  # why the last question was not answered, if Kafka has said why
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Does not wait for an answer that is under way."""
        self._stopped.set()

    def note(self, standing: Mapping[Place, int]) -> None:
        """Tell where the consumer stands, of each partition of which more is wanted."""
        self._standing = standing

    @property
    def silent_seconds(self) -> float:
        """Time since Kafka's last answer."""
        return self._clock() - self._answered

    @property
    def away(self) -> bool:
        """Whether Kafka has not answered for too long: nobody's fault here."""
        return self.silent_seconds > self._away_after

    @property
    def progress(self) -> Progress:
        """How far the consumer is, for a watchdog: records that Kafka has and the consumer has not brought wait."""
        standing, ends = self._standing, self._ends
        lag = sum(max(ends.get(place, 0) - position, 0) for place, position in standing.items())
        return Progress(position=tuple(sorted(standing.items())), lag=lag, waiting=self.away)

    def excused(self, progress: Progress) -> Progress:
        """A progress as it is while Kafka is away: whoever stands still then waits for it."""
        return replace(progress, waiting=progress.waiting or self.away)

    def look(self) -> None:
        """Ask once."""
        try:
            self._ends = self._ask(self._standing)
            self._answered = self._clock()
            self.problem = ""
            self.gone_topics = self._gone()
        except OtherTopic as error:
            self.other_topic = error
        except NoBroker as error:
            self.problem = str(error)
            if self.away and not self._told:
                self._told = True
                _log.warning("Kafka does not answer", seconds=round(self.silent_seconds), problem=str(error))
            return
        if self._told:
            self._told = False
            _log.warning("Kafka answers again")

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - without this thread Kafka would be away, and every stall excused, for ever
                _log.exception("a look at Kafka failed")
