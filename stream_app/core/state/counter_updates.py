"""Updates the counters (counters.py) from events."""

from __future__ import annotations

from typing import Final

from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Order
from stream_app.core.state.complaint_kinds import OTHER, Classifier, is_dissatisfaction, is_low_rating, kind_of
from stream_app.core.state.counters import COUNTED, MOST, Counters, bit_of, count, place_in
from stream_app.core.state.update import SLOW_PAGE_SECONDS

BRIEF_SECONDS: Final = 15.0  # a view of a recommended product shorter than this counts as ignored
RUSH_HOURS: Final = 36  # a delivery promised within this time after payment counts as a short promise

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


def count_event(
    counters: Counters[int], event: Cart | Order | Complaint, at: int, counts: bool, classify: Classifier
) -> None:
    """Update a customer's counters with an event other than a page view.

    Args:
        counters: the customer's counters, modified in place.
        event: the event.
        at: time of the event, microseconds.
        counts: whether the event counts as an order.
        classify: classifier for complaint texts.
    """
    place = place_in(counters, at)
    if place is None:
        return
    if isinstance(event, Cart):
        _count_cart(counters, place, event)
    elif isinstance(event, Order):
        _count_order(counters, place, event, counts)
    else:
        _count_complaint(counters, place, event, classify)


def count_browsing(counters: Counters[int], place: int, event: Browsing) -> None:
    """Update a customer's counters, from the first one of the period (`place_in`), with a page view."""
    if counters[place + _VIEWS] < MOST:
        counters[place + _VIEWS] += 1
    if event.session_id is not None:
        counters[place + _SESSIONS] |= bit_of(event.session_id)
    if event.category is not None:
        counters[place + _CATEGORIES] |= bit_of(event.category)
    if event.load_seconds is not None and event.load_seconds >= SLOW_PAGE_SECONDS:
        count(counters, place + _SLOW)
    if event.search_results == 0:
        count(counters, place + _EMPTY)
    if event.available is False:
        count(counters, place + _UNAVAILABLE)
    if event.recommended:
        _count_recommended(counters, place, event)


def _count_recommended(counters: Counters[int], place: int, event: Browsing) -> None:
    count(counters, place + _RECOMMENDED)
    if event.dwell_seconds is not None and event.dwell_seconds < BRIEF_SECONDS:
        count(counters, place + _BRIEF)


def _count_cart(counters: Counters[int], place: int, event: Cart) -> None:
    if event.action is CartAction.CHECKOUT_ABANDONED:
        if event.price is not None:
            count(counters, place + _PLACE["abandoned"])
    elif (counter := _CART.get(event.action)) is not None:
        count(counters, place + counter)
    if event.available is False:
        count(counters, place + _UNAVAILABLE)


def _count_order(counters: Counters[int], place: int, event: Order, counts: bool) -> None:
    if counts:
        count(counters, place + _ORDERS)
    if (step := _STEPS.get(event.action)) is not None:
        count(counters, place + step)
    if event.promised_at is None:
        return
    if event.action is OrderAction.PAID:
        if (event.promised_at - event.occurred_at).total_seconds() <= RUSH_HOURS * 3_600:
            count(counters, place + _RUSHED)
    elif event.action is OrderAction.DELIVERED and event.delivered_at is not None:
        count(counters, place + _DELIVERED)
        late_hours = (event.delivered_at - event.promised_at).total_seconds() / 3_600
        if late_hours > 0:
            count(counters, place + _LATE)
            count(counters, place + _LATE_HOURS, round(late_hours))


def _count_complaint(counters: Counters[int], place: int, event: Complaint, classify: Classifier) -> None:
    if event.action is ComplaintAction.REFILED:
        _move_complaint(counters, place, event, classify)
        return
    if not is_dissatisfaction(event):
        return
    if event.action is ComplaintAction.REOPENED:
        count(counters, place + _REOPENED)
        return
    if event.form is ComplaintForm.UNSUBSCRIBE:
        count(counters, place + _UNSUBSCRIBES)
        return
    if event.form is ComplaintForm.COMPLAINT:
        count(counters, place + _COMPLAINTS)
    if is_low_rating(event):
        count(counters, place + _LOW)
    count(counters, place + _PLACE[f"about_{kind_of(event, classify)}"])


def _move_complaint(counters: Counters[int], place: int, event: Complaint, classify: Classifier) -> None:
    """Move a complaint from the kind that its text was taken for, if the text is given, to the one filed by staff.

    Nothing changes if no complaint of the former kind was counted: its category was given, or its period is over.
    """
    taken_for = place + _PLACE[f"about_{classify(event.text) if event.text else OTHER}"]
    if event.category and counters[taken_for]:
        counters[taken_for] -= 1
        count(counters, place + _PLACE[f"about_{kind_of(event, classify)}"])
