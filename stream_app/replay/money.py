"""Money of a replay: what orders brought, and what was taken back (`core/state/order_amounts.py`)."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.events.schema import Complaint, Event, Order
from stream_app.core.state.order_amounts import OrderAmounts

Columns = tuple[Ints, Ints, Floats]  # customer index, time in microseconds, amount


class Money:
    """Collects the changes of customers' money as columns, in order of arrival.

    Args:
        customer_index: returns the index of a customer.
    """

    def __init__(self, customer_index: Callable[[str], int]) -> None:
        self._index = customer_index
        self._customer, self._at, self._amount, self._is_order = array("q"), array("q"), array("d"), array("b")
        self._amounts: defaultdict[str, OrderAmounts] = defaultdict(OrderAmounts)
        self._seen: set[str] = set()  # ids of the events that took money back
        self.currencies: Counter[str] = Counter()

    def __len__(self) -> int:  # orders
        return sum(self._is_order)

    def record(self, event: Event, at: int, *, counts: bool) -> None:
        """Record an order that counts, or what another event takes back. A repeated event takes back nothing.

        Args:
            event: any event.
            at: its time, microseconds.
            counts: whether it counts as an order.
        """
        if not isinstance(event, Order | Complaint) or (not counts and event.event_id in self._seen):
            return
        change = self._amounts[event.customer_id].change(event, counts=counts)
        if not counts:
            if not change:
                return
            self._seen.add(event.event_id)
        self._customer.append(self._index(event.customer_id))
        self._at.append(at)
        self._amount.append(change)
        self._is_order.append(counts)
        if counts and change and (currency := getattr(event, "currency", None)):
            self.currencies[currency] += 1

    def changes(self) -> tuple[Ints, Ints, Floats, Bools]:
        """Return the customer, time and amount of all changes, and whether each is an order."""
        customer, at = np.array(self._customer, np.int64), np.array(self._at, np.int64)
        return customer, at, np.array(self._amount, np.float64), np.array(self._is_order, np.bool_)

    def orders(self) -> Columns:
        """Return all orders."""
        *columns, is_order = self.changes()
        return tuple(column[is_order] for column in columns)  # type: ignore[return-value]

    def refunds(self) -> Columns:
        """Return everything that was taken back, as negative amounts."""
        *columns, is_order = self.changes()
        return tuple(column[~is_order] for column in columns)  # type: ignore[return-value]
