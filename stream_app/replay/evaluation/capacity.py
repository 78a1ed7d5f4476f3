"""Simulation of a daily call list with a limited capacity.

At the list hour of each working day, customers with a recent score who have neither ordered nor been called since are
ranked, and the first N are called. A departure counts as reached if a call falls into its silence, before the shop's
own rule notices it. Calls do not change the replay: their effect is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import call_times
from stream_app.replay.evaluation.departures import Departures, lead_summary
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.orders import Orders
from stream_app.replay.evaluation.worth import newest_decisions

LADDER: Final = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000)
EARLY_DAYS: Final = 14  # minimum lead time for a measure to work


@dataclass(frozen=True)
class Calls:
    """The calls made with one ranking at one capacity."""

    decision: Ints  # decision whose score led to the call
    order: Ints  # index of the last order before the call
    at: Ints


class CallList:
    """Simulates the daily call list for several capacities at once."""

    def __init__(self, evaluation: Evaluation, orders: Orders, score: Floats, capacities: Sequence[int]) -> None:
        decisions = evaluation.results.decisions
        n = len(decisions.customers)
        shuffled = np.random.default_rng(0).permutation(n)  # breaks ties at random instead of by order of arrival
        self.customer, self.buyer = shuffled[decisions.customer], shuffled[orders.customer]
        self.decided_at, self.score, self.orders = decisions.decided_at, score, orders
        self.fresh = round((evaluation.protocol.every_days * 1.5 + 1) * DAY_US)
        self.capacities = capacities
        self.newest = np.full(n, -1)  # newest decision of each customer
        self.last_order = np.full(n, -1)
        self.called = np.zeros((len(capacities), n), bool)
        self.calls: list[list[tuple[Ints, Ints, int]]] = [[] for _ in capacities]

    def update(self, decisions: slice, orders: slice) -> None:
        """Add the decisions and orders made since the last list."""
        self.newest[self.customer[decisions]] = np.arange(decisions.start, decisions.stop)
        buyers = self.buyer[orders]
        self.last_order[buyers] = np.arange(orders.start, orders.stop)
        self.called[:, buyers] = False

    def call(self, now: int) -> None:
        """Call the first customers on the list, for every capacity."""
        who = np.flatnonzero((self.newest >= 0) & (self.last_order >= 0))
        scored_at, ordered_at = self.decided_at[self.newest[who]], self.orders.at[self.last_order[who]]
        who = who[(scored_at >= ordered_at) & (scored_at > now - self.fresh)]
        who = who[np.argsort(-self.score[self.newest[who]], kind="stable")]
        for i, capacity in enumerate(self.capacities):
            chosen = who[~self.called[i, who]][:capacity]
            self.called[i, chosen] = True
            self.calls[i].append((self.newest[chosen], self.last_order[chosen], now))

    def all_calls(self, i: int) -> Calls:
        """Return the calls at one capacity as columns."""
        days = self.calls[i]
        empty = [np.zeros(0, np.int64)]
        return Calls(
            decision=np.concatenate([d for d, _, _ in days] or empty),
            order=np.concatenate([o for _, o, _ in days] or empty),
            at=np.concatenate([np.full(len(d), now) for d, _, now in days] or empty),
        )


def simulate_calls(
    evaluation: Evaluation, departures: Departures, score: Floats, capacities: Sequence[int]
) -> list[Calls]:
    """Return the calls at each capacity for a ranking by descending `score`, which has one value per decision."""
    protocol, decisions, orders = evaluation.protocol, evaluation.results.decisions, departures.orders
    staff = CallList(evaluation, orders, score, capacities)
    lists = call_times(evaluation.warm_at, evaluation.end_at, protocol.zone, protocol.working_days, protocol.hour)
    decided = np.searchsorted(decisions.decided_at, lists, side="right").tolist()
    ordered = np.searchsorted(orders.at, lists, side="right").tolist()
    seen_decisions = seen_orders = 0
    for now, until_decision, until_order in zip(lists.tolist(), decided, ordered, strict=True):
        staff.update(slice(seen_decisions, until_decision), slice(seen_orders, until_order))
        staff.call(now)
        seen_decisions, seen_orders = until_decision, until_order
    return [staff.all_calls(i) for i in range(len(capacities))]


def ladder(capacity: int, active: int) -> list[int]:
    """Return the capacities to show: round numbers up to a fifth of the active customers, and the configured one.

    >>> ladder(25, 300)
    [1, 2, 3, 5, 10, 20, 25, 30, 50]
    """
    return sorted({n for n in LADDER if n <= max(active / 5, 5)} | {capacity})


def outcome_of(evaluation: Evaluation, departures: Departures, calls: Calls) -> dict[str, object]:
    """Return the metrics of a set of calls: share of departures reached, lead time, precision and revenue."""
    lead = departures.lead_days(calls.order, calls.at)
    hit = departures.left[calls.order] & (lead > 0)
    worth = evaluation.results.decisions.monthly_worth
    label = evaluation.results.decisions.label[calls.decision]
    known = label >= 0
    count = max(departures.count, 1)
    return {
        "calls": len(calls.at),
        "reached": int(hit.sum()),
        "reached_share": hit.sum() / count if departures.count else None,
        "early_share": (hit & (lead >= EARLY_DAYS)).sum() / count if departures.count else None,
        "lead_median_days": float(np.median(lead[hit])) if hit.any() else None,
        "precision": label[known].mean() if known.any() else None,
        "monthly_worth_reached": float(np.nansum(worth[calls.decision[hit]])),
    }


def capacity_curve(evaluation: Evaluation, departures: Departures) -> dict[str, object]:
    """Return the curves for the model and "longest silence first", and the lead times at the configured capacity."""
    decisions, capacity = evaluation.results.decisions, evaluation.protocol.capacity
    capacities = ladder(capacity, len(newest_decisions(evaluation)))
    rankings = {"product": decisions.probability, "recency": decisions.recency_days}
    played = {name: simulate_calls(evaluation, departures, score, capacities) for name, score in rankings.items()}
    own = played["product"][capacities.index(capacity)]
    lead = departures.lead_days(own.order, own.at)
    reached = lead[departures.left[own.order] & (lead > 0)]
    curve = {
        name: [
            {"capacity": n, **outcome_of(evaluation, departures, calls)}
            for n, calls in zip(capacities, runs, strict=True)
        ]
        for name, runs in played.items()
    }
    return {"early_days": EARLY_DAYS, **curve, "lead": lead_summary(reached)}
