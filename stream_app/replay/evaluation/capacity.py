"""What a number of calls a day would have brought: the past played again with a ranking and a limit.

At each working day's list hour, the customers whose newest score is at most a period old, who have not ordered since
and have not been called since their last order, are ranked; the first N are called. A departure is reached when a
call came in its silence and before the shop's own rule noticed. The calls change nothing in this replay: what they
would have saved is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import call_times
from stream_app.replay.evaluation.departures import Departures, Orders, lead_summary
from stream_app.replay.evaluation.evaluation import Evaluation

LADDER: Final = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000)
EARLY_DAYS: Final = 14  # a lead that leaves time for a measure to work


@dataclass(frozen=True)
class Calls:
    """The calls that one ranking and one capacity led to."""

    decision: Ints  # the decision whose score led to the call
    order: Ints  # index into Orders: the last order before the call
    at: Ints


class Staff:
    """Who may be called at the moment, and who has been called since the last order, for several capacities at once."""

    def __init__(self, evaluation: Evaluation, orders: Orders, score: Floats, capacities: Sequence[int]) -> None:
        decisions = evaluation.results.decisions
        n = len(decisions.customers)
        shuffled = np.random.default_rng(0).permutation(n)  # so that ties are broken by chance, not by arrival
        self.customer, self.buyer = shuffled[decisions.customer], shuffled[orders.customer]
        self.decided_at, self.score, self.orders = decisions.decided_at, score, orders
        self.fresh = round((evaluation.protocol.every_days * 1.5 + 1) * DAY_US)
        self.capacities = capacities
        self.newest = np.full(n, -1)  # decision of each customer
        self.last_order = np.full(n, -1)
        self.called = np.zeros((len(capacities), n), bool)
        self.calls: list[list[tuple[Ints, Ints, int]]] = [[] for _ in capacities]

    def learn(self, decisions: slice, orders: slice) -> None:
        """Take note of what has happened since the last list."""
        self.newest[self.customer[decisions]] = np.arange(decisions.start, decisions.stop)
        buyers = self.buyer[orders]
        self.last_order[buyers] = np.arange(orders.start, orders.stop)
        self.called[:, buyers] = False

    def call(self, now: int) -> None:
        """Work off one day's list with every capacity."""
        who = np.flatnonzero((self.newest >= 0) & (self.last_order >= 0))
        scored_at, ordered_at = self.decided_at[self.newest[who]], self.orders.at[self.last_order[who]]
        who = who[(scored_at >= ordered_at) & (scored_at > now - self.fresh)]
        who = who[np.argsort(-self.score[self.newest[who]], kind="stable")]
        for i, capacity in enumerate(self.capacities):
            chosen = who[~self.called[i, who]][:capacity]
            self.called[i, chosen] = True
            self.calls[i].append((self.newest[chosen], self.last_order[chosen], now))

    def all_calls(self, i: int) -> Calls:
        """The calls with one capacity, one column each."""
        days = self.calls[i]
        empty = [np.zeros(0, np.int64)]
        return Calls(
            decision=np.concatenate([d for d, _, _ in days] or empty),
            order=np.concatenate([o for _, o, _ in days] or empty),
            at=np.concatenate([np.full(len(d), now) for d, _, now in days] or empty),
        )


def play(evaluation: Evaluation, departures: Departures, score: Floats, capacities: Sequence[int]) -> list[Calls]:
    """The calls of each capacity with a ranking by `score` (one of each decision, high is called first)."""
    protocol, decisions, orders = evaluation.protocol, evaluation.results.decisions, departures.orders
    staff = Staff(evaluation, orders, score, capacities)
    lists = call_times(evaluation.warm_at, evaluation.end_at, protocol.zone, protocol.working_days, protocol.hour)
    decided = np.searchsorted(decisions.decided_at, lists, side="right").tolist()
    ordered = np.searchsorted(orders.at, lists, side="right").tolist()
    seen_decisions = seen_orders = 0
    for now, until_decision, until_order in zip(lists.tolist(), decided, ordered, strict=True):
        staff.learn(slice(seen_decisions, until_decision), slice(seen_orders, until_order))
        staff.call(now)
        seen_decisions, seen_orders = until_decision, until_order
    return [staff.all_calls(i) for i in range(len(capacities))]


def ladder(capacity: int, active: int) -> list[int]:
    """Capacities worth showing: round numbers up to a fifth of the active customers, and the staff's own.

    >>> ladder(25, 300)
    [1, 2, 3, 5, 10, 20, 25, 30, 50]
    """
    return sorted({n for n in LADDER if n <= max(active / 5, 5)} | {capacity})


def outcome_of(evaluation: Evaluation, departures: Departures, calls: Calls) -> dict[str, object]:
    """What a set of calls reached: shares of the departures, lead, share of right calls, worth."""
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
    """The curve of the product and of "longest silent first", and the lead times at the staff's own capacity."""
    decisions, capacity = evaluation.results.decisions, evaluation.protocol.capacity
    capacities = ladder(capacity, active_customers(evaluation))
    rankings = {"product": decisions.probability, "recency": decisions.recency_days}
    played = {name: play(evaluation, departures, score, capacities) for name, score in rankings.items()}
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


def active_customers(evaluation: Evaluation) -> int:
    """How many customers have a current score at the log's end."""
    decisions, every = evaluation.results.decisions, evaluation.protocol.every_days
    recent = decisions.decided_at > evaluation.end_at - every * 1.5 * DAY_US
    return len(np.unique(decisions.customer[recent]))
