"""An evidence rule: what it measures on a customer, when it applies, and how it weighs for and against each cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stream_app.core.state.profile import CustomerProfile

Numbers = dict[str, float]
Measure = Callable[[CustomerProfile], Numbers]


@dataclass(frozen=True, slots=True)
class Threshold:
    """An inclusive lower or upper limit of one number."""

    number: str
    least: float | None = None
    most: float | None = None

    def is_met(self, numbers: Mapping[str, float]) -> bool:
        """Return whether the number lies within the limit; NaN never does."""
        value = numbers[self.number]
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return f"{self.number} ≥ {self.least:g}" if self.most is None else f"{self.number} ≤ {self.most:g}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a rule for one customer: whether the evidence is present, and the numbers shown with it."""

    present: bool
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One row of the table.

    Attributes:
        key: unique name, also the key of the rule's texts in `stream_app/i18n/`.
        fields: event fields that the rule needs, from `capabilities.FIELDS`.
        measure: computes the numbers that the thresholds refer to.
        thresholds: limits that must all be met for the evidence to be present.
        likelihoods: by cause, the share of customers leaving for it, and showing it in their events, who have this
            evidence.
        base_rate: the share of all other customers who have this evidence.
        applies_if: limits that must all be met for the rule to apply; otherwise it is neither present nor absent.
    """

    key: str
    fields: tuple[str, ...]
    measure: Measure
    thresholds: tuple[Threshold, ...]
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    base_rate: float = 1.0
    applies_if: tuple[Threshold, ...] = ()

    def evaluate(self, profile: CustomerProfile) -> Reading | None:
        """Return the reading for a customer, None if the shop does not send the fields or the rule does not apply."""
        if not all(profile.shop.sends(name) for name in self.fields):
            return None
        numbers = self.measure(profile)
        if not all(threshold.is_met(numbers) for threshold in self.applies_if):
            return None
        return Reading(all(threshold.is_met(numbers) for threshold in self.thresholds), numbers)


def at_least(number: str, value: float) -> Threshold:
    """Return the threshold of a number that must not be less than a value."""
    return Threshold(number, least=value)


def at_most(number: str, value: float) -> Threshold:
    """Return the threshold of a number that must not be greater than a value."""
    return Threshold(number, most=value)
