"""Held-out customers who stand for a call that is not made, if the policy limits the calls to each group per day.

As without quotas (`core/alerts/call_plan.py`), the plan is made without those held out. A held-out customer is drawn
if the plan with them alone added would call them on the day of the allocation. Either there is room for them, or they
displace the planned customer of least weight whose removal makes room. Whether it does depends only on the group and
deadline of that customer, and the earlier the deadline, the more room there is.

The sets of customers who can be called are a matroid also with quotas. So the plan with a held-out customer is the one
with the largest weight, and those who would join the shop's plan would join their partition's.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Final

from stream_app.core.alerts.call_quotas import (
    ONE_TIME,
    REPEAT,
    DatedJob,
    DayLimits,
    Needs,
    QuotaJob,
    calls_today,
    with_latest_days,
)

GROUPS: Final = (ONE_TIME, REPEAT)
_urgency: Final = attrgetter("urgency")
_value: Final = attrgetter("value")


def places_with_quotas(plan: Sequence[QuotaJob], others: Sequence[QuotaJob], limits: DayLimits) -> list[int | None]:
    """Return where each of some customers would be among the calls of the first day of a plan that they alone join.

    None if they would not join the plan, and the capacity if they would be called later.

    Args:
        plan: the planned customers.
        others: customers who were left out of the planning.
        limits: of a day.

    >>> plan = [QuotaJob(1, 9.0, "bob", ONE_TIME), QuotaJob(3, 1.0, "cy", REPEAT)]
    >>> others = [QuotaJob(1, 8.0, "dan", ONE_TIME), QuotaJob(1, 9.5, "eve", ONE_TIME), QuotaJob(2, 2.0, "flo", REPEAT)]
    >>> places_with_quotas(plan, others, DayLimits(2, (1, 2)))
    [None, 0, 1]
    """
    joined = _JoinedPlan(plan, max((job.days for job in [*plan, *others]), default=0), limits)
    return [joined.place(job) for job in others]


class _JoinedPlan:
    """A plan that a customer joins.

    Args:
        plan: the planned customers.
        last: number of days until the last deadline.
        limits: of a day.
    """

    def __init__(self, plan: Sequence[QuotaJob], last: int, limits: DayLimits) -> None:
        self._limits = limits
        self._needs = Needs(last, limits)
        for job in plan:
            self._needs.add(job.group, job.days)
        by_urgency = sorted(plan, key=_urgency)
        self._groups = [[job for job in by_urgency if job.group == group] for group in GROUPS]
        self._least = [_least_until(last, some) for some in self._groups]
        self._displaced: dict[tuple[int, int], QuotaJob | None] = {}  # by group and deadline of who joins

    def place(self, job: QuotaJob) -> int | None:
        """Return a customer's place; see `places_with_quotas`."""
        displaced = None
        if not self._needs.could_add(job.group, job.days):
            displaced = self._least_displaced(job)
            if displaced is None or displaced.value > job.value:
                return None
        if bisect_left(self._groups[job.group], job.urgency, key=_urgency) > 2 * self._limits.quotas[job.group]:
            return self._limits.capacity  # see `_first`; one may be displaced
        first = [one for *_, one in sorted(one for group in GROUPS for one in self._first(group, job, displaced))]
        today = [first[place] for place in calls_today([one.group for one in first], self._limits)[0]]
        return today.index(job) if job in today else self._limits.capacity

    def _first(self, group: int, job: QuotaJob, displaced: QuotaJob | None) -> list[DatedJob]:
        """Return the customers of a group who may be called on the first day if another joins the plan.

        A group has at most its quota of calls on one day. So those who follow after twice as many by urgency have a
        later latest day than at least as many as the quota.
        """
        quota = self._limits.quotas[group]
        jobs = [one for one in self._groups[group] if one != displaced]
        if job.group == group:
            insort(jobs, job, key=_urgency)
        return with_latest_days(jobs, quota)[: 2 * quota]

    def _least_displaced(self, job: QuotaJob) -> QuotaJob | None:
        """Return the planned customer of least weight who could make room for another; None if there is none."""
        key = job.group, job.days
        if key not in self._displaced:
            latest = self._needs.latest_to_remove(*key)
            least = [one for group in GROUPS if (one := self._least[group][latest[group]])]
            self._displaced[key] = min(least, key=_value, default=None)
        return self._displaced[key]


def _least_until(last: int, jobs: Sequence[QuotaJob]) -> list[QuotaJob | None]:
    """Return the customer of least weight among those with deadlines until each day, from 0 to the last."""
    least: list[QuotaJob | None] = [None] * (last + 1)
    for job in jobs:
        other = least[job.days]
        least[job.days] = job if other is None else min(job, other, key=_value)
    return list(accumulate(least, lambda one, other: min(one, other, key=_value) if one and other else one or other))
