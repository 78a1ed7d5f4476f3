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
from stream_app.replay.evaluation.orders import Orders

ENOUGH: Final = 30  # minimum number of departures for a meaningful share
Definition = Literal["lost_after", "horizon"]


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
