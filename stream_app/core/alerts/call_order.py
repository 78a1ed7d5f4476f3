"""Choice of the planned calls that are made today.

A plan says who is called, not when. Those who would otherwise miss their deadline, or make others miss theirs, must be
called today. Beyond these, a plan leaves a choice. A call today is wasted if the customer returns before their deadline
anyway, or if the plan would drop them later for customers who are worth more. Customers are called first if both are
unlikely: by weight × odds of no order within the horizon.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

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


def ranks_if_added(
    calls: Ints, priorities: Floats, capacity: int, added: Sequence[Addition], own: Floats
) -> list[int | None]:
    """Return the rank, from 1, that each of some customers has among the first calls of a plan that they alone join.

    What an added customer changes depends on their deadline and on who leaves the plan for them. Their priority only
    decides whether they are called, and they can take the place of one customer at most. Of those with equal deadlines,
    only two are therefore added: one with the least priority of all, and one with the greatest.

    Args:
        calls: as for `first_calls`, of the plan.
        priorities: as for `first_calls`, of the plan.
        capacity: number of calls of a day.
        added: where each customer would be in the plan.
        own: priority of each customer.

    Returns:
        Ranks, None for customers who would not be among the first calls.
    """
    ranks: list[int | None] = [None] * len(added)
    alike = defaultdict[tuple[int, int | None], list[int]](list)
    for row, one in enumerate(added):
        alike[one.calls, one.displaced].append(row)
    for (until, displaced), rows in alike.items():
        gone = [] if displaced is None else [displaced]
        kept, left = np.delete(calls, gone), np.delete(priorities, gone)
        place = added[rows[0]].place  # the others come before and after the same deadlines
        joined = np.insert(kept, place, until)
        least = first_calls(joined, np.insert(left, place, -np.inf), capacity)
        first = first_calls(joined, np.insert(left, place, np.inf), capacity)
        if place not in first:
            continue
        others = first[first != place]
        others -= others > place  # their places without the added customer
        rival = [int(one) - (one > place) for one in np.setdiff1d(least, first).tolist()]
        for row in rows:
            at, priority = added[row].place, float(own[row])
            if all((priority, one) >= (left[one], at) for one in rival):  # the earlier in the plan if they are equal
                ranks[row] = int(np.searchsorted(others, at)) + 1
    return ranks
