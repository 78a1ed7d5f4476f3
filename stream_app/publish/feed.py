"""Sends a stream of events and ticks, each when its time has come, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event as Flag
from typing import Final, Protocol

from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.publish.sender import Sender

_OPENING_SECONDS: Final = 0.5  # far longer than a fetch of a reader at the head


@dataclass
class Summary:
    """How far a publication has come."""

    events: int = 0  # of the log, passed so far
    ticks: int = 0  # moments passed so far; each is a record in every partition
    sent: int = 0  # records
    skipped: int = 0  # records that an earlier run had sent
    seconds: float = 0.0  # of publishing; reading the log for the first time is not in it
    rejected: int = 0  # lines that could not be read, or lie in the future
    total: int = 0  # events of the log
    unknown_words: dict[str, dict[str, int]] = field(default_factory=dict)  # as in LogSummary
    until: datetime | None = None  # the log's time
    finished: bool = False

    @property
    def place(self) -> int:
        """Events and ticks so far: the place of the last record in the stream."""
        return self.events + self.ticks


class Listener:
    """Told of how far a feed is; this one says nothing."""

    def publishing(self, summary: Summary) -> None:
        """Records are being sent."""


class Clock(Protocol):
    """When an instant of the stream may be sent."""

    flat_out: bool  # at once, all of them

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Return when an instant (microseconds) has come, or when all is to stop; calls `meanwhile` now and then."""
        ...


class Feed:
    """The loop over a stream. What an earlier run has sent is passed over without waiting.

    Args:
        sender: knows what has been sent.
        pace: when an instant may be sent.
        partitions: of every topic.
        listener: is told after each step.
        stop: ends it early, and in order.
        look: called after each tick and while the feed waits; it may raise to end the feed.
    """

    def __init__(
        self,
        sender: Sender,
        pace: Clock,
        partitions: int,
        listener: Listener,
        stop: Flag,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self.summary = Summary()
        self._sender, self._pace, self._partitions = sender, pace, partitions
        self._listener, self._stop, self._look = listener, stop, look

    def go(self, steps: Iterable[Sequence[Event] | Tick]) -> None:
        """Send everything, or as much as there is time for; raises NotDelivered, with nothing left half sent."""
        try:
            self._go(steps)
        except BaseException:
            self._sender.abandon()
            raise

    def _go(self, steps: Iterable[Sequence[Event] | Tick]) -> None:
        summary, started = self.summary, time.monotonic()
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
            self._listener.publishing(summary)
        self._sender.flush()
        summary.finished = not self._stop.is_set()
        summary.seconds = time.monotonic() - started
        summary.sent = sum(self._sender.counts().values())
        summary.skipped = summary.events + summary.ticks * self._partitions - summary.sent

    def _events(self, events: Sequence[Event]) -> None:
        self._sender.events(events, self.summary.place + 1)
        self.summary.events += len(events)
        self.summary.until = events[-1].occurred_at

    def _paced(self, events: Sequence[Event]) -> None:
        """Each event when its time has come."""
        for event in events:
            if self.summary.place >= self._sender.resumes_after:
                self._pace.wait(event.at, self._meanwhile)
            if self._stop.is_set():
                return
            self._events([event])

    def _tick(self, tick: Tick) -> None:
        if not self._pace.flat_out and self.summary.place >= self._sender.resumes_after:
            self._pace.wait((tick.occurred_at - EPOCH) // MICROSECOND, self._meanwhile)
            if self._stop.is_set():
                return
            # A reader at the head of the topics must not hear that time has passed before it could read what happened.
            self._sender.flush()
        self._sender.tick(tick, self.summary.place + 1)
        if not self.summary.place and not self._sender.resumes_after:
            # Readers at the head must have the first tick before the first event: from it on they wait for the next.
            self._sender.flush()
            self._stop.wait(_OPENING_SECONDS)
        self.summary.ticks += 1
        self.summary.until = tick.occurred_at
        self._look()

    def _meanwhile(self) -> None:
        self._sender.serve()
        self._look()
