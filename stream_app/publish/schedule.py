"""Computes when ticks occur in a published log. Pure functions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, HOUR_US, MICROSECOND, from_micros

_when: Final = attrgetter("occurred_at")


def steps(
    batches: Iterable[Sequence[Event]], settings: Settings, *, complete: bool, opening: bool = False
) -> Iterator[Sequence[Event] | Tick]:
    """Yield the events and ticks of a log in order; a tick precedes events of the same time.

    Args:
        batches: events in order of time.
        settings: settings of the shop, for the times of allocation rounds.
        complete: whether the log is complete; a final tick, one microsecond after the last event, then ends it.
        opening: whether a tick precedes the first event.

    >>> from stream_app.core.events.schema import Order
    >>> at = [datetime.fromisoformat(f"2024-01-01T{hour}Z") for hour in ("21:59", "23:30")]
    >>> log = [Order(event_id=str(n), customer_id="c", occurred_at=when) for n, when in enumerate(at)]
    >>> for step in steps([log], Settings(), complete=True):
    ...     print(f"{step.occurred_at:%d %H:%M} {step.learns}" if isinstance(step, Tick) else f"{len(step)} event")
    1 event
    01 22:00 False
    01 23:00 False
    1 event
    01 23:30 True
    """
    ticks: _Ticks | None = None
    last: datetime | None = None
    for batch in batches:
        if ticks is None:
            ticks = _Ticks(batch[0].at, settings)
            if opening:
                yield Tick(batch[0].occurred_at)
        begin = 0
        while begin < len(batch):
            end = bisect_left(batch, ticks.next_at, begin, key=_when)
            if end > begin:
                yield batch[begin:end]
            begin = end
            if begin < len(batch):
                yield ticks.take()
        last = batch[-1].occurred_at
    if last is not None and complete:
        yield Tick(last + MICROSECOND, learns=True, waits=True, complete=True)


class _Ticks:
    """Ticks after the first event: every full hour (UTC) and every allocation round.

    They include the training and allocation rounds of a replay, at which partitions wait for the trainer and the
    allocator.
    """

    def __init__(self, first_at: int, settings: Settings) -> None:
        self._settings = settings
        self._hour = (first_at // HOUR_US + 1) * HOUR_US
        self._nomination = settings.next_nomination(first_at)
        self.next_at = self._next()

    def take(self) -> Tick:
        """Return the tick at `next_at` and advance to the next one."""
        moment = min(self._hour, self._nomination)
        learns = moment % DAY_US == 0
        nominates = moment == self._nomination
        tick = Tick(self.next_at, learns=learns, nominates=nominates, waits=learns or nominates)
        if moment == self._hour:
            self._hour += HOUR_US
        if nominates:
            self._nomination = self._settings.next_nomination(moment)
        self.next_at = self._next()
        return tick

    def _next(self) -> datetime:
        return from_micros(min(self._hour, self._nomination))
