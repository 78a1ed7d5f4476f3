"""What staff report back: the cause of churn that they confirmed, or the kind of a complaint that they re-filed.

A customer's partition sends this feedback to the trainer, with what the model needs to learn from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from stream_app.core.causes.explanation import Key
from stream_app.core.events.schema import Id, Micros

NAMED: Final = 3  # number of causes whose order is remembered from the explanation of an alert
MAX_BUCKETS: Final = 10_000  # hashes per text; more than `complaint_text.MAX_CHARS` allows
_Keys = Annotated[tuple[Key, ...], msgspec.Meta(max_length=64)]


class Confirmation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A cause confirmed by staff, with the evidence at that time.

    Attributes:
        at: time of the confirmation, microseconds.
        alert_id: id of the alert.
        cause: the confirmed cause, or `catalogue.FAMILY`.
        repeat: whether the customer is a repeat buyer.
        blind: whether staff were not shown the likely causes.
        named: the likeliest causes when the alert opened, most likely first, at most `NAMED`.
        present: keys of the evidence rules whose evidence is present.
        absent: keys of the rules that apply, and whose evidence is absent.
    """

    at: Micros
    alert_id: Id
    cause: Key
    repeat: bool
    blind: bool
    named: _Keys
    present: _Keys
    absent: _Keys


class FiledText(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A complaint text that staff filed under a kind; see complaint_kinds.TextReading.

    Attributes:
        at: time of filing, microseconds.
        event_id: id of the event.
        kind: kind of complaint by the staff.
        lexicon: kind by the lexicon.
        buckets: hashes of the words.
    """

    at: Micros
    event_id: Id
    kind: Key
    lexicon: Key
    buckets: Annotated[list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]], msgspec.Meta(max_length=MAX_BUCKETS)]


class Feedback:
    """Feedback from staff, in any order until it is learned.

    >>> feedback = Feedback()
    >>> feedback.add([], [FiledText(0, "e1", "quality", "other", [3, 5])])
    >>> bool(feedback), bool(Feedback())
    (True, False)
    """

    def __init__(self) -> None:
        self.confirmed: list[Confirmation] = []
        self.filed: list[FiledText] = []

    def __bool__(self) -> bool:
        return bool(self.confirmed or self.filed)

    def add(self, confirmed: Iterable[Confirmation], filed: Iterable[FiledText]) -> None:
        """Add feedback, for example of another partition."""
        self.confirmed += confirmed
        self.filed += filed

    def in_order(self) -> tuple[list[Confirmation], list[FiledText]]:
        """Return the feedback in an order that does not depend on partitions: by time, then by id."""
        return (
            sorted(self.confirmed, key=lambda one: (one.at, one.alert_id)),
            sorted(self.filed, key=lambda one: (one.at, one.event_id)),
        )
