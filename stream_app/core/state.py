"""What is remembered of a customer: one vector of numbers of fixed layout, and a ring of recent event ids.

Everything that a feature needs is a number in `facts` at a fixed place, so that the state of a customer is bounded whatever
he does, a thousand states are one matrix (`features.py` works on such matrices), and the codec is a copy.

Facts do not depend on the order in which events within the allowed lateness arrive, up to rounding: counts and extremes
commute, decayed counts are kept in forward-decay form, and gaps between order days are kept over a sorted ring that reaches
further back than the largest allowed lateness.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

import xxhash

from stream_app.core.events import (
    Browsing,
    Cart,
    CartAction,
    Complaint,
    ComplaintAction,
    ComplaintForm,
    Event,
    Order,
    OrderAction,
)

DAY_US: Final = 86_400_000_000
NEVER: Final = -1e9  # days; a time long before every log, so that "since" is huge and needs no test for absence

HALF_LIVES: Final = (2.0, 7.0, 30.0, 90.0, 365.0)  # days
DECAYED: Final = ("order", "browsing", "cart", "complaint", "money")
RING: Final = 8  # order days remembered; reaches further back than MAX_LATENESS_DAYS because order days are distinct
MAX_LATENESS_DAYS: Final = RING - 1
ID_RING: Final = 16  # recent event ids, to recognise what a producer sent twice


_names: list[str] = []
_never: set[int] = set()


def _slot(name: str, never: bool = False) -> int:
    _names.append(name)
    if never:
        _never.add(len(_names) - 1)
    return len(_names) - 1


# Times are in days since 1970-01-01 UTC; counts since the first event; money in the shop's currency.
FIRST_SEEN = _slot("first_seen", never=True)
LAST_SEEN = _slot("last_seen", never=True)
FIRST_ORDER = _slot("first_order", never=True)
LAST_ORDER = _slot("last_order", never=True)
LAST_BROWSING = _slot("last_browsing", never=True)
LAST_CART = _slot("last_cart", never=True)
LAST_COMPLAINT = _slot("last_complaint", never=True)
ORDERS = _slot("orders")
ORDER_DAYS = _slot("order_days")
MONEY = _slot("money")
LOG_MONEY = _slot("log_money")
LAST_AMOUNT = _slot("last_amount")
MAX_AMOUNT = _slot("max_amount")
GAP_SQUARES = _slot("gap_squares")
GAP_LOGS = _slot("gap_logs")
GAP_LOG_SQUARES = _slot("gap_log_squares")
DISCOUNTED = _slot("discounted")
DISCOUNT = _slot("discount")
RETURNS = _slot("returns")
LATE_DELIVERIES = _slot("late_deliveries")
BROWSINGS = _slot("browsings")
CARTS = _slot("carts")
FAVOURITES = _slot("favourites")
CHECKOUTS = _slot("checkouts")
ABANDONED = _slot("abandoned")
PAYMENT_FAILURES = _slot("payment_failures")
CATEGORIES = _slot("categories")
COMPLAINTS = _slot("complaints")
COMPLAINTS_OPEN = _slot("complaints_open")
COMPLAINT_OPENED = _slot("complaint_opened", never=True)
LOW_REVIEWS = _slot("low_reviews")
UNSUBSCRIBED = _slot("unsubscribed")
DAYS = len(_names)
for _i in range(RING):
    _slot(f"day_{_i}", never=True)
REFERENCE = len(_names)
for _kind in DECAYED:
    _slot(f"reference_{_kind}", never=True)
DECAY = len(_names)
for _kind in DECAYED:
    for _h in HALF_LIVES:
        _slot(f"decayed_{_kind}_{_h:g}d")
SLOTS: Final = tuple(_names)
EMPTY: Final = array("d", [NEVER if i in _never else 0.0 for i in range(len(SLOTS))])
_RATES: Final = tuple(1.0 / h for h in HALF_LIVES)
print(len(SLOTS)) if 0 else None


class CustomerState:
    """The facts on one customer."""

    __slots__ = ("facts", "ids")

    def __init__(self) -> None:
        self.facts = array("d", EMPTY)
        self.ids = array("Q")


def decay_in(facts: array[float], kind: int, day: float, amount: float = 1.0) -> None:
    """Add an amount to a kind's decayed counts at a day (forward decay, Cormode et al. 2009)."""
    ref = facts[REFERENCE + kind]
    i = DECAY + kind * len(HALF_LIVES)
    age = day - ref
    if age >= 0:
        facts[REFERENCE + kind] = day
        for rate in _RATES:
            x = age * rate
            facts[i] = (facts[i] * 2.0**-x if x < 60 else 0.0) + amount
            i += 1
    else:
        for rate in _RATES:
            facts[i] += amount * 2.0 ** (age * rate)
            i += 1


def add_order_day(facts: array[float], day: float) -> None:
    """Count a purchase occasion: a distinct day with an order, kept sorted over the last RING days."""
    last = facts[DAYS + RING - 1]
    if day > last:
        if last > NEVER:
            _gap(facts, day - last, 1.0)
        facts[DAYS : DAYS + RING] = facts[DAYS + 1 : DAYS + RING] + array("d", (day,))
        facts[ORDER_DAYS] += 1
        return
    ring = list(facts[DAYS : DAYS + RING])
    if day in ring:
        return
    facts[ORDER_DAYS] += 1
    later = min(d for d in ring if d > day)
    before = max((d for d in ring if NEVER < d < day), default=NEVER)
    if before > NEVER:
        _gap(facts, later - before, -1.0)
        _gap(facts, day - before, 1.0)
    _gap(facts, later - day, 1.0)
    ring = sorted([*ring, day])[1:]
    facts[DAYS : DAYS + RING] = array("d", ring)


def _gap(facts: array[float], gap: float, sign: float) -> None:
    log = math.log(gap)
    facts[GAP_SQUARES] += sign * gap * gap
    facts[GAP_LOGS] += sign * log
    facts[GAP_LOG_SQUARES] += sign * log * log


def apply_order(facts: array[float], day: float, amount: float) -> None:
    facts[ORDERS] += 1
    facts[MONEY] += amount
    facts[LOG_MONEY] += math.log1p(max(amount, 0.0))
    if amount > facts[MAX_AMOUNT]:
        facts[MAX_AMOUNT] = amount
    if day < facts[FIRST_ORDER] or facts[FIRST_ORDER] == NEVER:
        facts[FIRST_ORDER] = day
    if day >= facts[LAST_ORDER]:
        facts[LAST_ORDER] = day
        facts[LAST_AMOUNT] = amount
    add_order_day(facts, math.floor(day))
    decay_in(facts, 0, day)
    decay_in(facts, 4, day, math.log1p(max(amount, 0.0)))
