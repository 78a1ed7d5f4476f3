"""The explanation sent with an alert: the likely causes with their probabilities, and the evidence for them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_NUMBER: Final = 1e15  # largest absolute value sent: finite, and integers up to it are exact
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Key = Annotated[str, msgspec.Meta(max_length=40)]  # key of a cause, segment or rule; other releases may use other keys


def sendable(number: float) -> float:
    """Return a number that is valid in a message: infinities are clipped to ±MAX_NUMBER and NaN becomes 0.

    >>> sendable(float("inf")), sendable(float("nan")), sendable(2.5)
    (1000000000000000.0, 0.0, 2.5)
    """
    return min(max(number, -MAX_NUMBER), MAX_NUMBER) if number == number else 0.0  # noqa: PLR0124 - NaN alone differs from itself


def sendable_or_none(number: float) -> float | None:
    """Return `sendable(number)`, or None for NaN, where a message distinguishes "unknown" from 0.

    >>> sendable_or_none(float("nan")), sendable_or_none(float("inf"))
    (None, 1000000000000000.0)
    """
    return sendable(number) if number == number else None  # noqa: PLR0124 - NaN alone differs from itself


class Cause(msgspec.Struct, frozen=True):
    """A cause of churn: its key (see docs/reference/causes.md) and its probability."""

    key: Key
    probability: Probability


class Evidence(msgspec.Struct, frozen=True):
    """Evidence in a customer's events: the key of its rule, and the numbers shown in its text."""

    rule: Key = msgspec.field(name="sign")
    numbers: Annotated[dict[Key, Number], msgspec.Meta(max_length=16)] = {}


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The most likely causes and the strongest evidence, each in descending order, and the customer's segments.

    Attributes:
        segment: the segment under which the customer is counted.
        causes: the causes, most likely first.
        evidence: the evidence, strongest first.
        also: other segments to which the customer belongs.

    >>> Explanation("one_time", (Cause("forgot_shop", 0.6),), (Evidence("no_visit", {"days": 40.0}),)).causes[0].key
    'forgot_shop'
    """

    segment: Key = ""
    causes: Annotated[tuple[Cause, ...], msgspec.Meta(max_length=16)] = ()
    evidence: Annotated[tuple[Evidence, ...], msgspec.Meta(max_length=16)] = ()
    also: Annotated[tuple[Key, ...], msgspec.Meta(max_length=16)] = ()

    @property
    def segments(self) -> tuple[str, ...]:
        """All segments of the customer, starting with `segment`."""
        return (self.segment, *self.also) if self.segment else self.also
