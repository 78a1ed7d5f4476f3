"""Classification of complaints: whether an event expresses dissatisfaction, and what the complaint is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm
from stream_app.core.events.schema import Complaint
from stream_app.core.state.counters import COMPLAINED

OTHER: Final = "other"
HANDLING: Final = (ComplaintAction.ANSWERED, ComplaintAction.RESOLVED)
ACTS: Final = (ComplaintForm.UNSUBSCRIBE, ComplaintForm.RETURN_REASON, ComplaintForm.CANCELLATION)
LOW_RATING: Final = 2.0  # out of 5; ratings up to this value express dissatisfaction
# Alternative names that shops use for the kinds in COMPLAINED.
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


BUCKETS: Final = 1 << 15  # words and pairs of words of a text are hashed into this many numbers
Classifier = Callable[[str], str]  # a complaint's text -> one of COMPLAINED, or OTHER


class TextReading(NamedTuple):
    """What is known of a complaint's text.

    Attributes:
        kind: kind of complaint by the lexicon.
        buckets: hashes, below `BUCKETS`, of its words and pairs of adjacent words; each once, in ascending order. The
            text cannot be restored from them.
    """

    kind: str
    buckets: Sequence[int]


class TextReader(Protocol):
    """A classifier by a lexicon that can also read what a model learns from."""

    def __call__(self, text: str) -> str:
        """Return the kind of complaint by the lexicon."""

    def read(self, text: str) -> TextReading:
        """Return the kind of complaint by the lexicon, and the words."""


def is_dissatisfaction(event: Complaint) -> bool:
    """Return whether a customer expresses dissatisfaction. Other events are not counted as complaints anywhere.

    The rating decides for complaints, reviews and surveys. An unsubscribe, return or cancellation counts as
    dissatisfaction regardless of rating. Without a rating, every form except a survey counts. Answers and resolutions
    do not count, since their rating is about the handling, and neither do unknown actions.

    >>> from stream_app.core.events.schema import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","form":'
    >>> [is_dissatisfaction(decode(head + rest)) for rest in (b'"survey","rating":1}', b'"survey"}', b'"low_review"}')]
    [True, False, True]
    >>> [is_dissatisfaction(decode(head + rest)) for rest in (b'"complaint","rating":3}', b'"unsubscribe","rating":5}')]
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
    """Return whether the dissatisfaction is a low rating. A low review counts even without a number."""
    rated_low = event.rating is not None and event.rating <= LOW_RATING
    return rated_low or event.form is ComplaintForm.LOW_REVIEW


def is_low_review(event: Complaint) -> bool:
    """Return whether a dissatisfied customer has written a review."""
    return event.form is ComplaintForm.LOW_REVIEW and is_dissatisfaction(event)


class _Unclassified:
    """The default reader, for which all texts are about OTHER."""

    def __call__(self, text: str) -> str:
        return self.read(text).kind

    @staticmethod
    def read(_text: str) -> TextReading:
        return TextReading(OTHER, ())


unclassified: Final = _Unclassified()


def kind_of(event: Complaint, classify: Classifier) -> str:
    """Return what a complaint is about: one of COMPLAINED, or OTHER.

    The text is classified only if the category is missing or `other`, and staff have not filed it there.

    >>> from stream_app.core.events.schema import decode
    >>> head = b'{"type":"complaint","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z",'
    >>> rests = (b'"category":"delivery"}', b'"text":"late"}')
    >>> [kind_of(decode(head + rest), unclassified) for rest in rests]
    ['logistics', 'other']
    """
    named = (event.category or OTHER).strip().lower()
    if named == OTHER and event.action is not ComplaintAction.REFILED:
        return classify(event.text) if event.text else OTHER
    return _KINDS.get(named, OTHER)
