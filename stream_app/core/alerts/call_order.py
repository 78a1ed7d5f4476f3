"""Choice of the planned calls that are made today.

A plan says who is called, not when. Those who would otherwise miss their deadline, or make others miss theirs, must be
called today. Beyond these, a plan leaves a choice. A call today is wasted if the customer returns before their deadline
anyway, or if the plan would drop them later for customers who are worth more. Customers are called first if both are
unlikely: by weight × odds of no order within the horizon.
"""

from __future__ import annotations

import numpy as np

from stream_app.core.alerts.call_plan import Addition
from stream_app.core.arrays import Bools, Floats, Ints


def call_priority(weight: Floats, churn_probability: Floats) -> Floats:
    """Return the priority of each call if a plan leaves a choice."""
    return weight * churn_probability / np.maximum(1.0 - churn_probability, 1e-6)


def first_calls(calls: Ints, priorities: Floats, capacity: int) -> Ints:
    """Return the places of the customers who are called on the first day of a plan, in its order.

    Args:
        calls: number of calls that can be made until the deadline of each planned customer, rising.
        priorities: of the customers.
        capacity: number of calls of a day.

    >>> first_calls(np.array([2, 4, 4, 6]), np.array([1.0, 5.0, 3.0, 9.0]), capacity=2).tolist()
    [0, 3]
    """
    order = np.argsort(-priorities, kind="stable")
    free = np.ones(len(calls), dtype=bool)
    ends = np.flatnonzero(np.append(calls[1:] != calls[:-1], True)[: len(calls)]) + 1  # customers until each deadline
    made = 0
    # Customers until a deadline who exceed the calls of later days. Rising, so that each deadline adds to the earlier.
    needs = np.maximum.accumulate(np.minimum(ends - calls[ends - 1] + capacity, capacity))
    for place in np.flatnonzero(needs > np.maximum(np.append(0, needs[:-1])[: len(needs)], 0)).tolist():
        need = int(needs[place]) - made
        _take(order[order < ends[place]], need, free)
        made += need
    _take(order, capacity - made, free)
    return np.flatnonzero(~free)


def _take(order: Ints, count: int, free: Bools) -> None:
    free[order[free[order]][:count]] = False


def rank_if_added(calls: Ints, priorities: Floats, capacity: int, added: Addition, priority: float) -> int | None:
    """Return the rank, from 1, of a customer among the first calls of a plan that they alone join, or None.

    Args:
        calls: as for `first_calls`, of the plan.
        priorities: as for `first_calls`, of the plan.
        capacity: number of calls of a day.
        added: where the customer would be in the plan.
        priority: of the customer.
    """
    if added.displaced is not None:
        calls, priorities = np.delete(calls, added.displaced), np.delete(priorities, added.displaced)
    calls, priorities = np.insert(calls, added.place, added.calls), np.insert(priorities, added.place, priority)
    first = first_calls(calls, priorities, capacity)
    rank = int(np.searchsorted(first, added.place))
    return rank + 1 if rank < len(first) and first[rank] == added.place else None
