"""What calls reach: lost silences that were called in time, and their worth.

A lost silence is reached in time if the first call in it comes at least `act_before` before it is lost. Reached is not
saved: what a call changes is unknown. The 95 % intervals resample the customers and hold the calls fixed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.call_days import Calls
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.silences import Silences

DRAWS: Final = 1000
_CELLS: Final = 4_000_000  # draws held in memory at once


@dataclass(frozen=True)
class Reached:
    """What a set of calls reached."""

    silences: Silences
    silence: Ints  # the silences reached in time, by the index of their order
    call: Ints  # the call that reached each, by its place among all calls
    lead_days: Floats  # of each: from the first call until it is lost
    calls: int  # number of calls that could reach a lost silence in time
    stayed_away: Bools  # of each call after the warm-up with a known outcome: no order within the horizon
    caller: Ints  # customer of each of those calls

    @cached_property
    def count(self) -> int:
        """Number of lost silences reached in time."""
        return len(self.silence)

    @cached_property
    def worth(self) -> float:
        """Monthly worth of the lost silences reached in time."""
        return float(self.silences.worth[self.silence].sum())

    def by_customer(self, customers: Ints, *, worth: bool) -> Floats:
        """Return what was reached of each of some customers, ascending: their worth, or the number of silences."""
        who = np.searchsorted(customers, self.silences.orders.customer[self.silence])
        weights = self.silences.worth[self.silence] if worth else None
        return np.bincount(who, weights=weights, minlength=len(customers)).astype(np.float64)


def reached_by(evaluation: Evaluation, silences: Silences, calls: Calls) -> Reached:
    """Return what some calls, in order of time, reached. A call to a customer without an order reaches nobody."""
    orders, protocol = silences.orders, evaluation.protocol
    order = orders.last_before(calls.customer, calls.at - 1)
    rows = np.flatnonzero(order >= 0)
    at, order, caller = calls.at[rows], order[rows], calls.customer[rows]
    silence, first = np.unique(order, return_index=True)
    lead = silences.lost_at[silence] - at[first]
    in_time = silences.lost[silence] & (lead >= protocol.act_before_us)
    horizon = round(protocol.horizon_days * DAY_US)
    known = (at >= evaluation.warm_at) & (at + horizon <= evaluation.end_at)
    latest = silences.until - protocol.act_before_us
    next_at = orders.at[order] + orders.silence[order]  # the end of the log if there is none
    away = (next_at > at + horizon) | (next_at >= evaluation.end_at)
    return Reached(
        silences=silences,
        silence=silence[in_time],
        call=rows[first[in_time]],
        lead_days=lead[in_time] / DAY_US,
        calls=int(((calls.at > silences.since - protocol.lost_after_us) & (calls.at <= latest)).sum()),
        stayed_away=away[known],
        caller=caller[known],
    )


def resampled(columns: Floats, draws: int = DRAWS) -> Floats:
    """Return the sums of columns over resampled customers.

    Args:
        columns: of shape (customers, k).
        draws: number of draws.

    Returns:
        Sums of shape (draws, k). A customer is drawn a Poisson number of times, with mean 1.
    """
    rng, rows = np.random.default_rng(1), max(len(columns), 1)
    step = max(1, _CELLS // rows)
    parts = [
        np.einsum("dc,ck->dk", rng.poisson(1, (min(step, draws - start), len(columns))), columns)
        for start in range(0, draws, step)
    ]
    return np.concatenate(parts)


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % interval of some draws; NaN if there are none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def most_reachable(
    lost_at: Sequence[int],
    begun: Sequence[int],
    value: Sequence[float],
    moments: Sequence[int],
    calls: Sequence[int],
    lead: int,
) -> float:
    """Return the value that calls can reach in time if the future is known.

    Each lost silence takes one call between its begin and its deadline. The dearest take the latest free call before
    their deadlines (unit jobs with deadlines: Karp 1972). This is the most as long as calls are scarce. Where they are
    plenty, the call left for a silence may precede it, and slightly more can be reached.

    Args:
        lost_at: when each silence is lost, microseconds.
        begun: when each began, microseconds.
        value: of each.
        moments: times of the lists, ascending, microseconds.
        calls: number of calls at each.
        lead: latest time of a call before a silence is lost, microseconds.

    >>> most_reachable([10, 10, 11], [0, 0, 0], [3.0, 2.0, 1.0], [4, 5], calls=[1, 1], lead=5)
    5.0
    """
    left, got = [0, *calls], 0.0
    free_before = [place - (place > 0 and not n) for place, n in enumerate(left)]  # -> latest place with a free call
    for one in sorted(range(len(value)), key=lambda index: -value[index]):
        place = bisect_right(moments, lost_at[one] - lead)
        path = []
        while free_before[place] != place:
            path.append(place)
            place = free_before[place]
        for passed in path:
            free_before[passed] = place
        if place and moments[place - 1] > begun[one]:
            got += value[one]
            left[place] -= 1
            if not left[place]:
                free_before[place] = place - 1
    return got
