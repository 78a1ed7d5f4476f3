"""Compact columns of simulated events, about 40 bytes per event.

Times are milliseconds since the start of the log, money is in cents, and -1 means that a field is not sent. `customer`
is the customer's number in the log; `order`, `session` and `complaint` are numbers within a block of customers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

BROWSING: Final = np.dtype(
    [
        ("at", "i8"),
        ("customer", "u4"),
        ("session", "u4"),
        ("page", "u1"),
        ("product", "i2"),
        ("category", "i1"),
        ("channel", "u1"),
        ("dwell_tenths", "u2"),
        ("load_hundredths", "u2"),
        ("search", "i2"),
        ("results", "i2"),
        ("available", "i1"),
        ("recommended", "i1"),
        ("price_cents", "i4"),
    ]
)
CART: Final = np.dtype(
    [
        ("at", "i8"),
        ("customer", "u4"),
        ("session", "u4"),
        ("action", "u1"),
        ("product", "i2"),
        ("price_cents", "i4"),
        ("quantity", "u1"),
        ("available", "i1"),
    ]
)
ORDER: Final = np.dtype(
    [
        ("at", "i8"),
        ("customer", "u4"),
        ("order", "u4"),
        ("action", "u1"),
        ("product", "i2"),
        ("amount_cents", "i4"),
        ("discount_cents", "i4"),
        ("items", "u1"),
        ("promised_seconds", "i4"),
        ("delivered_seconds", "i4"),
        ("carrier", "i1"),
        ("staff", "u1"),
        ("region", "u1"),
        ("channel", "u1"),
        ("benefit", "u1"),
    ]
)
COMPLAINT: Final = np.dtype(
    [
        ("at", "i8"),
        ("customer", "u4"),
        ("complaint", "u4"),
        ("order", "i4"),
        ("form", "u1"),
        ("action", "u1"),
        ("category", "i1"),
        ("text", "i1"),
        ("rating", "u1"),
        ("channel", "u1"),
        ("staff", "i1"),
        ("product", "i2"),
    ]
)
TABLES: Final = dict(sorted({"browsing": BROWSING, "cart": CART, "order": ORDER, "complaint": COMPLAINT}.items()))
