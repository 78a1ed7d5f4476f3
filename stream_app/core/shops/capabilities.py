"""Shops as observed by one partition: the fields that each shop sends, and its usual order amount.

Missing evidence counts against a cause of churn only if the shop is known to send the fields that the rule needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import Final

import msgspec
import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.events.enumerations import CartAction, ComplaintAction, OrderAction
from stream_app.core.events.schema import DEFAULT_SHOP, Browsing, Cart, Complaint, CustomerEvent, Order
from stream_app.core.shops.registry import MAX_SHOPS

NOT_YET: Final = 1 << 62
_ANSWERS: Final = (ComplaintAction.ANSWERED, ComplaintAction.RESOLVED)

# kind of event -> field (named as in docs/reference/causes.md) -> whether such an event shows that the shop sends it
_OF_KIND: Final[dict[type, dict[str, Callable[..., bool]]]] = {
    Browsing: {
        "browsing": lambda _: True,
        "browsing.session_id": lambda event: event.session_id is not None,
        "browsing.category": lambda event: event.category is not None,
        "browsing.load_seconds": lambda event: event.load_seconds is not None,
        "browsing.search_results": lambda event: event.search_results is not None,
        "browsing.available": lambda event: event.available is not None,
        "browsing.recommended": lambda event: event.recommended is not None,
        "browsing.dwell_seconds": lambda event: event.dwell_seconds is not None,
    },
    Cart: {
        "cart.add": lambda event: event.action is CartAction.ADD,
        "cart.favourite": lambda event: event.action is CartAction.FAVOURITE,
        "cart.checkout_abandoned": lambda event: event.action is CartAction.CHECKOUT_ABANDONED,
        "cart.price": lambda event: event.price is not None,
        "cart.payment_failed": lambda event: event.action is CartAction.PAYMENT_FAILED,
        "cart.payment_method_removed": lambda event: event.action is CartAction.PAYMENT_METHOD_REMOVED,
    },
    Order: {
        "order": lambda _: True,
        "order.amount": lambda event: event.amount is not None,
        "order.discount": lambda event: event.discount is not None,
        "order.promised_at": lambda event: event.promised_at is not None,
        "order.delivered_at": lambda event: event.delivered_at is not None,
        "order.member_benefit": lambda event: event.member_benefit is not None,
        "order.returned": lambda event: event.action in (OrderAction.RETURNED, OrderAction.REFUNDED),
    },
    Complaint: {
        "complaint": lambda _: True,
        "complaint.category": lambda event: event.category is not None or event.text is not None,
        "complaint.rating": lambda event: event.rating is not None,
        "complaint.answered": lambda event: event.action in _ANSWERS,
        "complaint.resolved": lambda event: event.action is ComplaintAction.RESOLVED,
        "complaint.reopened": lambda event: event.action is ComplaintAction.REOPENED,
        "complaint.unsubscribe": lambda event: event.form == "unsubscribe",
    },
}
CONTACTS: Final = "contact"
FIELDS: Final = (*chain.from_iterable(_OF_KIND.values()), CONTACTS)
_BIT: Final = {field: 1 << place for place, field in enumerate(FIELDS)}
_TESTS: Final = {
    kind: (sum(_BIT[field] for field in tests), [(_BIT[field], test) for field, test in tests.items()])
    for kind, tests in _OF_KIND.items()
}


class KnownShop(msgspec.Struct):
    """A shop's data, as seen by one partition.

    Attributes:
        fields: bitmap of the fields that the shop sends, indexed as FIELDS.
        log_money: sum of log(1 + amount) over all orders.
        answers_since: stream time of the first answer to a complaint, microseconds; NOT_YET: none so far.
        solves_since: stream time of the first resolution of a complaint, in the same form.
    """

    name: str = DEFAULT_SHOP
    fields: int = 0
    orders: int = 0
    log_money: float = 0.0
    answers_since: int = NOT_YET
    solves_since: int = NOT_YET

    def record(self, event: CustomerEvent) -> None:
        """Record the fields that an event contains."""
        every, tests = _TESTS[type(event)]
        missing = every & ~self.fields
        if missing:
            for bit, test in tests:
                if bit & missing and test(event):
                    self.fields |= bit

    def record_step(self, action: ComplaintAction, stream_time: int) -> None:
        """Record since when the shop reports answers to complaints, or resolutions."""
        if action in _ANSWERS:
            self.answers_since = min(self.answers_since, stream_time)
        if action is ComplaintAction.RESOLVED:
            self.solves_since = min(self.solves_since, stream_time)

    def record_order(self, amount: float) -> None:
        """Add the amount of an order that counts."""
        self.orders += 1
        self.log_money += math.log1p(max(amount, 0.0))

    def record_contact(self) -> None:
        """Record that the shop reports contacts with customers."""
        self.fields |= _BIT[CONTACTS]

    def sends(self, field: str) -> bool:
        """Return whether the shop is known to send the given field of FIELDS.

        >>> from stream_app.core.events.schema import decode
        >>> shop = KnownShop()
        >>> order = b'{"type":"order","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z"}'
        >>> shop.record(decode(order))
        >>> shop.sends("order"), shop.sends("order.discount")
        (True, False)
        """
        return bool(self.fields & _BIT[field])

    @property
    def usual_amount(self) -> float:
        """Geometric mean of order amounts, or 0 before the first order."""
        return math.expm1(self.log_money / self.orders) if self.orders else 0.0


class Shops:
    """The shops of a partition, by name and by number. Numbers follow the order of appearance."""

    def __init__(self, known: list[KnownShop] | None = None) -> None:
        self.known = known or []
        self._numbers = {shop.name: number for number, shop in enumerate(self.known)}

    def number(self, name: str) -> int:
        """Return a shop's number, assigned when it is first seen. Shops beyond MAX_SHOPS share the last number."""
        number = self._numbers.get(name)
        if number is None:
            if len(self.known) == MAX_SHOPS:
                return MAX_SHOPS - 1
            number = self._numbers[name] = len(self.known)
            self.known.append(KnownShop(name))
        return number

    def usual_amounts(self) -> Floats:
        """Return the usual order amount by shop number, 0 if unknown; shape (MAX_SHOPS,)."""
        usual = np.zeros(MAX_SHOPS)
        usual[: len(self.known)] = [shop.usual_amount for shop in self.known]
        return usual

    def __getitem__(self, number: int) -> KnownShop:
        return self.known[number] if number < len(self.known) else KnownShop()
