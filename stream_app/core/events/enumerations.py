"""Enumerations of the wire schema: pages, actions and forms."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import ClassVar, Final

from stream_app.core.events.spellings import word_of


class _Known:
    """Base class of enumeration members. Members for unknown values override `is_unknown`."""

    is_unknown: ClassVar[bool] = False


class OpenEnum(_Known, enum.StrEnum):
    """An enumeration that accepts alternative spellings of its values, as well as unknown values.

    An unknown value becomes a member named OTHER that keeps the original word, so it can be counted and is encoded
    unchanged.
    """

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum:
        word = str(value)
        return _from_spelling(cls, word) if len(word) <= _MAX_SPELLING else _unknown_member(cls, word)


_MAX_SPELLING: Final = 64  # characters; longer words are not looked up


@lru_cache(maxsize=1 << 10)
def _from_spelling(kind: type[OpenEnum], word: str) -> OpenEnum:
    known = word_of(kind.__name__, word)
    return _unknown_member(kind, word) if known is None else kind(known)


def _unknown_member(kind: type[OpenEnum], word: str) -> OpenEnum:
    unknown = str.__new__(kind, word)
    unknown._name_, unknown._value_ = "OTHER", word
    unknown.is_unknown = True  # type: ignore[misc] # override the class variable for this member
    return unknown


class Page(OpenEnum):
    """Kind of page viewed."""

    HOME = "home"
    CATEGORY = "category"
    PRODUCT = "product"
    SEARCH = "search"
    CART = "cart"
    CHECKOUT = "checkout"
    ACCOUNT = "account"
    HELP = "help"
    OTHER = "other"


class CartAction(OpenEnum):
    """An action in the cart, the favourites or the checkout."""

    ADD = "add"
    REMOVE = "remove"
    FAVOURITE = "favourite"
    UNFAVOURITE = "unfavourite"
    CHECKOUT_STARTED = "checkout_started"
    CHECKOUT_ABANDONED = "checkout_abandoned"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_METHOD_REMOVED = "payment_method_removed"
    OTHER = "other"


class OrderAction(OpenEnum):
    """A step in the lifecycle of an order."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    REFUNDED = "refunded"
    OTHER = "other"


class ComplaintForm(OpenEnum):
    """The form in which a customer expressed dissatisfaction."""

    COMPLAINT = "complaint"
    LOW_REVIEW = "low_review"
    RETURN_REASON = "return_reason"
    SURVEY = "survey"
    UNSUBSCRIBE = "unsubscribe"
    CANCELLATION = "cancellation"
    OTHER = "other"


class ContactAction(OpenEnum):
    """A step of a message to a customer, or what the customer said about being contacted."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    REPLIED = "replied"
    FAILED = "failed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    OTHER = "other"


class ComplaintAction(OpenEnum):
    """A step in the handling of a complaint."""

    OPENED = "opened"
    ANSWERED = "answered"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    REFILED = "refiled"
    OTHER = "other"
