"""Departures of customers, and when the shop's own rule would have noticed them.

A silence lasts from an order to the customer's next one, or to the end of the log. A departure is a silence of at least
`lost_after`; the shop's rule notices it `lost_after` after the last order. If the log has too few departures, silences
longer than the horizon are used instead, and the metrics say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.results import Results

ENOUGH: Final = 30  # minimum number of departures for a meaningful share
Definition = Literal["lost_after", "horizon"]


@dataclass(frozen=True)
class Orders:
    """All orders in order of time, with the silence after each one."""

    customer: Ints
    at: Ints
    silence: Ints  # microseconds to the customer's next order, or to the end of the log

    @classmethod
    def of(cls, results: Results) -> Orders:
        """Collect the orders of a replay."""
        customer, at, _ = results.orders
        by_time = np.lexsort((customer, at))
        customer, at = customer[by_time], at[by_time]
        return cls(customer, at, next_orders(customer, at, results.log.last_at) - at)

    def last_before(self, customer: Ints, moment: Ints) -> Ints:
        """Return the index of each customer's last order at or before the given time, or -1."""
        by_customer = np.lexsort((self.at, self.customer))
        starts = np.searchsorted(self.customer[by_customer], customer)
        # A single search finds the positions of all (customer, time) pairs among the sorted orders.
        keys = np.concatenate((self.customer[by_customer], customer))
        times = np.concatenate((self.at[by_customer], moment))
        is_query = np.concatenate((np.zeros(len(by_customer), np.int8), np.ones(len(customer), np.int8)))
        merged = np.lexsort((is_query, times, keys))
        seen = np.cumsum(is_query[merged] == 0)
        place = np.empty(len(keys), np.int64)
        place[merged] = seen
        place = place[len(by_customer) :] - 1
        return np.where(place >= starts, by_customer[np.maximum(place, 0)], -1) if len(by_customer) else starts * 0 - 1


def next_orders(customer: Ints, at: Ints, end_at: int) -> Ints:
    """Return, for each order, the time of the same customer's next order, or the end of the log.

    >>> next_orders(np.array([0, 1, 0]), np.array([1, 2, 5]), end_at=9).tolist()
    [5, 9, 9]
    """
    by_customer = np.lexsort((np.arange(len(at)), at, customer))
    sorted_customer, sorted_at = customer[by_customer], at[by_customer]
    same = np.append(sorted_customer[1:] == sorted_customer[:-1], False) if len(at) else np.zeros(0, bool)
    after = np.where(same, np.append(sorted_at[1:], end_at), end_at) if len(at) else sorted_at
    found = np.empty(len(at), np.int64)
    found[by_customer] = after
    return found


@dataclass(frozen=True)
class Departures:
    """The departures, each identified by the order that precedes it."""

    orders: Orders
    left: Bools  # per order: whether a departure followed, confirmed between the warm-up and the end
    definition: Definition
    lost_after: int  # microseconds

    @property
    def count(self) -> int:
        """Number of departures."""
        return int(self.left.sum())

    def lead_days(self, order: Ints, at: Ints) -> Floats:
        """Return the number of days from each time until the shop's own rule notices the departure."""
        return (self.orders.at[order] + self.lost_after - at) / DAY_US


def find_departures(evaluation: Evaluation) -> Departures:
    """Return the departures between the warm-up and the end of the log."""
    orders, protocol = Orders.of(evaluation.results), evaluation.protocol
    lost_after = round(protocol.lost_after_days * DAY_US)

    def confirmed(silence: int) -> Bools:
        known_at = orders.at + silence
        return (orders.silence >= silence) & (known_at > evaluation.warm_at) & (known_at <= evaluation.end_at)

    strict = confirmed(lost_after)
    if strict.sum() >= ENOUGH:
        return Departures(orders, strict, "lost_after", lost_after)
    return Departures(orders, confirmed(round(protocol.horizon_days * DAY_US)), "horizon", lost_after)


def lead_summary(days: Floats) -> dict[str, object]:
    """Return the quartiles and a histogram of lead times in days."""
    if not len(days):
        return {"n": 0, "median_days": None, "q25_days": None, "q75_days": None, "histogram": []}
    q25, median, q75 = np.quantile(days, (0.25, 0.5, 0.75))
    width = nice_width(float(days.max()))
    edges = np.arange(0, days.max() + width, width)
    counts, _ = np.histogram(days, edges)
    bars = [
        {"from_days": float(a), "to_days": float(a + width), "n": int(n)}
        for a, n in zip(edges[:-1], counts, strict=True)
    ]
    return {
        "n": len(days),
        "median_days": float(median),
        "q25_days": float(q25),
        "q75_days": float(q75),
        "histogram": bars,
    }


def nice_width(span: float, bars: int = 24) -> float:
    """Return a bin width of 1, 2, 5, 7, 10, ... days for which a span has at most `bars` bins.

    >>> nice_width(180)
    10
    """
    widths = (1, 2, 5, 7, 10, 14, 28, 56, 112)
    return next((w for w in widths if span / w <= bars), 224)
