"""What customers spent and when they ordered, for comparison with predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints

_WIDTH: Final = 1e6  # days; more than any log has, so that a customer and a day are one sortable number


class Ledger:
    """Money by customer and day.

    Args:
        money: customer, day since 1970, amount (negative: given back), and whether it is an order.
        owners: customers of the decisions to compare with.
    """

    def __init__(self, money: Iterable[tuple[str, float, float, bool]], owners: Sequence[str]) -> None:
        names, days, amounts, orders = zip(*money, strict=True)
        known = {name: place for place, name in enumerate(sorted(set(names)))}
        self.owners: Ints = np.array([known[name] for name in owners], dtype=np.int64)
        customer: Ints = np.array([known[name] for name in names], dtype=np.int64)
        day: Floats = np.array(days)
        place = np.lexsort((day, customer))
        self.customer, self.day = customer[place], day[place]
        self.amount: Floats = np.array(amounts)[place]
        self.is_order: Bools = np.array(orders, dtype=bool)[place]
        self.start, self.end = float(day.min()), float(day.max())
        self._keys = self.customer * _WIDTH + self.day

    def spent(self, after: Floats, until: Floats) -> Floats:
        """Return what the owners spent after one day and until another, net of what they got back."""
        total = np.concatenate([[0.0], np.cumsum(self.amount)])
        begin, end = (np.searchsorted(self._keys, self.owners * _WIDTH + days, side="right") for days in (after, until))
        return total[end] - total[begin]

    def until_order(self, day: Floats) -> Floats:
        """Return the days until the owners' next order after a day, or infinity."""
        keys = self._keys[self.is_order]
        place = np.searchsorted(keys, self.owners * _WIDTH + day, side="right")
        until = np.append(keys, np.inf)[place] - (self.owners * _WIDTH + day)
        return np.where(until < _WIDTH / 2, until, np.inf)
