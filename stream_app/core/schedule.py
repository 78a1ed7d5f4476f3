"""Schedule of ticks: the times at which the trainer learns and the allocator opens alerts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.core.messages.schema import PolicyRecord
from stream_app.core.policy.published import policy_of
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, micros


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


def with_policies(moments: Iterable[Moment], policies: Iterable[int]) -> list[Moment]:
    """Return moments in order, with one for each time of the policies.

    >>> [moment.at for moment in with_policies([Moment(9, learns=True, nominates=False)], [12, 9, 3])]
    [3, 9, 12]
    """
    found = {at: Moment(at, learns=False, nominates=False) for at in policies}
    found |= {moment.at: moment for moment in moments}
    return [found[at] for at in sorted(found)]


def settings_by_time(settings: Settings, policies: Iterable[PolicyRecord]) -> list[tuple[int, Settings]]:
    """Return the times from which the policies of a log are in force, in order, and the settings under each.

    Raises:
        UnusablePolicy: this release cannot read a policy.
        ContradictorySettings: a policy contradicts the settings.
    """
    return [
        (micros(one.occurred_at), settings.with_policy(policy_of(one.version, bytes(one.policy)))) for one in policies
    ]


def due_ticks(last: int | None, now: int, every: int, settings: Settings, policies: Iterable[int] = ()) -> list[Moment]:
    """Return the ticks that are due.

    Args:
        last: time of the latest tick in the topic; None if there is none, in which case no past ticks are needed.
        now: current time, microseconds.
        every: maximum interval between ticks, microseconds.
        settings: the shop's settings, including its calendar.
        policies: times from which policies are in force, microseconds. Each gets a tick at exactly that time, so that
            all partitions follow it from the same time on.

    >>> due_ticks(None, 5, 10, Settings()), due_ticks(0, 5, 10, Settings())
    ([Moment(at=5, learns=False, nominates=False)], [])
    """
    if last is None:
        return [Moment(now, learns=False, nominates=False)]
    found = with_policies(moments_between(last, now, settings), (at for at in policies if last < at <= now))
    latest = found[-1].at if found else last
    if now - latest >= every:
        found.append(Moment(now, learns=False, nominates=False))
    return found
