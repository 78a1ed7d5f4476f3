"""Money net of returns: what each event adds to what a customer has brought.

An order that counts brings its amount. An order that is cancelled or returned brings nothing, and one that is refunded
brings less. This is the only definition: the state, the report, `policy try` and uplift use it.

- A step of an order takes back its amount, or without one the whole order.
- All steps of an order take back at most what it brought, so that a return and its refund count once.
- An order that never counted brought nothing, so nothing is taken back.
- A step without an order id takes back its amount.
- A complaint of the form `cancellation` takes back its amount when it is opened. If it names a known order, that is the
  order's money.

Only the latest orders of a customer are remembered. A step of an earlier one takes nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final

import xxhash

from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import Complaint, Event, Order

REMEMBERED: Final = 8  # orders per customer
KEY_BYTES: Final = 4
_KEY_MASK: Final = (1 << 8 * KEY_BYTES) - 1
_ENTRY: Final = Struct("<Id")  # key and what is left
_TAKES_BACK: Final = (OrderAction.CANCELLED, OrderAction.RETURNED, OrderAction.REFUNDED)


class OrderAmounts:
    """What is left of the latest orders of a customer.

    Most customers have a few orders and no returns: packed, they take a third of the memory of a dict.

    Args:
        left: hash of an order id -> what its steps can still take back, oldest first.

    >>> from datetime import UTC, datetime
    >>> from msgspec.structs import replace
    >>> order = Order(event_id="1", customer_id="c", occurred_at=datetime.now(UTC), order_id="o", amount=50.0)
    >>> back, amounts = replace(order, action=OrderAction.RETURNED), OrderAmounts()
    >>> amounts.change(order, counts=True), amounts.change(back, counts=False), amounts.change(back, counts=False)
    (50.0, -50.0, 0.0)
    """

    __slots__ = ("_packed",)

    def __init__(self, left: Mapping[int, float] = MappingProxyType({})) -> None:
        self._pack(left)

    @property
    def left(self) -> dict[int, float]:
        """Hash of an order id -> what its steps can still take back, oldest first."""
        return dict(_ENTRY.iter_unpack(self._packed))

    def _pack(self, left: Mapping[int, float]) -> None:
        self._packed = b"".join([_ENTRY.pack(key, amount) for key, amount in left.items()])

    def change(self, event: Event, *, counts: bool) -> float:
        """Return what an event adds to the customer's money; negative if it takes money back.

        Args:
            event: the next event of the customer.
            counts: whether it counts as an order.
        """
        if isinstance(event, Order):
            return self._add(event) if counts else 0.0 - self._take_back(event)  # not -0.0
        return 0.0 - self._cancel(event) if isinstance(event, Complaint) else 0.0

    def _add(self, order: Order) -> float:
        amount = order.amount or 0.0
        if order.order_id is not None and amount > 0.0:
            key, left = _key(order.order_id), self.left
            left[key] = left.get(key, 0.0) + amount
            if len(left) > REMEMBERED:
                del left[next(iter(left))]
            self._pack(left)
        return amount

    def _take_back(self, step: Order) -> float:
        if step.action not in _TAKES_BACK:
            return 0.0
        if step.order_id is None:
            return abs(step.amount or 0.0)
        return self._take(_key(step.order_id), step.amount)

    def _cancel(self, complaint: Complaint) -> float:
        opens = complaint.form is ComplaintForm.CANCELLATION and complaint.action is ComplaintAction.OPENED
        if not opens or complaint.amount is None:
            return 0.0
        if complaint.order_id is not None and (key := _key(complaint.order_id)) in self.left:
            return self._take(key, complaint.amount)
        return abs(complaint.amount)

    def _take(self, key: int, amount: float | None) -> float:
        left = self.left
        known = left.get(key, 0.0)
        taken = known if amount is None else min(abs(amount), known)
        if taken:
            left[key] = known - taken
            self._pack(left)
        return taken


def _key(order_id: str) -> int:
    """Return a short hash. Two of a customer's remembered orders share one once in 150 million customers."""
    return int(xxhash.xxh3_64_intdigest(order_id.encode("utf-8", "surrogatepass"))) & _KEY_MASK
