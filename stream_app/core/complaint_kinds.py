"""What a complaint is about: the shop's own category, or what its text says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stream_app.core.events import Complaint
from stream_app.core.marks import COMPLAINED

OTHER: Final = "other"
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


def unread(_text: str) -> str:
    """Read nothing into a text: the classifier of a partition that was given none."""
    return OTHER


def kind_of(event: Complaint, classify: Classifier) -> str:
    """What a complaint is about, one of COMPLAINED or OTHER.

    The text is read only where the shop gives no category, or says `other`.

    >>> from stream_app.core.events import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z",'
    >>> kind_of(decode(head + b'"category":"delivery"}'), unread), kind_of(decode(head + b'"text":"late"}'), unread)
    ('logistics', 'other')
    """
    named = (event.category or OTHER).strip().lower()
    if named == OTHER:
        return classify(event.text) if event.text else OTHER
    return _KINDS.get(named, OTHER)
