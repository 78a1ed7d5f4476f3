"""Money of a replay: the amounts of orders, and what was taken back."""

from __future__ import annotations

from array import array
from collections import Counter

import numpy as np
import xxhash

from stream_app.core.arrays import Floats, Ints
from stream_app.core.events.enumerations import ComplaintForm, OrderAction
from stream_app.core.events.schema import Complaint, Event, Order

TAKEN_BACK = (OrderAction.CANCELLED, OrderAction.RETURNED, OrderAction.REFUNDED)
Columns = tuple[Ints, Ints, Floats]  # customer index, time in microseconds, amount


class Money:
    """Collects orders and refunds as columns.

    An order that is cancelled, returned or refunded takes back the amount of that step, or without one the whole
    order; all its steps together at most what the order brought. An order that never counted takes back nothing. A
    step without an order id takes back its amount.
    """

    def __init__(self) -> None:
        self._customer, self._at, self._amount, self._order = array("q"), array("q"), array("d"), array("q")
        self._refunds: list[tuple[int, int, float | None, str | None]] = []
        self._seen: set[str] = set()  # ids of the events that took money back
        self.currencies: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._at)

    def add_order(self, customer: int, at: int, order: Event) -> None:
        """Add an order that counts."""
        amount, order_id = amount_of(order), getattr(order, "order_id", None)
        self._customer.append(customer)
        self._at.append(at)
        self._amount.append(amount or 0.0)
        self._order.append(hash_of(order_id))
        if amount and (currency := getattr(order, "currency", None)):
            self.currencies[currency] += 1

    def takes_back(self, event: Event) -> bool:
        """Return whether an event that does not count as an order takes money back."""
        if isinstance(event, Order):
            return event.action in TAKEN_BACK and (event.amount is not None or event.order_id is not None)
        return (
            isinstance(event, Complaint) and event.form == ComplaintForm.CANCELLATION and amount_of(event) is not None
        )

    def add_refund(self, customer: int, at: int, event: Event) -> None:
        """Add an event that takes money back; a repeated event is ignored."""
        if event.event_id in self._seen:
            return
        self._seen.add(event.event_id)
        amount, order_id = amount_of(event), event.order_id if isinstance(event, Order) else None
        self._refunds.append((customer, at, None if amount is None else abs(amount), order_id))

    def orders(self) -> Columns:
        """Return all orders, in order of arrival."""
        customer, at = np.array(self._customer, np.int64), np.array(self._at, np.int64)
        return customer, at, np.array(self._amount, np.float64)

    def refunds(self) -> Columns:
        """Return everything that was taken back, as negative amounts, in order of arrival."""
        left = self._amounts_of({hash_of(order_id) for *_, order_id in self._refunds if order_id is not None})
        rows: list[tuple[int, int, float]] = []
        for customer, at, amount, order_id in self._refunds:
            if order_id is None:
                rows.append((customer, at, -(amount or 0.0)))
                continue
            key = customer, hash_of(order_id)
            rest = left.get(key, 0.0)
            taken = rest if amount is None else min(amount, rest)
            left[key] = rest - taken
            if taken:
                rows.append((customer, at, -taken))
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        return np.array(columns[0], np.int64), np.array(columns[1], np.int64), np.array(columns[2], np.float64)

    def _amounts_of(self, wanted: set[int]) -> dict[tuple[int, int], float]:
        """Return what the orders with the wanted ids brought, by customer and id."""
        found: dict[tuple[int, int], float] = {}
        ids = np.array(self._order, np.int64)
        for row in np.flatnonzero(np.isin(ids, np.array(sorted(wanted), np.int64))).tolist():
            key = self._customer[row], self._order[row]
            found[key] = found.get(key, 0.0) + max(self._amount[row], 0.0)
        return found


def amount_of(event: Event) -> float | None:
    """Return the amount of an event, if it has one."""
    amount: float | None = getattr(event, "amount", None)
    return amount


def hash_of(order_id: str | None) -> int:
    """Return a 64-bit hash of an order id; 0 if there is none."""
    if order_id is None:
        return 0
    return int(xxhash.xxh3_64_intdigest(order_id.encode("utf-8", "surrogatepass"))) - 2**63
