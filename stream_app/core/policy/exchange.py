"""Conversion of orders into the shop's currency, by the fixed rates of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from stream_app.core.events.schema import MAX_MONEY, Event, Order

_EventT = TypeVar("_EventT", bound=Event)


def in_shop_currency(event: _EventT, rates: Mapping[str, float]) -> _EventT:
    """Return an event with its amounts in the shop's currency. Amounts in currencies without a rate are not changed.

    Args:
        event: any event; only orders have a currency.
        rates: what one unit of a currency is worth in the shop's.
    """
    if not isinstance(event, Order) or event.currency is None or (rate := rates.get(event.currency)) is None:
        return event
    amount, discount = (_converted(one, rate) for one in (event.amount, event.discount))
    return msgspec.structs.replace(event, amount=amount, discount=discount)


def _converted(amount: float | None, rate: float) -> float | None:
    return None if amount is None else min(max(amount * rate, -MAX_MONEY), MAX_MONEY)
