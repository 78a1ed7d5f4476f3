"""Whether an event of the complaints topic is displeasure, and what it is about: the shop's category, or its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm
from stream_app.core.events.schema import Complaint
from stream_app.core.state.counters import COMPLAINED

OTHER: Final = "other"
HANDLING: Final = (ComplaintAction.ANSWERED, ComplaintAction.RESOLVED)
ACTS: Final = (ComplaintForm.UNSUBSCRIBE, ComplaintForm.RETURN_REASON, ComplaintForm.CANCELLATION)
LOW_RATING: Final = 2.0  # of 5; this and less is displeasure
Classifier = Callable[[str], str]  # a complaint's text -> one of COMPLAINED, or OTHER

# The names that shops give, beside those of COMPLAINED themselves.
_ALIASES: Final = {
    "advertising": "messages",
    "availability": "stock",
    "checkout": "site",
    "counterfeit": "quality",
    "damage": "logistics",
    "data": "privacy",
    "delivery": "logistics",
    "description": "quality",
    "payment": "site",
    "product": "quality",
    "security": "privacy",
    "shipping": "logistics",
    "spam": "messages",
    "staff": "service",
    "support": "service",
    "website": "site",
}
_KINDS: Final = {**_ALIASES, **{kind: kind for kind in COMPLAINED}}


def is_displeasure(event: Complaint) -> bool:
    """Return whether a customer voices displeasure: what is none counts as no complaint anywhere.

    A rating decides for what a customer says: a complaint, a review, a survey. What they do (unsubscribe, return,
    cancel) is displeasure with any rating. Without a rating, every form but a survey is displeasure. An answer and a
    resolution are none, with any rating, since it rates the handling; nor is a step that is unknown.

    >>> from stream_app.core.events.schema import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","form":'
    >>> [is_displeasure(decode(head + rest)) for rest in (b'"survey","rating":1}', b'"survey"}', b'"low_review"}')]
    [True, False, True]
    >>> [is_displeasure(decode(head + rest)) for rest in (b'"complaint","rating":3}', b'"unsubscribe","rating":5}')]
    [False, True]
    """
    if event.action is not ComplaintAction.OPENED and event.action is not ComplaintAction.REOPENED:
        return False
    if event.form in ACTS:
        return True
    if event.rating is not None:
        return event.rating <= LOW_RATING
    return event.form is not ComplaintForm.SURVEY


def is_low_rating(event: Complaint) -> bool:
    """Return whether displeasure shows in a rating; a low review may come without its number."""
    rated_low = event.rating is not None and event.rating <= LOW_RATING
    return rated_low or event.form is ComplaintForm.LOW_REVIEW


def unread(_text: str) -> str:
    """Read nothing into a text: the classifier of a partition that was given none."""
    return OTHER


def kind_of(event: Complaint, classify: Classifier) -> str:
    """What a complaint is about, one of COMPLAINED or OTHER.

    The text is read only where the shop gives no category, or says `other`.

    >>> from stream_app.core.events.schema import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z",'
    >>> kind_of(decode(head + b'"category":"delivery"}'), unread), kind_of(decode(head + b'"text":"late"}'), unread)
    ('logistics', 'other')
    """
    named = (event.category or OTHER).strip().lower()
    if named == OTHER:
        return classify(event.text) if event.text else OTHER
    return _KINDS.get(named, OTHER)
