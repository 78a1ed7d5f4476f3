"""Counters of a customer over two periods, used only for explanations.

Counters hold the numbers that only explanations need, separate from the state vector, which is scored at every event.
They cover the period of the customer's latest event and the period before it. Events that preceded a silence are kept,
no matter how long the silence lasts; events from a year earlier are dropped.

Counters do not depend on the arrival order of events within the allowed lateness, which is shorter than a period.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.units import DAY_US

PERIOD_DAYS: Final = 90
CONTACT_PERIOD_DAYS: Final = 28
COMPLAINED: Final = (
    "quality",
    "logistics",
    "service",
    "refund",
    "promise",
    "price",
    "messages",
    "privacy",
    "site",
    "stock",
)  # kinds of complaints (complaint_kinds.py)
COUNTED: Final = (
    "views",
    "sessions",  # bitmap of SKETCH_BITS bits: linear counting
    "categories",  # bitmap, like sessions
    "slow_pages",
    "empty_searches",
    "unavailable",  # views and carts of unavailable products
    "recommended",  # views of recommended products
    "brief",  # views of recommended products that were left quickly
    "adds",  # additions to the cart
    "abandoned",  # abandoned checkouts in which a price was shown
    "payment_failures",
    "methods_removed",
    "orders",
    "returned",
    "refunded",
    "delivered",  # deliveries with a promised and an actual time
    "late",
    "late_hours",  # whole hours of delay, summed over late deliveries
    "rushed",  # orders with delivery promised within RUSH_HOURS
    "complaints",
    "reopened",
    "low_ratings",
    "unsubscribes",
    *(f"about_{kind}" for kind in COMPLAINED),
    "about_other",
)
_ALONE: Final = ("shop", "period", "contact_period", "contacts", "contacts_before")
COUNTERS: Final = (*_ALONE, *COUNTED, *(f"{name}_before" for name in COUNTED))
COUNTER: Final = {name: place for place, name in enumerate(COUNTERS)}
SKETCH_BITS: Final = 16
MOST: Final = 65_535  # counters saturate at this value

SHOP, PERIOD, _CONTACT_PERIOD, _CONTACTS, _CONTACTS_BEFORE = range(len(_ALONE))
_NOW, _BEFORE = len(_ALONE), len(_ALONE) + len(COUNTED)
_NOTHING: Final = array("H", [0] * len(COUNTED))
_FIRST_DAY: Final = 36_600  # periods are counted from this many days before 1970, so that none is negative
_FIRST_US: Final = _FIRST_DAY * DAY_US
_PERIOD_US: Final = PERIOD_DAYS * DAY_US
EMPTY_COUNTERS: Final = array("H", [0] * len(COUNTERS))  # a copy of an array takes no more memory than it needs

Counters = array  # of type code "H", len(COUNTERS) long


def place_in(counters: Counters[int], at: int) -> int | None:
    """Return the index of the first counter for a time, shifting periods if needed, or None if it is too old.

    >>> counters, day = array("H", EMPTY_COUNTERS), DAY_US
    >>> now = place_in(counters, 20_000 * day)
    >>> now == place_in(counters, 20_001 * day) != place_in(counters, (20_000 - PERIOD_DAYS) * day)
    True
    """
    period = (at + _FIRST_US) // _PERIOD_US
    if (ahead := period - counters[PERIOD]) == 0:
        return _NOW
    if ahead > 0:
        counters[_BEFORE:] = counters[_NOW:_BEFORE] if ahead == 1 else _NOTHING
        counters[_NOW:_BEFORE] = _NOTHING
        counters[PERIOD] = period
        return _NOW
    return _BEFORE if ahead == -1 else None


def count(counters: Counters[int], place: int, amount: int = 1) -> None:
    """Increase a counter, up to MOST."""
    counters[place] = min(counters[place] + amount, MOST)


@lru_cache(maxsize=1 << 16)
def bit_of(name: str) -> int:
    """Return a name's bit in a bitmap for linear counting (Whang, Vander-Zanden, Taylor, ACM TODS 1990)."""
    return 1 << xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) % SKETCH_BITS


def count_contact(counters: Counters[int], day: float) -> None:
    """Count a message to the customer. Messages have separate periods, since they continue during a silence."""
    period = int(day + _FIRST_DAY) // CONTACT_PERIOD_DAYS
    if (ahead := period - counters[_CONTACT_PERIOD]) > 0:
        counters[_CONTACTS_BEFORE] = counters[_CONTACTS] if ahead == 1 else 0
        counters[_CONTACT_PERIOD], counters[_CONTACTS] = period, 0
    if ahead >= -1:
        count(counters, _CONTACTS if ahead >= 0 else _CONTACTS_BEFORE)


def contacts_per_week(counters: Counters[int], day: float) -> float:
    """Return the messages per week over the period that contains `day`, up to that day, and the previous period."""
    into = (day + _FIRST_DAY) % CONTACT_PERIOD_DAYS
    ahead = int(day + _FIRST_DAY) // CONTACT_PERIOD_DAYS - counters[_CONTACT_PERIOD]
    sent = counters[_CONTACTS] + counters[_CONTACTS_BEFORE] if ahead == 0 else counters[_CONTACTS] if ahead == 1 else 0
    return sent / (into + CONTACT_PERIOD_DAYS) * 7.0


def matrix(counters: Sequence[Counters[int]]) -> npt.NDArray[np.uint16]:
    """Return the counters of n customers as a matrix, shape (n, len(COUNTERS))."""
    return np.frombuffer(b"".join(counters), dtype=np.uint16).reshape(len(counters), len(COUNTERS))
