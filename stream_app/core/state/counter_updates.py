"""How an event changes the counts that an explanation is made of (marks.py)."""

from __future__ import annotations

from typing import Final

from stream_app.core.events.schema import (
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
from stream_app.core.state.complaint_kinds import Classifier, is_displeasure, is_low_rating, kind_of
from stream_app.core.state.counters import COUNTED, MOST, Marks, bit_of, count, place_in
from stream_app.core.state.update import SLOW_PAGE_SECONDS

BRIEF_SECONDS: Final = 15.0  # who leaves recommended goods so soon did not want them
RUSH_HOURS: Final = 36  # a delivery that was promised so soon after the payment

_PLACE: Final = {name: place for place, name in enumerate(COUNTED)}
_VIEWS, _SESSIONS, _CATEGORIES = _PLACE["views"], _PLACE["sessions"], _PLACE["categories"]
_SLOW, _EMPTY, _UNAVAILABLE = _PLACE["slow_pages"], _PLACE["empty_searches"], _PLACE["unavailable"]
_RECOMMENDED, _BRIEF, _ORDERS = _PLACE["recommended"], _PLACE["brief"], _PLACE["orders"]
_DELIVERED, _LATE, _LATE_HOURS, _RUSHED = (_PLACE[name] for name in ("delivered", "late", "late_hours", "rushed"))
_COMPLAINTS, _REOPENED, _LOW, _UNSUBSCRIBES = (
    _PLACE[name] for name in ("complaints", "reopened", "low_ratings", "unsubscribes")
)
_STEPS: Final = {OrderAction.RETURNED: _PLACE["returned"], OrderAction.REFUNDED: _PLACE["refunded"]}
_CART: Final = {
    CartAction.ADD: _PLACE["adds"],
    CartAction.PAYMENT_FAILED: _PLACE["payment_failures"],
    CartAction.PAYMENT_METHOD_REMOVED: _PLACE["methods_removed"],
}


def mark(marks: Marks[int], event: Event, at: int, counts: bool, classify: Classifier) -> None:
    """Change a customer's marks by one event.

    Args:
        marks: the customer's, changed in place.
        event: what happened.
        at: when, microseconds.
        counts: whether it counts as an order.
        classify: says what a complaint's text is about.
    """
    place = place_in(marks, at)
    if place is None:
        return
    if isinstance(event, Browsing):
        _mark_browsing(marks, place, event)
    elif isinstance(event, Cart):
        _mark_cart(marks, place, event)
    elif isinstance(event, Order):
        _mark_order(marks, place, event, counts)
    else:
        _mark_complaint(marks, place, event, classify)


def _mark_browsing(marks: Marks[int], place: int, event: Browsing) -> None:
    if marks[place + _VIEWS] < MOST:
        marks[place + _VIEWS] += 1
    if event.session_id is not None:
        marks[place + _SESSIONS] |= bit_of(event.session_id)
    if event.category is not None:
        marks[place + _CATEGORIES] |= bit_of(event.category)
    if event.load_seconds is not None and event.load_seconds >= SLOW_PAGE_SECONDS:
        count(marks, place + _SLOW)
    if event.search_results == 0:
        count(marks, place + _EMPTY)
    if event.available is False:
        count(marks, place + _UNAVAILABLE)
    if event.recommended:
        _mark_recommended(marks, place, event)


def _mark_recommended(marks: Marks[int], place: int, event: Browsing) -> None:
    count(marks, place + _RECOMMENDED)
    if event.dwell_seconds is not None and event.dwell_seconds < BRIEF_SECONDS:
        count(marks, place + _BRIEF)


def _mark_cart(marks: Marks[int], place: int, event: Cart) -> None:
    if event.action is CartAction.CHECKOUT_ABANDONED:
        if event.price is not None:
            count(marks, place + _PLACE["abandoned"])
    elif (counter := _CART.get(event.action)) is not None:
        count(marks, place + counter)
    if event.available is False:
        count(marks, place + _UNAVAILABLE)


def _mark_order(marks: Marks[int], place: int, event: Order, counts: bool) -> None:
    if counts:
        count(marks, place + _ORDERS)
    if (step := _STEPS.get(event.action)) is not None:
        count(marks, place + step)
    if event.promised_at is None:
        return
    if event.action is OrderAction.PAID:
        if (event.promised_at - event.occurred_at).total_seconds() <= RUSH_HOURS * 3_600:
            count(marks, place + _RUSHED)
    elif event.action is OrderAction.DELIVERED and event.delivered_at is not None:
        count(marks, place + _DELIVERED)
        late_hours = (event.delivered_at - event.promised_at).total_seconds() / 3_600
        if late_hours > 0:
            count(marks, place + _LATE)
            count(marks, place + _LATE_HOURS, round(late_hours))


def _mark_complaint(marks: Marks[int], place: int, event: Complaint, classify: Classifier) -> None:
    if not is_displeasure(event):
        return
    if event.action is ComplaintAction.REOPENED:
        count(marks, place + _REOPENED)
        return
    if event.form is ComplaintForm.UNSUBSCRIBE:
        count(marks, place + _UNSUBSCRIBES)
        return
    if event.form is ComplaintForm.COMPLAINT:
        count(marks, place + _COMPLAINTS)
    if is_low_rating(event):
        count(marks, place + _LOW)
    count(marks, place + _PLACE[f"about_{kind_of(event, classify)}"])
