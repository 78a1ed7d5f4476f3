"""The moments of a shop between two instants: what a clock owner, or the publisher of a log, writes ticks for."""

from __future__ import annotations

from typing import NamedTuple

from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US


class Moment(NamedTuple):
    """A tick that is due."""

    at: int  # microseconds
    learns: bool  # midnight UTC: the trainer's
    nominates: bool  # the desk's hour of a working day


def moments_between(after: int, until: int, settings: Settings) -> list[Moment]:
    """Midnights and nominations in (after, until], in order.

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
    """The ticks that a clock owner must write now.

    Args:
        last: the latest tick that anybody wrote; None: there is none, and the past is nobody's business.
        now: microseconds.
        every: between two ticks, if no moment lies between them.
        settings: of the shop: when its moments are.

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
