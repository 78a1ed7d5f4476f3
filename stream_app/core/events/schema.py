"""Wire schema of events: typed structs, and their decoding from JSON.

A shop's log has five kinds of events, each on its own Kafka topic: browsing, cart, order and complaint are what
customers do, and contact is what the shop's tools send to them. The field `type` names the kind. Unknown fields are
ignored. Other spellings of an enumeration's values are accepted (spellings.py); any other value counts as `other`, so
that a new payment state does not stop a partition. A missing or invalid required field rejects the event, and so does a
value beyond the limits below, in the live services and in a replay. docs/extending.md lists the other files to change
when you add a field.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec

from stream_app.core.events.enumerations import (
    CartAction,
    ComplaintAction,
    ComplaintForm,
    ContactAction,
    OrderAction,
    Page,
)
from stream_app.core.events.spellings import word_of
from stream_app.core.units import EPOCH, MICROSECOND

MAX_ID_CHARS: Final = 256
MAX_NAME_CHARS: Final = 8_192  # a product may be identified by its URL, a session by a token
MAX_TEXT_CHARS: Final = 100_000
MAX_MONEY: Final = 1e12
# Missing times are often written as zero: 1970 in Unix, 1900 in spreadsheets, year 1 in .NET. No online shop is that
# old.
EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)  # leaves room for adding a lifetime or an offset
MAX_DELIVERY: Final = timedelta(days=3_653)  # maximum time between an order and its promised or actual delivery
DEFAULT_SHOP: Final = "default"
_EnumT = TypeVar("_EnumT", bound=enum.StrEnum)
_ReadT = TypeVar("_ReadT")
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=(LATEST - EPOCH) // MICROSECOND)]  # since 1970-01-01 UTC
# Finite, and small enough that sums stay finite too. A count of -1 means "unknown".
Money = Annotated[float, msgspec.Meta(ge=-MAX_MONEY, le=MAX_MONEY)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
# Stars. Ratings on other scales are rejected, since they would silently be misread.
Rating = Annotated[float, msgspec.Meta(ge=1, le=5)]
Count = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]
Instant = Annotated[
    datetime, msgspec.Meta(tz=True, description="RFC 3339 with an offset, for example 2026-11-11T20:00:00+08:00")
]


class Rejected(msgspec.Struct, frozen=True):
    """Why an event was rejected, and the offending field, which is empty if the whole line is invalid."""

    reason: str
    field: str = ""


def refuse(field: str, problem: str, remedy: str) -> NoReturn:
    """Raise ValueError from a `__post_init__`. The decoder reports it like a type error of the field."""
    raise ValueError(f"{problem}: {remedy} - at `$.{field}`")


REMEDY_TIME: Final = "check the time's unit and format, and leave the field out if the time is unknown"
NO_CUSTOMER: Final = Rejected(
    'the customer is missing (missing_customer = "skip" in a mapping skips such lines)',
    "customer_id",
)


def refuse_blank(event_id: str, customer_id: str, shop_id: str) -> None:
    """Raise ValueError for blank ids, which would merge unrelated customers or events."""
    if customer_id.isspace():
        raise ValueError(f"{NO_CUSTOMER.reason} - at `$.customer_id`")
    if event_id.isspace():
        refuse("event_id", "is blank", "give every event a unique id")
    if shop_id.isspace():
        refuse("shop_id", "is blank", "leave it out if there is only one shop")


def _refuse_far(field: str, at: datetime, occurred_at: datetime) -> None:
    if not -MAX_DELIVERY <= at - occurred_at <= MAX_DELIVERY:
        refuse(field, f"{at.isoformat()} is more than ten years away from occurred_at", REMEDY_TIME)


class _Event(msgspec.Struct, kw_only=True, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """Fields common to all events."""

    event_id: Id
    customer_id: Id
    occurred_at: Instant
    shop_id: Id = DEFAULT_SHOP

    def __post_init__(self) -> None:
        """Raise ValueError for blank ids."""
        if self.customer_id.isspace() or self.event_id.isspace() or self.shop_id.isspace():
            refuse_blank(self.event_id, self.customer_id, self.shop_id)

    @property
    def at(self) -> int:
        """Time of the event in microseconds since 1970-01-01 UTC.

        >>> decode(b'{"type":"order","event_id":"1","customer_id":"c","occurred_at":"1970-01-01T08:00:01+08:00"}').at
        1000000
        """
        return (self.occurred_at - EPOCH) // MICROSECOND


def times_of(events: Sequence[Event]) -> list[int]:
    """Return the times of events, `event.at`, in microseconds. Faster than one by one."""
    return [(event.occurred_at - EPOCH) // MICROSECOND for event in events]


def _always_encoded(default: _EnumT) -> _EnumT:
    """Return a field whose default is always encoded, so that other readers need not know the default."""
    return msgspec.field(default_factory=lambda: default)


class Browsing(_Event, tag="browsing", kw_only=True, frozen=True, gc=False):
    """A page view."""

    page: Page = Page.OTHER
    product_id: Name | None = None
    category: Name | None = None
    session_id: Name | None = None
    channel: Name | None = None
    dwell_seconds: Seconds | None = None
    load_seconds: Seconds | None = None
    search_text: Text | None = None
    search_results: Count | None = None
    available: bool | None = None
    recommended: bool | None = None
    price: Money | None = None


class Cart(_Event, tag="cart", kw_only=True, frozen=True, gc=False):
    """A change to the cart or favourites, or a checkout step."""

    action: CartAction = _always_encoded(CartAction.ADD)
    product_id: Name | None = None
    category: Name | None = None
    session_id: Name | None = None
    price: Money | None = None
    quantity: Money | None = None
    available: bool | None = None


class Order(_Event, tag="order", kw_only=True, frozen=True, gc=False):
    """A step in the lifecycle of an order. Amounts are in the shop's currency, after discounts."""

    action: OrderAction = _always_encoded(OrderAction.PAID)
    order_id: Name | None = None
    amount: Money | None = None
    discount: Money | None = None
    currency: Name | None = None
    items: Count | None = None
    product_id: Name | None = None
    category: Name | None = None
    promised_at: Instant | None = None
    delivered_at: Instant | None = None
    carrier: Name | None = None
    staff: Name | None = None
    region: Name | None = None
    acquisition_channel: Name | None = None
    member_benefit: bool | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for blank ids, or if a delivery is more than ten years from the event."""
        if self.customer_id.isspace() or self.event_id.isspace() or self.shop_id.isspace():
            refuse_blank(self.event_id, self.customer_id, self.shop_id)
        if self.promised_at is not None:
            _refuse_far("promised_at", self.promised_at, self.occurred_at)
        if self.delivered_at is not None:
            _refuse_far("delivered_at", self.delivered_at, self.occurred_at)


class Complaint(_Event, tag="complaint", kw_only=True, frozen=True, gc=False):
    """A complaint, low review, return reason, survey answer or unsubscribe, or a step in its handling."""

    form: ComplaintForm = _always_encoded(ComplaintForm.COMPLAINT)
    action: ComplaintAction = _always_encoded(ComplaintAction.OPENED)
    complaint_id: Name | None = None
    order_id: Name | None = None
    category: Name | None = None
    text: Text | None = None
    rating: Rating | None = None
    channel: Name | None = None
    staff: Name | None = None
    product_id: Name | None = None
    amount: Money | None = None


class Contact(_Event, tag="contact", kw_only=True, frozen=True, gc=False):
    """A message of the shop's tools to a customer, a step of its delivery, or the customer's consent to messages."""

    action: ContactAction = ContactAction.SENT
    channel: Name | None = None
    measure: Name | None = None
    campaign: Name | None = None
    alert_id: Id | None = None
    staff: Name | None = None
    note: Text | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for blank ids, or for a step of an alert, which only the system may write."""
        refuse_blank(self.event_id, self.customer_id, self.shop_id)
        if self.action.is_unknown and word_of("AlertAction", self.action) is not None:
            refuse("action", "is a step of an alert", "use `stream-app alerts`, which writes to the control topic")


CustomerEvent = Browsing | Cart | Order | Complaint
Event = CustomerEvent | Contact
CUSTOMER_KINDS: Final[dict[str, type[CustomerEvent]]] = {
    "browsing": Browsing,
    "cart": Cart,
    "order": Order,
    "complaint": Complaint,
}
KINDS: Final[dict[str, type[Event]]] = {**CUSTOMER_KINDS, "contact": Contact}
_AT_FIELD = re.compile(r"(?P<reason>.*?) - at `\$\.?(?P<field>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")


def rejection(error: msgspec.MsgspecError) -> Rejected:
    """Convert a msgspec error to a rejection.

    >>> decode(b'{"type":"order","event_id":"1","customer_id":7,"occurred_at":"2026-01-01T00:00:00Z"}')
    Rejected(reason='Expected `str`, got `int`', field='customer_id')
    """
    text = str(error)
    if missing := _MISSING.search(text):
        return Rejected(text.partition(" - at ")[0], missing["field"])
    if placed := _AT_FIELD.match(text):
        return Rejected(placed["reason"], placed["field"])
    return Rejected(text)


def rejecting(decode_json: Callable[[bytes | str], _ReadT]) -> Callable[[bytes | str], _ReadT | Rejected]:
    """Return a decoder that returns a rejection where the given one raises an error."""

    @wraps(decode_json)
    def decode_or_reject(line: bytes | str) -> _ReadT | Rejected:
        try:
            return decode_json(line)
        except msgspec.ValidationError as error:
            return rejection(error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Rejected(f"not a JSON object: {error}")

    return decode_or_reject


_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)


@rejecting
def decode(line: bytes | str) -> Event:
    """Return the event in a line of JSON, or a rejection.

    >>> line = b'{"type":"cart","event_id":"e","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","action":"new!"}'
    >>> decode(line).action
    <CartAction.OTHER: 'new!'>
    >>> decode(b'{"type":"cart","event_id":"e","customer_id":"c"}')
    Rejected(reason='Object missing required field `occurred_at`', field='occurred_at')
    """
    return _decoder.decode(line)


encode: Final[Callable[[Event], bytes]] = msgspec.json.Encoder().encode  # no line end; `decode(encode(event)) == event`
