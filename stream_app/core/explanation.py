"""Why a customer is about to leave, as it is told with an alert: causes by probability, and the evidence for them."""

from __future__ import annotations

from typing import Final

import msgspec

CAUSE_KEYS: Final = (
    "forgot_shop",
    "price",
    "too_many_choices",
    "product_quality",
    "logistics",
    "service",
    "unresolved_complaint",
    "broken_promise",
    "habit_change",
    "poor_site",
    "out_of_stock",
    "no_personal_fit",
    "ad_harassment",
    "privacy",
    "small_customer_neglect",
    "natural",
)


class Cause(msgspec.Struct, frozen=True):
    """One cause of leaving: its key (docs/causes.md) and its probability among all causes."""

    key: str
    probability: float


class Evidence(msgspec.Struct, frozen=True):
    """One sign in a customer's events: its key, and the numbers that its words name (days, counts, shares of 1)."""

    sign: str
    numbers: dict[str, float] = {}


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The likeliest causes, best first, the evidence, strongest first, and the segment that a measure must fit.

    >>> Explanation("one_time", (Cause("forgot_shop", 0.6),), (Evidence("no_visit", {"days": 40.0}),)).causes[0].key
    'forgot_shop'
    """

    segment: str = ""
    causes: tuple[Cause, ...] = ()
    evidence: tuple[Evidence, ...] = ()
