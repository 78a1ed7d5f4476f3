"""Planner of the day's calls, with or without quotas and customers who are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream_app.core.alerts.call_plan import Addition, days_until, planned_with_holdout
from stream_app.core.alerts.call_quotas import ONE_TIME, REPEAT, DayLimits, QuotaJob, planned_with_quotas
from stream_app.core.alerts.quota_holdout import places_with_quotas
from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.settings import Settings


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
    """Return the rows of the customers to be called in order, and how those held out would join them.

    With quotas, a place is one among the calls of the first day, or the capacity if the call would come later.

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
    rows = list(map(QuotaJob, days.tolist(), weights, jobs.names, groups))
    called = [row for row, left in enumerate(jobs.held_out) if not left]
    others = [row for row, left in enumerate(jobs.held_out) if left]
    plan = planned_with_quotas([rows[row] for row in called], limits)
    places = places_with_quotas(plan, [rows[row] for row in others], limits)
    row_of = dict(zip(jobs.names, range(len(rows)), strict=True))
    found = {row: Addition(place, 0, None) for row, place in zip(others, places, strict=True) if place is not None}
    return [row_of[job.name] for job in plan], found
