"""Orders of a replay, and the search for a customer's orders before and after a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.replay.results import Results


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
        by_customer, places = self._places(customer, moment)
        found = by_customer[places - 1]
        return np.where(self.customer[found] == customer, found, -1)

    def first_after(self, customer: Ints, moment: Ints) -> Ints:
        """Return the index of each customer's first order after the given time, or -1."""
        by_customer, places = self._places(customer, moment)
        found = by_customer[places]
        return np.where(self.customer[found] == customer, found, -1)

    def _places(self, customer: Ints, moment: Ints) -> tuple[Ints, Ints]:
        """Return the orders by customer and time followed by -1, and the places at which the queries belong there.

        Orders are in order of time, so the index of an order is also its rank in time.
        """
        by_customer, n = np.argsort(self.customer, kind="stable"), len(self.at)
        keys = self.customer[by_customer] * n + by_customer
        places = np.searchsorted(keys, customer * n + np.searchsorted(self.at, moment, side="right"))
        return np.append(by_customer, -1), places


def next_orders(customer: Ints, at: Ints, end_at: int) -> Ints:
    """Return, for each order, the time of the same customer's next order, or the end of the log.

    >>> next_orders(np.array([0, 1, 0]), np.array([1, 2, 5]), end_at=9).tolist()
    [5, 9, 9]
    """
    by_customer = np.lexsort((at, customer))
    same = customer[by_customer[1:]] == customer[by_customer[:-1]]
    found = np.full(len(at), end_at)
    found[by_customer[:-1][same]] = at[by_customer[1:][same]]
    return found


def first_orders(orders: Orders, customers: int) -> Ints:
    """Return the time of each customer's first order."""
    first = np.full(customers, np.iinfo(np.int64).max)
    np.minimum.at(first, orders.customer, orders.at)
    return first
