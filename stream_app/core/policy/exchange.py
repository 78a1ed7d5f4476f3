"""Conversion of orders into the shop's currency, by the fixed rates of the policy."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from stream_app.core.events.schema import MAX_MONEY, Event, Order
from stream_app.core.policy.policy import Currency

_EventT = TypeVar("_EventT", bound=Event)


def in_shop_currency(event: _EventT, currency: Currency) -> _EventT:
    """Return an event with its amounts in the shop's currency. Amounts in currencies without a rate are not changed.

    Args:
        event: any event; only orders have a currency.
        currency: the shop's currency and its rates.
    """
    if not isinstance(event, Order) or event.currency is None or (rate := currency.rates.get(event.currency)) is None:
        return event
    amount, discount = (_converted(one, rate) for one in (event.amount, event.discount))
    return msgspec.structs.replace(event, amount=amount, discount=discount, currency=currency.base or None)


def _converted(amount: float | None, rate: float) -> float | None:
    return None if amount is None else min(max(amount * rate, -MAX_MONEY), MAX_MONEY)
