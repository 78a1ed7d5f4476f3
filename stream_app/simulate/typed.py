"""Conversion of compact columns to typed events.

Ids are scrambled numbers: unique, the same for the same seed, and unrelated to the hidden attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Ints
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, OrderAction, Page
from stream_app.core.events.schema import CUSTOMER_KINDS, Event
from stream_app.simulate.arrays import Table
from stream_app.simulate.calendar import SHOP_ZONE
from stream_app.simulate.shop import BLOCK, PRODUCTS, ShopSettings
from stream_app.simulate.vocabulary import (
    ACQUISITION_CHANNELS,
    CARRIERS,
    CATEGORIES,
    COMPLAINT_CATEGORIES,
    COMPLAINT_CHANNELS,
    REGIONS,
    SEARCHES,
    STAFF,
    TEXTS,
    VISIT_CHANNELS,
)

Unsigned = npt.NDArray[np.uint64]
Names = list[str | None]
Columns = dict[str, Iterable[Any]]

CURRENCY: Final = "CNY"
PRODUCT_IDS: Final = tuple(f"p{number:04d}" for number in range(PRODUCTS))
PRODUCT_CATEGORIES: Final = tuple(CATEGORIES[number * len(CATEGORIES) // PRODUCTS] for number in range(PRODUCTS))
NOW: Final = timedelta(0)
MAYBE: Final = (False, True)
# Salts by type of id. Row numbers within a block need fewer than 32 bits.
SALTED: Final = (*CUSTOMER_KINDS, "session_id", "order_id", "complaint_id")
SALTS: Final = {name: 0x5851F42D4C957F2D * (number + 1) % 2**64 for number, name in enumerate(SALTED)}


def scrambled(blocks: Ints, numbers: Ints, salt: int) -> list[str]:
    """Return unique ids of 16 hexadecimal digits for pairs of (block, number in the block).

    Uses the finalizer of splitmix64 (Steele, Lea, Flood 2014), which is a bijection on 64-bit numbers.

    >>> scrambled(np.array([0, 0]), np.array([1, 2]), 7)
    ['d17707977078336c', 'b6bf613dbebb45dc']
    """
    mixed: Unsigned = (blocks.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64)) ^ np.uint64(salt)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    digits = (mixed ^ (mixed >> np.uint64(31))).astype(">u8").tobytes().hex()
    return [digits[place : place + 16] for place in range(0, len(digits), 16)]


def customer_ids(numbers: Ints) -> list[str]:
    """Return customer ids as a shop would assign them.

    >>> customer_ids(np.array([12345]))
    ['c00012345']
    """
    return [f"c{number:08d}" for number in numbers.tolist()]


def _ids(prefix: str, table: Table, numbers: Ints, salt: str) -> Names:
    """Convert numbers to ids with a prefix; -1 becomes None."""
    ids = scrambled(table["customer"] // BLOCK, np.maximum(numbers, 0), SALTS[salt])
    return [None if number < 0 else prefix + one for number, one in zip(numbers.tolist(), ids, strict=True)]


def _decoded(values: Iterable[Any], codes: Ints) -> list[Any]:
    """Convert codes to values by their position; -1 becomes None."""
    table = [*values, None]
    return [table[code] for code in codes.tolist()]


def _prices(cents: Ints) -> list[float | None]:
    return [None if price < 0 else price / 100 for price in cents.tolist()]


class EventMaker:
    """Converts rows of one shop's log into typed events.

    >>> from stream_app.simulate.tables import CART
    >>> made = EventMaker(ShopSettings()).make("cart", np.zeros(1, CART), np.array([0]))
    >>> made[0].customer_id, str(made[0].occurred_at), made[0].product_id
    ('c00000000', '2025-01-01 00:00:00+08:00', 'p0000')
    """

    def __init__(self, settings: ShopSettings) -> None:
        self._shop_id = settings.shop_id
        self._start = settings.start.astimezone(SHOP_ZONE)
        self._columns: dict[str, Callable[[Table], Columns]] = {
            "browsing": _browsing,
            "cart": _cart,
            "order": self._order,
            "complaint": _complaint,
        }

    def make(self, kind: str, table: Table, numbers: Ints) -> list[Event]:
        """Convert rows to events. `numbers` are the row numbers within kind and block, used for the event ids."""
        columns: Columns = {
            "event_id": _ids("e", table, numbers, kind),
            "customer_id": customer_ids(table["customer"]),
            "occurred_at": self._times(table["at"]),
            "shop_id": [self._shop_id] * len(table),
            **self._columns[kind](table),
        }
        make, names = CUSTOMER_KINDS[kind], tuple(columns)
        return [make(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def _times(self, milliseconds: Ints) -> list[datetime]:
        after: list[timedelta] = milliseconds.astype("timedelta64[ms]").tolist()
        return [self._start + one for one in after]

    def _later(self, seconds: Ints) -> list[datetime | None]:
        after: list[timedelta] = seconds.astype("timedelta64[s]").tolist()
        return [None if one < NOW else self._start + one for one in after]

    def _order(self, table: Table) -> Columns:
        return {
            "action": _decoded(OrderAction, table["action"]),
            "order_id": _ids("o", table, table["order"], "order_id"),
            "amount": (table["amount_cents"] / 100).tolist(),
            "discount": (table["discount_cents"] / 100).tolist(),
            "currency": [CURRENCY] * len(table),
            "items": table["items"].tolist(),
            "product_id": _decoded(PRODUCT_IDS, table["product"]),
            "category": _decoded(PRODUCT_CATEGORIES, table["product"]),
            "promised_at": self._later(table["promised_seconds"]),
            "delivered_at": self._later(table["delivered_seconds"]),
            "carrier": _decoded(CARRIERS, table["carrier"]),
            "staff": _decoded(STAFF, table["staff"]),
            "region": _decoded(REGIONS, table["region"]),
            "acquisition_channel": _decoded(ACQUISITION_CHANNELS, table["channel"]),
            "member_benefit": _decoded(MAYBE, table["benefit"]),
        }


def _browsing(table: Table) -> Columns:
    return {
        "page": _decoded(Page, table["page"]),
        "product_id": _decoded(PRODUCT_IDS, table["product"]),
        "category": _decoded(CATEGORIES, table["category"]),
        "session_id": _ids("s", table, table["session"], "session_id"),
        "channel": _decoded(VISIT_CHANNELS, table["channel"]),
        "dwell_seconds": (table["dwell_tenths"] / 10).tolist(),
        "load_seconds": (table["load_hundredths"] / 100).tolist(),
        "search_text": _decoded(SEARCHES, table["search"]),
        "search_results": [None if results < 0 else results for results in table["results"].tolist()],
        "available": _decoded(MAYBE, table["available"]),
        "recommended": _decoded(MAYBE, table["recommended"]),
        "price": _prices(table["price_cents"]),
    }


def _cart(table: Table) -> Columns:
    return {
        "action": _decoded(CartAction, table["action"]),
        "product_id": _decoded(PRODUCT_IDS, table["product"]),
        "category": _decoded(PRODUCT_CATEGORIES, table["product"]),
        "session_id": _ids("s", table, table["session"], "session_id"),
        "price": _prices(table["price_cents"]),
        "quantity": [quantity or None for quantity in table["quantity"].tolist()],
        "available": _decoded(MAYBE, table["available"]),
    }


def _complaint(table: Table) -> Columns:
    return {
        "form": _decoded(ComplaintForm, table["form"]),
        "action": _decoded(ComplaintAction, table["action"]),
        "complaint_id": _ids("k", table, table["complaint"], "complaint_id"),
        "order_id": _ids("o", table, table["order"], "order_id"),
        "category": _decoded(COMPLAINT_CATEGORIES, table["category"]),
        "text": _decoded(TEXTS, table["text"]),
        "rating": [rating or None for rating in table["rating"].tolist()],
        "channel": _decoded(COMPLAINT_CHANNELS, table["channel"]),
        "staff": _decoded(STAFF, table["staff"]),
        "product_id": _decoded(PRODUCT_IDS, table["product"]),
    }
