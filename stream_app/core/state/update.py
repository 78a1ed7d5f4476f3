"""Updates the state vector from events."""

from __future__ import annotations

import math
from typing import Final

import xxhash

from stream_app.core.events.enumerations import CartAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import MAX_ID_CHARS, Browsing, Cart, Complaint, CustomerEvent, Order
from stream_app.core.shops.registry import shop_key
from stream_app.core.state.complaint_kinds import HANDLING, is_dissatisfaction, is_low_rating
from stream_app.core.state.complaints import apply_complaint
from stream_app.core.state.order_amounts import OrderAmounts
from stream_app.core.state.vector import (
    BROWSING_DECAY,
    CART_DECAY,
    COMPLAINT_DECAY,
    FIRST_ORDER,
    FIRST_SEEN,
    LAST_AMOUNT,
    LAST_ORDER,
    LAST_SEEN,
    LOG_MONEY,
    MAX_AMOUNT,
    MONEY,
    MONEY_DECAY,
    NEVER,
    ORDER_DECAY,
    ORDERS,
    SHOP,
    SKETCH_BITS,
    SLOT,
    StateVector,
    add_decayed,
    add_order_day,
)
from stream_app.core.units import DAY_US

SLOW_PAGE_SECONDS: Final = 3.0  # many visitors leave pages that take this long to load

_LAST_BROWSING, _LAST_CART, _LAST_COMPLAINT = SLOT["last_browsing"], SLOT["last_cart"], SLOT["last_complaint"]
_BROWSINGS, _CARTS, _CATEGORIES = SLOT["browsings"], SLOT["carts"], SLOT["categories"]
_SLOW_PAGES, _EMPTY_SEARCHES = SLOT["slow_pages"], SLOT["empty_searches"]
_UNAVAILABLE, _RECOMMENDED = SLOT["unavailable"], SLOT["recommended"]
_DISCOUNTED, _DISCOUNT, _MEMBER = SLOT["discounted"], SLOT["discount"], SLOT["member_benefits"]
_RETURNS, _LATE = SLOT["returns"], SLOT["late_deliveries"]
_COMPLAINTS, _LOW_REVIEWS, _UNSUBSCRIBES = SLOT["complaints"], SLOT["low_reviews"], SLOT["unsubscribes"]
_CART_COUNTERS: Final = {
    CartAction.FAVOURITE: SLOT["favourites"],
    CartAction.CHECKOUT_STARTED: SLOT["checkouts"],
    CartAction.CHECKOUT_ABANDONED: SLOT["abandoned"],
    CartAction.PAYMENT_FAILED: SLOT["payment_failures"],
}
_CATEGORY_BITS: dict[str, int] = {}  # cache: category -> its bit
_MAX_CACHED: Final = 100_000


def apply_event(
    vector: StateVector[float],
    event: CustomerEvent,
    at: int,
    local_day: int,
    counts: bool,
    followed_days: float = math.inf,
    amounts: OrderAmounts | None = None,
) -> None:
    """Update a customer's state vector with an event.

    Args:
        vector: the customer's state vector, modified in place.
        event: the event.
        at: `event.at`, microseconds since 1970-01-01 UTC; passed in because computing it takes a microsecond.
        local_day: day in the shop's calendar; used only if the event counts as an order.
        counts: whether the event counts as an order (`labels.counts_as_order`).
        followed_days: age at which a complaint is too old to be acted on.
        amounts: of the customer's latest orders, if money is net of returns; modified in place.
    """
    if isinstance(event, Browsing):
        apply_browsing(vector, event, at)
        return
    day = at / DAY_US
    _see(vector, day)
    if isinstance(event, Order):
        _apply_order(vector, event, day, local_day, counts)
    elif isinstance(event, Cart):
        _apply_cart(vector, event, day)
    else:
        _apply_complaint(vector, event, day, followed_days)
    if amounts is not None:
        change = amounts.change(event, counts=counts)
        vector[MONEY] += 0.0 if counts else change  # the amount of an order has been added


def _see(vector: StateVector[float], day: float) -> None:
    if day > vector[LAST_SEEN]:
        vector[LAST_SEEN] = day
    if day < vector[FIRST_SEEN] or vector[FIRST_SEEN] == NEVER:
        vector[FIRST_SEEN] = day


def apply_browsing(vector: StateVector[float], event: Browsing, at: int) -> None:
    """Update a customer's state vector with a page view, as `apply_event` does. Most events are page views."""
    day = at / DAY_US
    _see(vector, day)
    if day > vector[_LAST_BROWSING]:
        vector[_LAST_BROWSING] = day
    vector[_BROWSINGS] += 1
    if event.category is not None:
        _apply_category(vector, event.category)
    if event.load_seconds is not None and event.load_seconds >= SLOW_PAGE_SECONDS:
        vector[_SLOW_PAGES] += 1
    if event.search_results == 0:
        vector[_EMPTY_SEARCHES] += 1
    if event.available is False:
        vector[_UNAVAILABLE] += 1
    if event.recommended:
        vector[_RECOMMENDED] += 1
    add_decayed(vector, BROWSING_DECAY, day)


def _apply_category(vector: StateVector[float], category: str) -> None:
    """Set a category's bit for linear counting (Whang, Vander-Zanden, Taylor, ACM TODS 1990)."""
    bit = _CATEGORY_BITS.get(category)
    if bit is None:
        bit = 1 << xxhash.xxh3_64_intdigest(category.encode("utf-8", "surrogatepass")) % SKETCH_BITS
        if len(_CATEGORY_BITS) < _MAX_CACHED and len(category) <= MAX_ID_CHARS:
            _CATEGORY_BITS[category] = bit
    vector[_CATEGORIES] = int(vector[_CATEGORIES]) | bit


def _apply_cart(vector: StateVector[float], event: Cart, day: float) -> None:
    if day > vector[_LAST_CART]:
        vector[_LAST_CART] = day
    vector[_CARTS] += 1
    counter = _CART_COUNTERS.get(event.action)
    if counter is not None:
        vector[counter] += 1
    if event.available is False:
        vector[_UNAVAILABLE] += 1
    add_decayed(vector, CART_DECAY, day)


def _apply_order(vector: StateVector[float], event: Order, day: float, local_day: int, counts: bool) -> None:
    if counts:
        _apply_purchase(vector, event, day, local_day)
    if event.action in (OrderAction.RETURNED, OrderAction.REFUNDED, OrderAction.CANCELLED):
        vector[_RETURNS] += 1
    if event.promised_at is not None and event.delivered_at is not None and event.delivered_at > event.promised_at:
        vector[_LATE] += 1


def _apply_purchase(vector: StateVector[float], event: Order, day: float, local_day: int) -> None:
    amount = event.amount or 0.0
    log_amount = math.log1p(max(amount, 0.0))
    vector[ORDERS] += 1
    vector[MONEY] += amount
    vector[LOG_MONEY] += log_amount
    if event.discount:
        vector[_DISCOUNTED] += 1
        vector[_DISCOUNT] += event.discount
    if event.member_benefit:
        vector[_MEMBER] += 1
    if amount > vector[MAX_AMOUNT]:
        vector[MAX_AMOUNT] = amount
    if vector[FIRST_ORDER] == NEVER or day < vector[FIRST_ORDER]:
        vector[FIRST_ORDER] = day
    if day > vector[LAST_ORDER]:
        vector[LAST_ORDER] = day
        vector[LAST_AMOUNT], vector[SHOP] = amount, shop_key(event.shop_id)
    elif day == vector[LAST_ORDER]:  # two orders at one instant: take the larger, regardless of arrival order
        vector[LAST_AMOUNT] = max(vector[LAST_AMOUNT], amount)
        vector[SHOP] = max(vector[SHOP], shop_key(event.shop_id))
    add_order_day(vector, local_day)
    add_decayed(vector, ORDER_DECAY, day)
    add_decayed(vector, MONEY_DECAY, day, log_amount)


def _apply_complaint(vector: StateVector[float], event: Complaint, day: float, followed_days: float) -> None:
    is_dissatisfied = is_dissatisfaction(event)
    if event.form is ComplaintForm.COMPLAINT and (is_dissatisfied or event.action in HANDLING):
        apply_complaint(vector, event, day, followed_days)
    if is_dissatisfied:
        _apply_dissatisfaction(vector, event, day)


def _apply_dissatisfaction(vector: StateVector[float], event: Complaint, day: float) -> None:
    if day > vector[_LAST_COMPLAINT]:
        vector[_LAST_COMPLAINT] = day
    vector[_COMPLAINTS] += 1
    if is_low_rating(event):
        vector[_LOW_REVIEWS] += 1
    if event.form is ComplaintForm.UNSUBSCRIBE:
        vector[_UNSUBSCRIBES] += 1
    add_decayed(vector, COMPLAINT_DECAY, day)
