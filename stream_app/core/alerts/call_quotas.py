"""Plan of calls if the policy limits how many of a day's calls go to one-time and to repeat customers.

A day has `capacity` calls, at most `quota` of them for each group. The sets of customers who can be called in time are
still a matroid: they can be linked to the days by disjoint paths, from a customer through a place of their group on a
day into a place of that day (a gammoid: Perfect, Journal of Mathematical Analysis and Applications 1968). Taking
customers by falling weight whenever all can still be called therefore gives the plan with the largest weight, and the
plan of a shop is a subset of the plans of its partitions, as without quotas.

A group of n customers with deadlines until a day needs n - quota × (later days) calls by an earlier day. All can be
called if and only if these needs of the groups together never exceed the capacity until a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from stream_app.core.alerts.call_plan import Addition, days_until, planned, planned_with_holdout
from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.policy.policy import Quota
from stream_app.core.settings import Settings

ONE_TIME, REPEAT = range(2)  # groups


@dataclass(frozen=True, slots=True)
class DayLimits:
    """Limits of the planned calls of a day.

    Args:
        capacity: number of calls.
        quotas: number of calls to each group.
    """

    capacity: int
    quotas: tuple[int, int]

    @classmethod
    def of(cls, settings: Settings) -> DayLimits:
        """Return the limits that the policy sets.

        >>> from stream_app.core.policy.policy import Capacity, Policy
        >>> DayLimits.of(Settings(capacity=9).with_policy(Policy(capacity=Capacity(reserve=1, one_time=0.6))))
        DayLimits(capacity=8, quotas=(4, 8))
        """
        given, calls = settings.policy.capacity, settings.planned_capacity
        return cls(calls, (_calls(given.one_time, calls), _calls(given.repeat, calls)))

    @property
    def has_quotas(self) -> bool:
        """Whether a group is limited more than by the capacity."""
        return min(self.quotas) < self.capacity


def _calls(quota: Quota | None, capacity: int) -> int:
    if quota is None:
        return capacity
    if isinstance(quota, float):
        quota = max(floor(quota * capacity + 1e-9), min(capacity, 1)) if quota else 0
    return min(quota, capacity)


@dataclass(frozen=True, slots=True)
class Jobs:
    """Customers who could be called, as columns of n rows.

    Args:
        deadlines: latest time of a call, microseconds.
        weights: of a call.
        names: customer ids, which decide between equal weights.
        one_time: whether a customer has ordered only once.
        held_out: whether a customer is held out; see `call_plan.planned_with_holdout`.
    """

    deadlines: Ints
    weights: Floats
    names: Sequence[str]
    one_time: Bools
    held_out: Sequence[bool]


def plan_calls(settings: Settings, at: int, jobs: Jobs) -> tuple[list[int], dict[int, Addition]]:
    """Return the rows of the customers to be called in order, and those held out who would join them.

    Args:
        settings: of the shop.
        at: time of the allocation, microseconds.
        jobs: who could be called.
    """
    limits, days = DayLimits.of(settings), days_until(settings, at, jobs.deadlines)
    weights = jobs.weights.tolist()
    if not limits.has_quotas:
        return planned_with_holdout((limits.capacity * days).tolist(), weights, jobs.names, jobs.held_out)
    groups = np.where(jobs.one_time, ONE_TIME, REPEAT).tolist()
    return planned_with_quotas(days.tolist(), weights, jobs.names, groups, limits), {}  # nobody is held out


def planned_with_quotas(
    days: Sequence[int], weights: Sequence[float], names: Sequence[str], groups: Sequence[int], limits: DayLimits
) -> list[int]:
    """Return the customers to be called, in the order of their calls.

    Args:
        days: number of days with calls until each customer's deadline.
        weights: of a call to each customer.
        names: customer ids, which decide between equal weights.
        groups: ONE_TIME or REPEAT.
        limits: of a day.

    >>> planned_with_quotas([1, 1, 1], [5.0, 9.0, 1.0], ["ann", "bob", "cy"], [0, 0, 1], DayLimits(2, (1, 2)))
    [1, 2]
    """
    chosen = []
    for group in (ONE_TIME, REPEAT):  # who is not in the plan of a group alone is not in the plan of both
        rows = [row for row, one in enumerate(groups) if one == group]
        calls = [limits.quotas[group] * days[row] for row in rows]
        kept = planned(calls, [weights[row] for row in rows], [names[row] for row in rows])
        chosen += [rows[place] for place in kept]
    needs = _Needs(max(days, default=0), limits)
    chosen.sort(key=lambda row: (weights[row], names[row]), reverse=True)
    chosen = [row for row in chosen if needs.add(groups[row], days[row])]
    chosen.sort(key=lambda row: (days[row], -weights[row], names[row]))
    latest: dict[int, int] = {}
    for group in (ONE_TIME, REPEAT):
        rows = [row for row in chosen if groups[row] == group]
        latest |= zip(rows, _latest_days([days[row] for row in rows], limits.quotas[group]), strict=True)
    return sorted(chosen, key=lambda row: (latest[row], -weights[row], names[row]))


class _Needs:
    """Calls that the chosen customers of each group need by each day.

    Args:
        last: number of days until the last deadline.
        limits: of a day.
    """

    def __init__(self, last: int, limits: DayLimits) -> None:
        self._days = np.arange(last + 1)
        self._limits = limits
        self._counts = [np.zeros(last + 1, dtype=np.int64) for _ in limits.quotas]  # customers until each day
        self._needs = [np.zeros(last + 1, dtype=np.int64) for _ in limits.quotas]

    def add(self, group: int, day: int) -> bool:
        """Add a customer with a deadline. Return False, and change nothing, if not all could be called any more."""
        counts = self._counts[group].copy()
        counts[day:] += 1
        allowed = self._limits.quotas[group] * self._days
        needs = np.maximum.accumulate((counts - allowed)[::-1])[::-1] + allowed
        if (needs + self._needs[1 - group] > self._limits.capacity * self._days).any():
            return False
        self._counts[group], self._needs[group] = counts, needs
        return True


def _latest_days(days: Sequence[int], quota: int) -> list[int]:
    """Return the latest day for each customer of a group, given their deadlines in rising order.

    >>> _latest_days([2, 3, 3, 3], quota=2)
    [2, 2, 3, 3]
    """
    latest, day, places = [], max(days, default=0), quota
    for deadline in reversed(days):
        if deadline < day:
            day, places = deadline, quota
        elif not places:
            day, places = day - 1, quota
        latest.append(day)
        places -= 1
    return latest[::-1]


def calls_today(groups: Sequence[int], limits: DayLimits) -> tuple[list[int], int]:
    """Return the calls of the first day of a plan, and the number of calls that a quota puts off.

    Args:
        groups: groups of the planned customers, in the order of the plan.
        limits: of a day.

    >>> calls_today([ONE_TIME, ONE_TIME, REPEAT, REPEAT], DayLimits(2, (1, 2)))
    ([0, 2], 1)
    """
    today: list[int] = []
    left = list(limits.quotas)
    for place, group in enumerate(groups):
        if len(today) == limits.capacity:
            return today, place - len(today)
        if left[group]:
            left[group] -= 1
            today.append(place)
    return today, len(groups) - len(today)
