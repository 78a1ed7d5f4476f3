"""Event counts by shop: visits, funnel steps, orders, complaints, contacts and alerts.

Counting an event takes a fraction of a microsecond: rows are lists, and the calendar is consulted only once per visit
or order. docs/reference/kpis.md has the definitions.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from stream_app.core.customers.customer import Customer
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, ContactAction, OrderAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Order
from stream_app.core.messages.unknown_words import UnknownValues
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import ShopRegistry
from stream_app.core.state.complaint_kinds import OTHER, Classifier, is_dissatisfaction, kind_of, unclassified
from stream_app.core.state.counters import COMPLAINED
from stream_app.core.state.vector import LAST_ORDER, ORDERS, SLOT
from stream_app.core.units import DAY_US, HOUR_US

FUNNEL: Final = ("browse", "favourite", "cart", "checkout", "order", "paid", "delivered", "complained")
AMOUNTS: Final = ("cart", "checkout", "abandoned", "order", "paid", "refunded")  # steps for which amounts are summed
CHECKOUT_LOSSES: Final = ("abandoned", "payment_failed")
ORDER_KINDS: Final = ("first", "repeat")
CATEGORIES: Final = (*COMPLAINED, "unsubscribe", OTHER)  # categories of complaints
# Gap between page views that starts a new visit, days: half an hour, plus a millisecond for float rounding.
VISIT_GAP: Final = (HOUR_US // 2 + 1_000) / DAY_US


class EventCount(NamedTuple):
    """Key of one count of a shop: what is counted, and its kind, which is empty if there is only one kind."""

    what: str
    kind: str = ""


EVENT_COUNTS: Final = (
    EventCount("page_views"),
    EventCount("visits"),
    EventCount("visits_continued"),
    EventCount("visitors"),
    EventCount("daily_buyers"),
    EventCount("revenue"),
    *(EventCount("funnel", step) for step in FUNNEL),
    *(EventCount("amounts", step) for step in AMOUNTS),
    *(EventCount("checkout_losses", reason) for reason in CHECKOUT_LOSSES),
    *(EventCount("orders", kind) for kind in ORDER_KINDS),
    *(EventCount("complaints", category) for category in CATEGORIES),
    *(EventCount("contacts", action) for action in ContactAction),
)
PLACE: Final[dict[tuple[str, str], int]] = {count: place for place, count in enumerate(EVENT_COUNTS)}
_PAGE_VIEWS, _VISITS, _CONTINUED = (PLACE[EventCount(name)] for name in ("page_views", "visits", "visits_continued"))
_VISITORS, _DAILY_BUYERS, _REVENUE = (PLACE[EventCount(name)] for name in ("visitors", "daily_buyers", "revenue"))
_BROWSE, _COMPLAINED = PLACE["funnel", "browse"], PLACE["funnel", "complained"]
_ORDER: Final = {kind: PLACE["orders", kind] for kind in ORDER_KINDS}
_LAST_BROWSING: Final = SLOT["last_browsing"]

# action -> indices of its count and of its amount
_COUNTS: Final[dict[CartAction | OrderAction, int]] = {
    CartAction.FAVOURITE: PLACE["funnel", "favourite"],
    CartAction.ADD: PLACE["funnel", "cart"],
    CartAction.CHECKOUT_STARTED: PLACE["funnel", "checkout"],
    CartAction.CHECKOUT_ABANDONED: PLACE["checkout_losses", "abandoned"],
    CartAction.PAYMENT_FAILED: PLACE["checkout_losses", "payment_failed"],
    OrderAction.PLACED: PLACE["funnel", "order"],
    OrderAction.PAID: PLACE["funnel", "paid"],
    OrderAction.DELIVERED: PLACE["funnel", "delivered"],
}
_MONEY: Final[dict[CartAction | OrderAction, int]] = {
    CartAction.ADD: PLACE["amounts", "cart"],
    CartAction.CHECKOUT_STARTED: PLACE["amounts", "checkout"],
    CartAction.CHECKOUT_ABANDONED: PLACE["amounts", "abandoned"],
    OrderAction.PLACED: PLACE["amounts", "order"],
    OrderAction.PAID: PLACE["amounts", "paid"],
    OrderAction.REFUNDED: PLACE["amounts", "refunded"],
}
_ABOUT_AN_ORDER: Final = (ComplaintForm.COMPLAINT, ComplaintForm.LOW_REVIEW, ComplaintForm.RETURN_REASON)

Row = list[float]  # indexed as EVENT_COUNTS


class EventCounts:
    """Counts since the last step; see `Step.take_counts`.

    Call `record_browsing` or `record` for every new event, before the event updates the customer's state.

    Args:
        settings: the shop's settings.
        shops: registry of the partition.
        classify: classifier of the texts of complaints without a category.
    """

    def __init__(self, settings: Settings, shops: ShopRegistry, classify: Classifier = unclassified) -> None:
        self._settings, self._shops, self._classify = settings, shops, classify
        self.rows: dict[str, Row] = {}  # by shop
        self._day = (0, 0)  # midnights before and after the last time looked up, microseconds
        self.opened: Counter[tuple[str, str, str]] = Counter()  # alerts by shop, cause and segment
        self.closed: Counter[tuple[str, str, str]] = Counter()  # alerts by shop, reason and segment
        self.drawn: Counter[tuple[str, str]] = Counter()  # customers by experiment and arm
        self.trial_outcomes: Counter[tuple[str, str, str]] = Counter()  # by experiment, arm and outcome
        self.unknown_words = UnknownValues()

    def record_browsing(self, customer: Customer, event: Browsing, at: int) -> None:
        """Count a page view at a time, in microseconds."""
        row = self.rows.get(event.shop_id) or self._new_row(event.shop_id)
        row[_PAGE_VIEWS] += 1
        if event.page.is_unknown:
            self.unknown_words.record(event)
        since = at / DAY_US - customer.vector[_LAST_BROWSING]
        if since > VISIT_GAP:
            self._begin_visit(row, customer, at)
        elif customer.bounces and since >= 0:
            row[_CONTINUED] += 1
            customer.bounces = False

    def record_contact(self, contact: Contact) -> None:
        """Count a contact."""
        row = self.rows.get(contact.shop_id) or self._new_row(contact.shop_id)
        row[PLACE["contacts", ContactAction.OTHER if contact.action.is_unknown else contact.action]] += 1
        self.unknown_words.record(contact)

    def _new_row(self, shop_id: str) -> Row:
        name = self._shops.names[self._shops.place(shop_id)]
        return self.rows.setdefault(name, [0] * len(EVENT_COUNTS))

    def record(self, customer: Customer, event: Cart | Order | Complaint, at: int, counts: bool) -> None:
        """Count another event. `at` is in microseconds; `counts` is whether the event is an order that counts."""
        row = self.rows.get(event.shop_id) or self._new_row(event.shop_id)
        if isinstance(event, Cart):
            price, quantity = event.price, event.quantity
            self._record_step(row, event, price if price is None or quantity is None else price * quantity)
        elif isinstance(event, Order):
            self._record_step(row, event, event.amount)
            if counts:
                self._record_purchase(row, customer, event, at)
        else:
            self.unknown_words.record(event)
            _record_complaint(row, event, self._classify)

    def _begin_visit(self, row: Row, customer: Customer, at: int) -> None:
        customer.bounces = True
        row[_VISITS] += 1
        row[_BROWSE] += 1
        if customer.vector[_LAST_BROWSING] < self._midnight(at):
            row[_VISITORS] += 1

    def _record_purchase(self, row: Row, customer: Customer, event: Order, at: int) -> None:
        vector = customer.vector
        row[_ORDER["repeat" if vector[ORDERS] else "first"]] += 1
        row[_REVENUE] += max(event.amount or 0.0, 0.0)
        if vector[LAST_ORDER] < self._midnight(at):
            row[_DAILY_BUYERS] += 1

    def _record_step(self, row: Row, event: Cart | Order, money: float | None) -> None:
        place = _COUNTS.get(event.action)
        if place is None:
            self.unknown_words.record(event)
        else:
            row[place] += 1
        if money:
            place = _MONEY.get(event.action)
            if place is not None:
                row[place] += max(money, 0.0)

    def _midnight(self, at: int) -> float:
        """Return the last midnight in the shop's time zone, in days since 1970-01-01 UTC."""
        if not self._day[0] <= at < self._day[1]:
            self._day = self._settings.local_midnights(at)
        return self._day[0] / DAY_US


def _record_complaint(row: Row, event: Complaint, classify: Classifier) -> None:
    if event.action is ComplaintAction.REOPENED or not is_dissatisfaction(event):
        return
    row[PLACE["complaints", category_of(event, classify)]] += 1
    if event.form in _ABOUT_AN_ORDER:
        row[_COMPLAINED] += 1


def category_of(event: Complaint, classify: Classifier) -> str:
    """Return the category of a complaint, one of CATEGORIES.

    If the complaint has no category, `classify` derives it from the text.

    >>> from stream_app.core.state.complaint_kinds import unclassified
    >>> from stream_app.core.events.schema import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","category":'
    >>> category_of(decode(head + b'"delivery"}'), unclassified), category_of(decode(head + b'"slow"}'), unclassified)
    ('logistics', 'other')
    """
    return "unsubscribe" if event.form is ComplaintForm.UNSUBSCRIBE else kind_of(event, classify)
