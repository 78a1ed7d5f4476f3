"""The wire schema: bytes of one JSON event -> a typed event, or the reason why it was rejected.

Four kinds of events make up a shop's log: browsing, cart, order and complaint (each a topic of its own in Kafka). The
field `type` names the kind. Unknown fields are ignored, so that a shop may send more than we read; other spellings of
an enum value are understood (spellings.py), and what is unknown all the same counts as `other`, so that a new payment
state never stops a partition; a missing or wrong required field rejects the event.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, ClassVar, Final, TypeVar

import msgspec

from stream_app.core.spellings import word_of

MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ID_CHARS: Final = 256
DEFAULT_SHOP: Final = "default"
_EnumT = TypeVar("_EnumT", bound=enum.StrEnum)

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
# Stars. A rating on another scale would be read wrongly in silence, so it is refused.
Rating = Annotated[float, msgspec.Meta(ge=1, le=5)]
Instant = Annotated[
    datetime, msgspec.Meta(tz=True, description="RFC 3339 with an offset, for example 2026-11-11T20:00:00+08:00")
]


class _Word:
    """What an enum's own members say of themselves."""

    is_unknown: ClassVar[bool] = False


class _OpenEnum(_Word, enum.StrEnum):
    """An enum that understands other spellings of its values, and whose unknown values are no error.

    An unknown value becomes a member by the name of OTHER that keeps its word, so that it can be counted by it and is
    written out again as it came. Only values that are not the wire's own come to `_missing_`.
    """

    @classmethod
    def _missing_(cls, value: object) -> _OpenEnum:
        word = str(value)
        return _understood(cls, word) if len(word) <= _MAX_SPELLING else _unknown(cls, word)


_MAX_SPELLING: Final = 64  # characters; longer words are not looked up


@lru_cache(maxsize=1 << 10)
def _understood(kind: type[_OpenEnum], word: str) -> _OpenEnum:
    known = word_of(kind.__name__, word)
    return _unknown(kind, word) if known is None else kind(known)


def _unknown(kind: type[_OpenEnum], word: str) -> _OpenEnum:
    unknown = str.__new__(kind, word)
    unknown._name_, unknown._value_ = "OTHER", word
    unknown.is_unknown = True  # type: ignore[misc] # of this one, in place of the class's
    return unknown


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
    rating: Rating | None = None
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
    <CartAction.OTHER: 'new!'>
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
