"""Why a customer is about to leave, as it is told with an alert: causes by probability, and the evidence for them."""

from __future__ import annotations

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One cause of leaving: its key (docs/causes.md) and its probability among all causes."""

    key: str
    probability: float


class Evidence(msgspec.Struct, frozen=True):
    """One sign in a customer's events: its key, and the numbers that its words name (days, counts, shares of 1)."""

    sign: str
    numbers: dict[str, float] = {}


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The likeliest causes, best first, the evidence, strongest first, and the segments that a measure must fit.

    `segment` is the one in which the customer is counted; `also` are the others that fit, in their order.

    >>> Explanation("one_time", (Cause("forgot_shop", 0.6),), (Evidence("no_visit", {"days": 40.0}),)).causes[0].key
    'forgot_shop'
    """

    segment: str = ""
    causes: tuple[Cause, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def segments(self) -> tuple[str, ...]:
        """All segments of the customer, the first one first."""
        return (self.segment, *self.also) if self.segment else self.also
