"""Schedule of ticks: the times at which the trainer learns and the allocator opens alerts."""

from __future__ import annotations

from typing import NamedTuple

from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US


class Moment(NamedTuple):
    """A due tick."""

    at: int  # microseconds
    learns: bool  # midnight UTC: the trainer learns
    nominates: bool  # the hour on working days when partitions send alert candidates


def moments_between(after: int, until: int, settings: Settings) -> list[Moment]:
    """Return all midnights and nomination times in (after, until], in order.

    >>> [moment.at // 3_600_000_000 for moment in moments_between(0, 24 * 3_600_000_000, Settings())]
    [9, 24]
    """
    found: list[Moment] = []
    midnight, candidate = (after // DAY_US + 1) * DAY_US, settings.next_nomination(after)
    while (at := min(midnight, candidate)) <= until:
        found.append(Moment(at, at == midnight, at == candidate))
        if at == midnight:
            midnight += DAY_US
        if at == candidate:
            candidate = settings.next_nomination(at)
    return found


def due_ticks(last: int | None, now: int, every: int, settings: Settings) -> list[Moment]:
    """Return the ticks that are due.

    Args:
        last: time of the latest tick in the topic; None if there is none, in which case no past ticks are needed.
        now: current time, microseconds.
        every: maximum interval between ticks, microseconds.
        settings: the shop's settings, including its calendar.

    >>> due_ticks(None, 5, 10, Settings()), due_ticks(0, 5, 10, Settings())
    ([Moment(at=5, learns=False, nominates=False)], [])
    """
    if last is None:
        return [Moment(now, learns=False, nominates=False)]
    found = moments_between(last, now, settings)
    latest = found[-1].at if found else last
    if now - latest >= every:
        found.append(Moment(now, learns=False, nominates=False))
    return found
