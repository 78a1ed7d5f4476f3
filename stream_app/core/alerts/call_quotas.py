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

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

import numpy as np

from stream_app.core.alerts.call_plan import planned
from stream_app.core.arrays import Ints
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


class QuotaJob(NamedTuple):
    """A customer who could be called.

    Attributes:
        days: number of days with calls until the deadline.
        weight: of a call.
        name: customer id, which decides between equal weights.
        group: ONE_TIME or REPEAT.
    """

    days: int
    weight: float
    name: str
    group: int

    @property
    def value(self) -> tuple[float, str]:
        """Sort key: customers with higher ones are called first."""
        return self.weight, self.name

    @property
    def urgency(self) -> tuple[int, float, str]:
        """Sort key of the calls of a group: by deadline, then by falling weight."""
        return self.days, -self.weight, self.name


DatedJob = tuple[int, float, str, QuotaJob]  # latest day of a call, minus its weight, customer; sorts as calls are made


def planned_with_quotas(jobs: Sequence[QuotaJob], limits: DayLimits) -> list[QuotaJob]:
    """Return the customers to be called, in the order of their calls.

    >>> jobs = [QuotaJob(1, 5.0, "ann", ONE_TIME), QuotaJob(1, 9.0, "bob", ONE_TIME), QuotaJob(1, 1.0, "cy", REPEAT)]
    >>> [job.name for job in planned_with_quotas(jobs, DayLimits(2, (1, 2)))]
    ['bob', 'cy']
    """
    likely: list[QuotaJob] = []
    for group, quota in enumerate(limits.quotas):  # who is not in the plan of a group alone is not in the plan of both
        some = [job for job in jobs if job.group == group]
        kept = planned([quota * job.days for job in some], [job.weight for job in some], [job.name for job in some])
        likely += [some[place] for place in kept]
    needs = Needs(max((job.days for job in jobs), default=0), limits)
    likely.sort(key=lambda job: job.value, reverse=True)
    return in_order([job for job in likely if needs.add(job.group, job.days)], limits)


def in_order(plan: Sequence[QuotaJob], limits: DayLimits) -> list[QuotaJob]:
    """Return planned customers in the order of their calls: by the latest possible day of each."""
    ordered: list[DatedJob] = []
    for group, quota in enumerate(limits.quotas):
        some = sorted((job for job in plan if job.group == group), key=lambda job: job.urgency)
        ordered += with_latest_days(some, quota)
    return [job for *_, job in sorted(ordered)]


def with_latest_days(jobs: Sequence[QuotaJob], quota: int) -> list[DatedJob]:
    """Return the planned customers of a group with the latest day of each, given their jobs by rising urgency."""
    latest = _latest_days([job.days for job in jobs], quota)
    return [(day, -job.weight, job.name, job) for day, job in zip(latest, jobs, strict=True)]


class Needs:
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
        counts = self._counts_with(group, day)
        needs = self._needs_of(group, counts)
        if not self._are_possible(needs + self._needs[1 - group]):
            return False
        self._counts[group], self._needs[group] = counts, needs
        return True

    def could_add(self, group: int, day: int) -> bool:
        """Return whether all could be called if a customer with a deadline were added."""
        return self._are_possible(self._needs_of(group, self._counts_with(group, day)) + self._needs[1 - group])

    def latest_to_remove(self, group: int, day: int) -> list[int]:
        """Return the latest deadline, by group, of a customer whose removal makes room for another; 0: nobody's.

        Args:
            group: of that other customer, who cannot be added.
            day: their deadline.
        """
        with_other = self._counts_with(group, day)

        def is_too_late(removed: int, until: int) -> bool:
            counts = [with_other if one == group else self._counts[one] for one in (ONE_TIME, REPEAT)]
            counts[removed] = counts[removed] - (self._days >= until)
            return not self._are_possible(self._needs_of(ONE_TIME, counts[0]) + self._needs_of(REPEAT, counts[1]))

        days = range(1, len(self._days))
        return [bisect_left(days, True, key=lambda until: is_too_late(one, until)) for one in (ONE_TIME, REPEAT)]

    def _counts_with(self, group: int, day: int) -> Ints:
        return self._counts[group] + (self._days >= day)

    def _needs_of(self, group: int, counts: Ints) -> Ints:
        allowed = self._limits.quotas[group] * self._days
        return np.maximum.accumulate((counts - allowed)[::-1])[::-1] + allowed

    def _are_possible(self, needs: Ints) -> bool:
        return not (needs > self._limits.capacity * self._days).any()


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
