"""Net money of customers: orders less refunds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.replay.results import Results


@dataclass(frozen=True)
class Ledger:
    """Money that customers brought in: orders, and refunds as negative amounts, in order of (customer, time)."""

    customer: Ints
    at: Ints
    amount: Floats

    @classmethod
    def of(cls, results: Results) -> Ledger:
        """Collect the orders and refunds of a replay."""
        customer, at, amount = (np.concatenate(pair) for pair in zip(results.orders, results.refunds, strict=True))
        order = np.lexsort((at, customer))  # stable, so an order precedes a refund of the same time
        return cls(customer[order], at[order], amount[order])

    def net(self, customer: Ints, moment: Ints) -> Floats:
        """Return the net money of each customer at or before the given time; at least 0."""
        times = np.sort(self.at)
        width = len(times) + 1
        keys = self.customer * width + np.searchsorted(times, self.at, side="right")
        until = np.searchsorted(keys, customer * width + np.searchsorted(times, moment, side="right"), side="right")
        first = np.searchsorted(keys, customer * width, side="left")
        sums = np.concatenate(([0.0], np.cumsum(self.amount)))
        return np.maximum(sums[until] - sums[first], 0.0)
