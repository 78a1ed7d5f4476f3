"""Plan of the staff's calls: which customers are worth one of the calls that are left before they count as lost.

Each customer is a job that takes one call and has a deadline: `act_before` before they would be lost. The plan is the
set of customers with the largest total weight who can all be called in time (unit jobs with deadlines: Moore,
Management Science 1968; Edmonds, Mathematical Programming 1971). They are called in order of their deadlines. A new
plan is made every working day.

The weight is P(lost)² × worth. The expected benefit of a call is at most P(lost) × worth. The other factor prefers
customers who are likely to be lost in any case: calls to the others can wait, since many of them return before their
deadline and then need no call. docs/adr/0022-call-planning.md compares the weights on recorded logs.

The sets of customers who can be called in time are a matroid. The plan of a whole shop is therefore a subset of the
plans of its partitions, if each uses the shop's whole capacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.settings import Settings


def call_weight(lost_probability: Floats, worth: Floats) -> Floats:
    """Return the weight of a call to each customer."""
    return lost_probability**2 * worth


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
    """Return the customers to be called, in the order of their calls.

    Args:
        calls: number of calls that can be made until each customer's deadline.
        weights: of a call to each customer.
        names: customer ids, which decide between equal weights.

    Returns:
        Indices, by deadline, then by falling weight.

    >>> planned([1, 1, 2], [5.0, 9.0, 1.0], ["ann", "bob", "cy"])
    [1, 2]
    """
    kept: list[tuple[float, str, int]] = []
    for index in sorted(range(len(calls)), key=calls.__getitem__):
        heappush(kept, (weights[index], names[index], index))
        if len(kept) > calls[index]:
            heappop(kept)
    return sorted((index for *_, index in kept), key=lambda one: (calls[one], -weights[one], names[one]))
