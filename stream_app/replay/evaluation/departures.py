"""Who really left, and when the shop's own rule would have noticed.

A silence runs from an order to the customer's next one, or to the log's end. A departure is a silence at least as
long as the shop's own rule `lost_after`; that rule notices on the day `lost_after` after the last order. Where the
log is too short to see enough of those, silences longer than the horizon stand in, and the figures say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.results import Results

ENOUGH: Final = 30  # departures below which a share of them says nothing
Definition = Literal["lost_after", "horizon"]


@dataclass(frozen=True)
class Orders:
    """All orders by time, and how long each customer was silent after each."""

    customer: Ints
    at: Ints
    silence: Ints  # microseconds to the customer's next order, or to the log's end

    @classmethod
    def of(cls, results: Results) -> Orders:
        """From a replay."""
        customer, at, _ = results.orders
        by_time = np.lexsort((customer, at))
        customer, at = customer[by_time], at[by_time]
        return cls(customer, at, following(customer, at, results.log.last_at) - at)

    def last_before(self, customer: Ints, moment: Ints) -> Ints:
        """The index of each customer's last order at or before a moment; -1 where there is none."""
        by_customer = np.lexsort((self.at, self.customer))
        starts = np.searchsorted(self.customer[by_customer], customer)
        # One search for all: positions of (customer, time) pairs in the orders sorted the same way.
        keys = np.concatenate((self.customer[by_customer], customer))
        times = np.concatenate((self.at[by_customer], moment))
        is_query = np.concatenate((np.zeros(len(by_customer), np.int8), np.ones(len(customer), np.int8)))
        merged = np.lexsort((is_query, times, keys))
        seen = np.cumsum(is_query[merged] == 0)
        place = np.empty(len(keys), np.int64)
        place[merged] = seen
        place = place[len(by_customer) :] - 1
        return np.where(place >= starts, by_customer[np.maximum(place, 0)], -1) if len(by_customer) else starts * 0 - 1


def following(customer: Ints, at: Ints, end_at: int) -> Ints:
    """When the same customer's next order came, or the end; in the order given.

    >>> following(np.array([0, 1, 0]), np.array([1, 2, 5]), end_at=9).tolist()
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
    """The silences, each named by the order that it followed, that turned out to be departures."""

    orders: Orders
    left: Bools  # of each order: the customer left after it, and it was confirmed between warm-up and the end
    definition: Definition
    lost_after: int  # microseconds

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.left.sum())

    def lead_days(self, order: Ints, at: Ints) -> Floats:
        """Days from each moment to the day on which the shop's own rule would have noticed."""
        return (self.orders.at[order] + self.lost_after - at) / DAY_US


def find_departures(evaluation: Evaluation) -> Departures:
    """All departures between the warm-up and the log's end."""
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
    """Quartiles and a histogram of lead times, in days."""
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
    """A width of 1, 2, 5, 7, 10, ... days that cuts a span into at most `bars`.

    >>> nice_width(180)
    10
    """
    widths = (1, 2, 5, 7, 10, 14, 28, 56, 112)
    return next((w for w in widths if span / w <= bars), 224)
