"""Lag monitor: checks every few seconds that Kafka answers and that the consumer receives what Kafka has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from stream_app.adapters.kafka.admin import Partition
from stream_app.core.stall import Progress
from stream_app.errors import NoBroker, OtherTopic

CHECK_SECONDS: Final = 2.0
_log = structlog.stdlib.get_logger(__name__)


class KafkaMonitor(threading.Thread):
    """Checks a consumer independently, in a separate thread with its own client.

    A stuck consumer looks like an idle one: it receives no records and does not notice that a broker is lost.

    Args:
        ends: returns the next offsets of partitions; raises NoBroker.
        away_after: seconds without an answer after which Kafka counts as unavailable.
        every: seconds between two checks.
        clock: returns monotonic seconds.
        gone: returns the topics that have been deleted; raises OtherTopic if one was recreated, and NoBroker.

    >>> monitor = KafkaMonitor(lambda partitions: dict.fromkeys(partitions, 9), away_after=10, clock=lambda: 0.0)
    >>> monitor.positions = {("shop.alerts", 0): 7}
    >>> monitor.check()
    >>> monitor.progress.lag, monitor.away
    (2, False)
    """

    def __init__(
        self,
        ends: Callable[[Collection[Partition]], Mapping[Partition, int]],
        away_after: float,
        every: float = CHECK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        gone: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        super().__init__(name="kafka-monitor", daemon=True)
        self.gone_topics: Sequence[str] = ()
        self.other_topic: OtherTopic | None = None  # error if a topic was recreated
        self.problem = ""  # reason why the last check failed, if known
        self._gone = gone
        self._read_ends, self._away_after, self._every, self._clock = ends, away_after, every, clock
        self._answered = clock()
        self.positions: Mapping[Partition, int] = {}  # of the consumer, in the partitions that it is fetching
        self._ends: Mapping[Partition, int] = {}
        self._reported = False
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop checking, without waiting for a check in progress."""
        self._stopped.set()

    @property
    def silent_seconds(self) -> float:
        """Seconds since Kafka's last answer."""
        return self._clock() - self._answered

    @property
    def away(self) -> bool:
        """Whether Kafka counts as unavailable."""
        return self.silent_seconds > self._away_after

    @property
    def progress(self) -> Progress:
        """Progress of the consumer, for a watchdog. The lag is the number of records in Kafka not received yet."""
        positions, ends = self.positions, self._ends
        lag = sum(max(ends.get(partition, 0) - position, 0) for partition, position in positions.items())
        return Progress(position=tuple(sorted(positions.items())), lag=lag, waiting=self.away)

    def excused(self, progress: Progress) -> Progress:
        """Return the progress, marked as waiting while Kafka is unavailable."""
        return replace(progress, waiting=progress.waiting or self.away)

    def check(self) -> None:
        """Run one check."""
        try:
            self._ends = self._read_ends(self.positions)
            self._answered = self._clock()
            self.problem = ""
            self.gone_topics = self._gone()
        except OtherTopic as error:
            self.other_topic = error
        except NoBroker as error:
            self.problem = str(error)
            if self.away and not self._reported:
                self._reported = True
                _log.warning("Kafka is unavailable", seconds=round(self.silent_seconds), problem=str(error))
            return
        if self._reported:
            self._reported = False
            _log.warning("Kafka is available again")

    def run(self) -> None:
        """Check until stopped."""
        while not self._stopped.wait(self._every):
            try:
                self.check()
            except Exception:  # noqa: BLE001 - without this thread, Kafka would count as unavailable from then on
                _log.exception("Kafka check failed")
