"""The wire schema: bytes of one JSON event -> a typed event, or the reason why it was rejected.

Four kinds of events make up a shop's log: browsing, cart, order and complaint (each a topic of its own in Kafka). The
field `type` names the kind. Unknown fields are ignored, so that a shop may send more than we read; unknown enum values
are kept as `other`, so that a new payment state never stops a partition; a missing or wrong required field rejects the
event.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

import msgspec

MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ID_CHARS: Final = 256
DEFAULT_SHOP: Final = "default"
_EnumT = TypeVar("_EnumT", bound=enum.StrEnum)

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Instant = Annotated[
    datetime, msgspec.Meta(tz=True, description="RFC 3339 with an offset, for example 2026-11-11T20:00:00+08:00")
]


class _OpenEnum(enum.StrEnum):
    """An enum whose unknown values become `other` instead of an error."""

    @classmethod
    def _missing_(cls, value: object) -> _OpenEnum:  # noqa: ARG003 - the name is given by enum
        return cls["OTHER"]


class Page(_OpenEnum):
    """What kind of page was viewed."""

    HOME = "home"
    CATEGORY = "category"
    PRODUCT = "product"
    SEARCH = "search"
    CART = "cart"
    CHECKOUT = "checkout"
    ACCOUNT = "account"
    HELP = "help"
    OTHER = "other"


class CartAction(_OpenEnum):
    """What a customer did with the cart, the favourites or the checkout."""

    ADD = "add"
    REMOVE = "remove"
    FAVOURITE = "favourite"
    UNFAVOURITE = "unfavourite"
    CHECKOUT_STARTED = "checkout_started"
    CHECKOUT_ABANDONED = "checkout_abandoned"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_METHOD_REMOVED = "payment_method_removed"
    OTHER = "other"


class OrderAction(_OpenEnum):
    """A step in the life of an order."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    REFUNDED = "refunded"
    OTHER = "other"


class ComplaintForm(_OpenEnum):
    """Through what a customer voiced displeasure."""

    COMPLAINT = "complaint"
    LOW_REVIEW = "low_review"
    RETURN_REASON = "return_reason"
    SURVEY = "survey"
    UNSUBSCRIBE = "unsubscribe"
    CANCELLATION = "cancellation"
    OTHER = "other"


class ComplaintAction(_OpenEnum):
    """A step in the handling of a complaint."""

    OPENED = "opened"
    ANSWERED = "answered"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    OTHER = "other"


class _Event(msgspec.Struct, kw_only=True, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """What every event has."""

    event_id: Id
    customer_id: Id
    occurred_at: Instant
    shop_id: Id = DEFAULT_SHOP

    @property
    def at(self) -> int:
        """When it happened, in microseconds since 1970-01-01 UTC.

        >>> decode(b'{"type":"order","event_id":"1","customer_id":"c","occurred_at":"1970-01-01T08:00:01+08:00"}').at
        1000000
        """
        return (self.occurred_at - EPOCH) // MICROSECOND


def _written(default: _EnumT) -> _EnumT:
    """A default that is written out all the same: another reader of the log should not have to know it."""
    return msgspec.field(default_factory=lambda: default)


class Browsing(_Event, tag="browsing", kw_only=True, frozen=True, gc=False):
    """A page view."""

    page: Page = Page.OTHER
    product_id: str | None = None
    category: str | None = None
    session_id: str | None = None
    channel: str | None = None
    dwell_seconds: float | None = None
    load_seconds: float | None = None
    search_text: str | None = None
    search_results: int | None = None
    available: bool | None = None
    recommended: bool | None = None
    price: float | None = None


class Cart(_Event, tag="cart", kw_only=True, frozen=True, gc=False):
    """A change of the cart or the favourites, or a step of the checkout."""

    action: CartAction = _written(CartAction.ADD)
    product_id: str | None = None
    category: str | None = None
    session_id: str | None = None
    price: float | None = None
    quantity: float | None = None
    available: bool | None = None


class Order(_Event, tag="order", kw_only=True, frozen=True, gc=False):
    """A step in the life of an order. Amounts are in the shop's currency, after discounts."""

    action: OrderAction = _written(OrderAction.PAID)
    order_id: str | None = None
    amount: float | None = None
    discount: float | None = None
    currency: str | None = None
    items: int | None = None
    product_id: str | None = None
    category: str | None = None
    promised_at: Instant | None = None
    delivered_at: Instant | None = None
    carrier: str | None = None
    staff: str | None = None
    region: str | None = None
    acquisition_channel: str | None = None
    member_benefit: bool | None = None


class Complaint(_Event, tag="complaint", kw_only=True, frozen=True, gc=False):
    """A complaint, low review, return reason, survey answer or unsubscribe, or a step in its handling."""

    form: ComplaintForm = _written(ComplaintForm.COMPLAINT)
    action: ComplaintAction = _written(ComplaintAction.OPENED)
    complaint_id: str | None = None
    order_id: str | None = None
    category: str | None = None
    text: str | None = None
    rating: float | None = None
    channel: str | None = None
    staff: str | None = None
    product_id: str | None = None


Event = Browsing | Cart | Order | Complaint
KINDS: Final[dict[str, type[Event]]] = {"browsing": Browsing, "cart": Cart, "order": Order, "complaint": Complaint}


class Rejected(msgspec.Struct, frozen=True):
    """An event that could not be read: why, and which field is to blame (empty: the whole line)."""

    reason: str
    field: str = ""


_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()
_PLACE = re.compile(r"(?P<reason>.*?) - at `\$\.?(?P<field>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")


def rejection(error: msgspec.MsgspecError) -> Rejected:
    """The field and the reason in an error of msgspec.

    >>> decode(b'{"type":"order","event_id":"1","customer_id":7,"occurred_at":"2026-01-01T00:00:00Z"}')
    Rejected(reason='Expected `str`, got `int`', field='customer_id')
    """
    text = str(error)
    if missing := _MISSING.search(text):
        return Rejected(text.partition(" - at ")[0], missing["field"])
    if placed := _PLACE.match(text):
        return Rejected(placed["reason"], placed["field"])
    return Rejected(text)


def decode(line: bytes | str) -> Event | Rejected:
    """One JSON event as a typed struct, or why it was rejected. Never raises on any input.

    >>> line = b'{"type":"cart","event_id":"e","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","action":"new!"}'
    >>> decode(line).action
    <CartAction.OTHER: 'other'>
    >>> decode(b'{"type":"cart","event_id":"e","customer_id":"c"}')
    Rejected(reason='Object missing required field `occurred_at`', field='occurred_at')
    """
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        return rejection(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(f"not a JSON object: {error}")


def encode(event: Event) -> bytes:
    """An event as one line of JSON, without the line's end; `decode(encode(e)) == e`."""
    return _encoder.encode(event)
