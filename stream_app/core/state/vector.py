"""The state vector of a customer: an array of numbers with a fixed layout.

Every number that a feature needs has a fixed slot. A customer's state is therefore bounded in size, the states of many
customers form one matrix, and encoding them is a copy.

Up to rounding, the vector does not depend on the order in which events within the allowed lateness arrive: counts and
extremes commute, decayed counts use forward decay, and gaps between order days are computed over a sorted ring that
covers more than the largest allowed lateness.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

NEVER: Final = -1e9  # days; so far before any log that "days since" needs no special case

HALF_LIVES: Final = (2.0, 7.0, 30.0, 90.0, 365.0)  # days
DECAYED: Final = ("order", "browsing", "cart", "complaint", "money")  # money: log(1 + amount) of each order
RING: Final = 8  # number of order days stored
MAX_LATENESS_DAYS: Final = RING - 1  # the days in the ring are distinct, so it always covers at least this many
CASES: Final = 4  # places for complaints
CASE_STEPS: Final = ("opened", "answered", "resolved")  # same as in complaints.ComplaintCase
ID_RING: Final = 16  # number of recent event ids kept to detect duplicates

ORDER_DECAY, BROWSING_DECAY, CART_DECAY, COMPLAINT_DECAY, MONEY_DECAY = range(len(DECAYED))

# Times are in days since 1970-01-01 UTC and start as NEVER; all other slots start at 0.
_TIMES: Final = (
    "first_seen",
    "last_seen",
    "first_order",
    "last_order",
    "last_browsing",
    "last_cart",
    "last_complaint",
    *(f"complaint_{i}_{step}" for i in range(CASES) for step in CASE_STEPS),  # see complaints.py
    *(f"order_day_{i}" for i in range(RING)),  # distinct order days on the shop's calendar, oldest first
    *(f"decayed_{kind}_at" for kind in DECAYED),  # reference time of the decayed counts
)
_AMOUNTS: Final = (
    "orders",
    "order_days",
    "money",
    "log_money",  # sum of log(1 + amount)
    "last_amount",
    "max_amount",
    "shop",  # shop of the last order: registry.shop_key
    "gap_squares",  # days squared: sum over the gaps between order days
    "gap_logs",
    "gap_log_squares",
    "discounted",  # orders with a discount
    "discount",  # money
    "member_benefits",
    "returns",  # orders returned, refunded or cancelled
    "late_deliveries",
    "browsings",
    "slow_pages",
    "empty_searches",
    "unavailable",  # views and carts of unavailable products
    "recommended",
    "carts",
    "favourites",
    "checkouts",
    "abandoned",
    "payment_failures",
    "categories",  # bitmap of SKETCH_BITS bits: linear counting of distinct categories
    "complaints",
    *(f"complaint_{i}_key" for i in range(CASES)),  # 48-bit hash of the complaint's id; 0: empty
    "low_reviews",
    "unsubscribes",
    *(f"decayed_{kind}_{half_life:g}d" for kind in DECAYED for half_life in HALF_LIVES),
)
SLOTS: Final = (*_TIMES, *_AMOUNTS)
TIME_SLOTS: Final = frozenset(_TIMES)
SLOT: Final = {name: place for place, name in enumerate(SLOTS)}
SKETCH_BITS: Final = 48  # bitmaps in a float64 are exact below 53 bits

FIRST_SEEN, LAST_SEEN = SLOT["first_seen"], SLOT["last_seen"]
FIRST_ORDER, LAST_ORDER = SLOT["first_order"], SLOT["last_order"]
LAST_AMOUNT, MAX_AMOUNT = SLOT["last_amount"], SLOT["max_amount"]
ORDERS, ORDER_DAYS, MONEY, LOG_MONEY = SLOT["orders"], SLOT["order_days"], SLOT["money"], SLOT["log_money"]
SHOP: Final = SLOT["shop"]
GAP_SQUARES, GAP_LOGS, GAP_LOG_SQUARES = SLOT["gap_squares"], SLOT["gap_logs"], SLOT["gap_log_squares"]
RING_START, RING_END = SLOT["order_day_0"], SLOT["order_day_0"] + RING
DECAYED_AT, DECAYED_START = SLOT["decayed_order_at"], SLOT["decayed_order_2d"]
EMPTY: Final = array("d", [NEVER] * len(_TIMES) + [0.0] * len(_AMOUNTS))

_GONE: Final = 60.0  # half-lives after which the remainder no longer affects a float64 sum
_RATES: Final = tuple(1.0 / half_life for half_life in HALF_LIVES)
_COUNTS: Final = [  # of each kind: the slots of its decayed counts, and their rates
    [(DECAYED_START + kind * len(HALF_LIVES) + place, rate) for place, rate in enumerate(_RATES)]
    for kind in range(len(DECAYED))
]

StateVector = array  # of type code "d", len(SLOTS) long


def new_vector() -> StateVector[float]:
    """Return the state vector of a new customer."""
    return array("d", EMPTY)


def add_decayed(vector: StateVector[float], kind: int, day: float, amount: float = 1.0) -> None:
    """Add an amount, dated at a day, to the decayed counts of a kind.

    The counts refer to the latest day seen. A late amount is decayed to that day before it is added (Cormode,
    Shkapenyuk, Srivastava, Xu: Forward Decay, ICDE 2009).
    """
    age = day - vector[DECAYED_AT + kind]
    if age < 0:
        for place, rate in _COUNTS[kind]:
            vector[place] += amount * 2.0 ** max(age * rate, -_GONE)
        return
    vector[DECAYED_AT + kind] = day
    if age * _RATES[0] < _GONE:  # nothing is gone, since the other rates are lower
        for place, rate in _COUNTS[kind]:
            vector[place] = vector[place] * 2.0 ** -(age * rate) + amount
        return
    for place, rate in _COUNTS[kind]:
        halvings = age * rate
        vector[place] = (vector[place] * 2.0**-halvings if halvings < _GONE else 0.0) + amount


def add_order_day(vector: StateVector[float], day: float) -> None:
    """Count a day of the shop's calendar with an order, once, regardless of arrival order.

    A day before all days in the ring is ignored, since it may already have been counted. This happens only beyond
    MAX_LATENESS_DAYS.
    """
    ring = vector[RING_START:RING_END]
    last = ring[-1]
    if day > last:
        if last > NEVER:
            _add_gap(vector, day - last, 1)
        vector[RING_START:RING_END] = ring[1:] + array("d", (day,))
        vector[ORDER_DAYS] += 1
    elif day not in ring and (ring[0] == NEVER or day > ring[0]):
        vector[ORDER_DAYS] += 1
        later = min(d for d in ring if d > day)
        before = max(d for d in ring if d < day)
        if before > NEVER:
            _add_gap(vector, later - before, -1)
            _add_gap(vector, day - before, 1)
        _add_gap(vector, later - day, 1)
        vector[RING_START:RING_END] = array("d", sorted([*ring[1:], day]))


def _add_gap(vector: StateVector[float], days: float, sign: int) -> None:
    log = math.log(days)
    vector[GAP_SQUARES] += sign * days * days
    vector[GAP_LOGS] += sign * log
    vector[GAP_LOG_SQUARES] += sign * log * log
