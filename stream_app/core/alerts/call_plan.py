"""Plan of the staff's calls: which customers are worth one of the calls that are left before they count as lost.

Each customer is a job that takes one call and has a deadline: `act_before` before they would be lost. The plan is the
set of customers with the largest total weight who can all be called in time (unit jobs with deadlines: Moore,
Management Science 1968; Edmonds, Mathematical Programming 1971). A new plan is made every working day, and
`call_order.py` chooses the calls of the day.

The weight is P(lost) × worth: what a call can bring at most, on average. The worth is that of the time in which the
customer ordered (`active_worth`). docs/adr/0022-call-planning.md compares the weights on recorded logs.

If customers are held out (`core/uplift/holdout.py`), the plan is made without them. A customer who is held out stands
for a call that is not made if the plan with them alone added would call them. They change nothing for the others, and
whether a customer is drawn does not depend on their own arm.

The sets of customers who can be called in time are a matroid. The plan of a whole shop is therefore a subset of the
plans of its partitions, if each uses the shop's whole capacity. The same holds for the held-out customers who would
join the plan.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.settings import Settings
from stream_app.core.units import MONTH_DAYS


def active_worth(money: Floats, span_days: Floats, horizon_days: float) -> Floats:
    """Return what each customer spent per month, from the first order until a horizon after the last one.

    The silence since then does not count. P(lost) already weighs it, and a customer who could be called until next week
    would otherwise seem to be worth less than one who could be called for months.

    Args:
        money: spent so far, net of returns.
        span_days: days from the first to the last order.
        horizon_days: churn horizon.

    >>> active_worth(np.array([60.0, 60.0]), np.array([0.0, 60.0]), 60.0).tolist()
    [30.44, 15.22]
    """
    return np.maximum(money, 0.0) / (span_days + horizon_days) * MONTH_DAYS


def days_until(settings: Settings, at: int, deadlines: Ints) -> Ints:
    """Return the number of days with calls from an allocation to each deadline, both inclusive.

    Args:
        settings: of the shop.
        at: time of the allocation, microseconds.
        deadlines: microseconds.
    """
    moments, last = [at], int(deadlines.max(initial=at))
    while (moment := settings.next_nomination(moments[-1])) <= last:
        moments.append(moment)
    opening = np.array([one for one in moments if settings.opens_alerts(one)], dtype=np.int64)
    return np.searchsorted(opening, deadlines, side="right")


def planned(calls: Sequence[int], weights: Sequence[float], names: Sequence[str]) -> list[int]:
    """Return the customers to be called, in the order of their deadlines.

    Args:
        calls: number of calls that can be made until each customer's deadline.
        weights: of a call to each customer.
        names: customer ids, which decide between equal weights.

    Returns:
        Indices, by deadline, then by falling weight.

    >>> planned([1, 1, 2], [5.0, 9.0, 1.0], ["ann", "bob", "cy"])
    [1, 2]
    """
    rows = plan(np.array(calls, np.int64), np.array(weights, np.float64), name_order(names))
    found: list[int] = rows.tolist()
    return found


def plan(calls: Ints, weights: Floats, order: Ints) -> Ints:
    """Return the same as `planned`, for customers whose place in alphabetical order is known."""
    ascending = np.lexsort((order, weights))
    place = np.empty_like(ascending)
    place[ascending] = np.arange(len(ascending))
    by_deadline = np.argsort(calls, kind="stable")
    limits, first = np.unique(calls[by_deadline], return_index=True)
    kept: Ints = np.zeros(0, np.int64)
    for limit, group in zip(limits.tolist(), np.split(by_deadline, first)[1:], strict=True):
        kept = np.concatenate((kept, place[group]))
        if len(kept) > limit:  # drop those of the least weight
            kept = np.partition(kept, len(kept) - limit)[len(kept) - limit :] if limit else kept[:0]
    rows: Ints = ascending[kept]
    return rows[np.lexsort((order[rows], -weights[rows], calls[rows]))]


def name_order(names: Sequence[str]) -> Ints:
    """Return the place of each customer id in alphabetical order.

    >>> name_order(["cy", "ann", "bob"]).tolist()
    [2, 0, 1]
    """
    place = np.empty(len(names), np.int64)
    place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return place


Job = tuple[int, float, str]  # calls that can be made until the deadline, weight, customer


class Addition(NamedTuple):
    """A customer who would join a plan.

    Attributes:
        place: in the plan that they join.
        calls: number of calls that can be made until their deadline.
        displaced: place in the plan of the customer who would leave it for them, if there is one.
    """

    place: int
    calls: int
    displaced: int | None


def if_added(plan: Sequence[Job], others: Iterable[Job]) -> list[Addition | None]:
    """Return how each of some customers would join a plan alone, or None if they would not.

    Args:
        plan: the planned customers, in order.
        others: customers who were left out of the planning.

    >>> if_added([(1, 9.0, "bob"), (3, 1.0, "cy")], [(1, 8.0, "dan"), (1, 10.0, "eve"), (2, 0.5, "flo")])
    [None, Addition(place=0, calls=1, displaced=0), Addition(place=1, calls=2, displaced=None)]
    """
    order = [(calls, -weight, name) for calls, weight, name in plan]
    # Until some deadlines, all calls are taken: whoever joins before one takes the place of the least until then.
    full = [at for at, (calls, *_) in enumerate(plan) if calls == at + 1]
    full_calls = [plan[at][0] for at in full]
    least = list(accumulate(((weight, name, at) for at, (_, weight, name) in enumerate(plan)), min))
    additions: list[Addition | None] = []
    for calls, weight, name in others:
        place, nearest = bisect_left(order, (calls, -weight, name)), bisect_left(full_calls, calls)
        if nearest == len(full):
            additions.append(Addition(place, calls, None) if calls else None)
            continue
        *displaced, at = least[full[nearest]]
        joins = calls and [weight, name] > displaced
        additions.append(Addition(place - (at < place), calls, at) if joins else None)
    return additions


def planned_with_holdout(
    calls: Sequence[int], weights: Sequence[float], names: Sequence[str], held_out: Sequence[bool]
) -> tuple[list[int], dict[int, Addition]]:
    """Return the customers to be called as `planned` does, and those held out who would join the plan.

    Args:
        calls: as for `planned`.
        weights: as for `planned`.
        names: as for `planned`.
        held_out: who is held out.

    Returns:
        Indices in order, and how the held-out customers with these indices would join.
    """
    called = [index for index, left in enumerate(held_out) if not left]
    others = [index for index, left in enumerate(held_out) if left]
    jobs = list(zip(calls, weights, names, strict=True))
    places = planned([calls[one] for one in called], [weights[one] for one in called], [names[one] for one in called])
    plan = [called[place] for place in places]
    found = if_added([jobs[index] for index in plan], [jobs[index] for index in others])
    return plan, {index: one for index, one in zip(others, found, strict=True) if one is not None}
