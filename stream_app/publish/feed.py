"""Sends the events and ticks of a log at a given pace and reports progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event as Flag
from typing import Final

from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.units import micros
from stream_app.publish.pace import Pace
from stream_app.publish.sender import Sender

_OPENING_SECONDS: Final = 0.5  # far longer than a fetch takes for a consumer at the end of the topics


@dataclass
class Summary:
    """Progress of a publication."""

    events: int = 0  # processed events of the log
    ticks: int = 0  # processed ticks; each is a record in every partition
    sent: int = 0  # records
    skipped: int = 0  # records sent by an earlier run
    seconds: float = 0.0  # spent publishing, without the first pass over the log
    rejected: int = 0  # lines that are unreadable or have a time in the future
    total: int = 0  # events in the log
    unknown_words: dict[str, dict[str, int]] = field(default_factory=dict)  # see LogSummary
    until: datetime | None = None  # event time
    finished: bool = False

    @property
    def place(self) -> int:
        """Place in the stream of the last processed event or tick."""
        return self.events + self.ticks


class Feed:
    """Sends a stream of events and ticks. Records sent by an earlier run are skipped without waiting.

    Args:
        sender: sends the records that no earlier run has sent.
        pace: pace of the feed.
        partitions: number of partitions of every topic.
        on_step: called with the progress after each step.
        stop: flag that stops the feed in an orderly way.
        check: called after each tick and while the feed waits; may raise an exception to end the feed.
    """

    def __init__(
        self,
        sender: Sender,
        pace: Pace,
        partitions: int,
        on_step: Callable[[Summary], object],
        stop: Flag,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self.summary = Summary()
        self._sender, self._pace, self._partitions = sender, pace, partitions
        self._on_step, self._stop, self._check = on_step, stop, check

    def go(self, steps: Iterable[Sequence[Event] | Tick]) -> None:
        """Send the stream until its end or until stopped. Raises NotDelivered."""
        summary, started = self.summary, time.monotonic()
        try:
            for step in steps:
                if self._stop.is_set():
                    break
                if isinstance(step, Tick):
                    self._tick(step)
                elif self._pace.flat_out or summary.place + len(step) <= self._sender.resumes_after:
                    self._events(step)
                else:
                    self._paced(step)
                summary.seconds = time.monotonic() - started
                self._on_step(summary)
            self._sender.flush()
        except BaseException:
            self._sender.abandon()
            raise
        summary.finished = not self._stop.is_set()
        summary.seconds = time.monotonic() - started
        summary.sent = sum(self._sender.counts().values())
        summary.skipped = summary.events + summary.ticks * self._partitions - summary.sent

    def _events(self, events: Sequence[Event]) -> None:
        self._sender.events(events, self.summary.place + 1)
        self.summary.events += len(events)
        self.summary.until = events[-1].occurred_at

    def _paced(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.summary.place >= self._sender.resumes_after:
                self._pace.wait(event.at, self._meanwhile)
            if self._stop.is_set():
                return
            self._events([event])

    def _tick(self, tick: Tick) -> None:
        if not self._pace.flat_out and self.summary.place >= self._sender.resumes_after:
            self._pace.wait(micros(tick.occurred_at), self._meanwhile)
            if self._stop.is_set():
                return
            # A consumer at the end of the topics must not read a tick before the events that precede it.
            self._sender.flush()
        self._sender.tick(tick, self.summary.place + 1)
        if not self.summary.place and not self._sender.resumes_after:
            # Consumers must read the first tick before the first event: from then on they wait for ticks.
            self._sender.flush()
            self._stop.wait(_OPENING_SECONDS)
        self.summary.ticks += 1
        self.summary.until = tick.occurred_at
        self._check()

    def _meanwhile(self) -> None:
        self._sender.serve()
        self._check()
