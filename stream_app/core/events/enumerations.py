"""Enumerations of the wire schema: what each action, page and form may be."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import ClassVar, Final

from stream_app.core.events.spellings import word_of


class _Word:
    """What an enum's own members say of themselves."""

    is_unknown: ClassVar[bool] = False


class OpenEnum(_Word, enum.StrEnum):
    """An enum that understands other spellings of its values, and whose unknown values are no error.

    An unknown value becomes a member by the name of OTHER that keeps its word, so that it can be counted by it and is
    written out again as it came. Only values that are not the wire's own come to `_missing_`.
    """

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum:
        word = str(value)
        return _understood(cls, word) if len(word) <= _MAX_SPELLING else _unknown(cls, word)


_MAX_SPELLING: Final = 64  # characters; longer words are not looked up


@lru_cache(maxsize=1 << 10)
def _understood(kind: type[OpenEnum], word: str) -> OpenEnum:
    known = word_of(kind.__name__, word)
    return _unknown(kind, word) if known is None else kind(known)


def _unknown(kind: type[OpenEnum], word: str) -> OpenEnum:
    unknown = str.__new__(kind, word)
    unknown._name_, unknown._value_ = "OTHER", word
    unknown.is_unknown = True  # type: ignore[misc] # of this one, in place of the class's
    return unknown


class Page(OpenEnum):
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


class CartAction(OpenEnum):
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


class OrderAction(OpenEnum):
    """A step in the life of an order."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    REFUNDED = "refunded"
    OTHER = "other"


class ComplaintForm(OpenEnum):
    """Through what a customer voiced displeasure."""

    COMPLAINT = "complaint"
    LOW_REVIEW = "low_review"
    RETURN_REASON = "return_reason"
    SURVEY = "survey"
    UNSUBSCRIBE = "unsubscribe"
    CANCELLATION = "cancellation"
    OTHER = "other"


class ComplaintAction(OpenEnum):
    """A step in the handling of a complaint."""

    OPENED = "opened"
    ANSWERED = "answered"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    OTHER = "other"
