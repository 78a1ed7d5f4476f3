"""Why a customer is about to leave, as it is told with an alert: causes by probability, and the evidence for them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_NUMBER: Final = 1e15  # of a number that is sent, either way: finite, and still exact in whole units
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Key = Annotated[str, msgspec.Meta(max_length=40)]  # of a cause, a segment, a sign; another version may have others


def sendable(number: float) -> float:
    """A number as a message may hold it: neither JSON nor a reader has infinities or NaN.

    >>> sendable(float("inf")), sendable(float("nan")), sendable(2.5)
    (1000000000000000.0, 0.0, 2.5)
    """
    return min(max(number, -MAX_NUMBER), MAX_NUMBER) if number == number else 0.0  # noqa: PLR0124 - NaN alone differs from itself


class Cause(msgspec.Struct, frozen=True):
    """One cause of leaving: its key (docs/causes.md) and its probability among all causes."""

    key: Key
    probability: Probability


class Evidence(msgspec.Struct, frozen=True):
    """One sign in a customer's events: its key, and the numbers that its words name (days, counts, shares of 1)."""

    sign: Key
    numbers: Annotated[dict[Key, Number], msgspec.Meta(max_length=16)] = {}


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The likeliest causes, best first, the evidence, strongest first, and the segments that a measure must fit.

    `segment` is the one in which the customer is counted; `also` are the others that fit, in their order.

    >>> Explanation("one_time", (Cause("forgot_shop", 0.6),), (Evidence("no_visit", {"days": 40.0}),)).causes[0].key
    'forgot_shop'
    """

    segment: Key = ""
    causes: Annotated[tuple[Cause, ...], msgspec.Meta(max_length=16)] = ()
    evidence: Annotated[tuple[Evidence, ...], msgspec.Meta(max_length=16)] = ()
    also: Annotated[tuple[Key, ...], msgspec.Meta(max_length=16)] = ()

    @property
    def segments(self) -> tuple[str, ...]:
        """All segments of the customer, the first one first."""
        return (self.segment, *self.also) if self.segment else self.also
