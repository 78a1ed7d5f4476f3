"""Computes when ticks occur in a published log. Pure functions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import PolicyRecord, Tick
from stream_app.core.schedule import Moment, moments_between
from stream_app.core.settings import Settings
from stream_app.core.units import HOUR_US, MICROSECOND, from_micros, micros

_when: Final = attrgetter("occurred_at")


def steps(
    batches: Iterable[Sequence[Event]],
    settings: Settings,
    *,
    complete: bool,
    opening: bool = False,
    policies: Sequence[PolicyRecord] = (),
) -> Iterator[Sequence[Event] | Tick]:
    """Yield the events and ticks of a log in order; a tick precedes events of the same time.

    Args:
        batches: events in order of time.
        settings: the shop's settings, for the times of allocation rounds.
        complete: whether the log is complete; a final tick, one microsecond after the last event, then ends it.
        opening: whether a tick precedes the first event.
        policies: contact policies in the log, in order of time, which the ticks name.

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
    times = [micros(one.occurred_at) for one in policies]

    def policy_at(at: int) -> str:
        place = bisect_right(times, at)
        return policies[place - 1].version if place else ""

    ticked: int | None = None
    last: datetime | None = None
    for batch in batches:
        if ticked is None:
            ticked = batch[0].at
            if opening:
                yield Tick(batch[0].occurred_at, policy=policy_at(ticked))
        begin = 0
        for tick in _ticks(ticked, batch[-1].at, settings, times, policy_at):
            end = bisect_left(batch, tick.occurred_at, begin, key=_when)
            if end > begin:
                yield batch[begin:end]
            begin = end
            yield tick
        yield batch[begin:]
        ticked, last = batch[-1].at, batch[-1].occurred_at
    if last is not None and complete:
        policy = policy_at(micros(last))
        yield Tick(last + MICROSECOND, learns=True, waits=True, complete=True, policy=policy)


def _ticks(
    after: int, until: int, settings: Settings, policies: Sequence[int], policy_at: Callable[[int], str]
) -> Iterator[Tick]:
    """Yield the ticks in (after, until]: every full hour (UTC), every allocation round and change of the policy.

    They include the training and allocation rounds of a replay, at which partitions wait for the trainer and the
    allocator.
    """
    rounds = {moment.at: moment for moment in moments_between(after, until, settings)}
    hours = range((after // HOUR_US + 1) * HOUR_US, until + 1, HOUR_US)
    for at in sorted({*hours, *rounds, *(at for at in policies if after < at <= until)}):
        _, learns, nominates = rounds.get(at, Moment(at, learns=False, nominates=False))
        waits = learns or nominates
        yield Tick(from_micros(at), learns=learns, nominates=nominates, waits=waits, policy=policy_at(at))
