"""An evidence rule: what it measures, when it applies, and how strongly it supports or weakens each cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stream_app.core.state.profile import CustomerProfile

Numbers = dict[str, float]
Measure = Callable[[CustomerProfile], Numbers]


@dataclass(frozen=True, slots=True)
class Threshold:
    """An inclusive lower or upper limit on one number."""

    number: str
    least: float | None = None
    most: float | None = None

    def is_met(self, numbers: Mapping[str, float]) -> bool:
        """Return whether the number is within the limit. NaN never is."""
        value = numbers[self.number]
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return f"{self.number} ≥ {self.least:g}" if self.most is None else f"{self.number} ≤ {self.most:g}"


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of a rule for one customer: whether the evidence is present, and the numbers to show with it."""

    present: bool
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One row of the table.

    Attributes:
        key: unique name, which is also the key of the rule's text in `stream_app/i18n/`.
        fields: event fields that the rule needs, from `capabilities.FIELDS`.
        measure: computes the numbers compared with the thresholds.
        thresholds: the evidence is present if all of these limits are met.
        likelihoods: share of customers with this evidence among those who leave for a cause and show it in their
            events, by cause.
        base_rate: share of all other customers who have this evidence.
        applies_if: the rule applies only if all of these limits are met; otherwise the evidence is neither present nor
            absent.
    """

    key: str
    fields: tuple[str, ...]
    measure: Measure
    thresholds: tuple[Threshold, ...]
    likelihoods: Mapping[str, float] = field(default_factory=dict)
    base_rate: float = 1.0
    applies_if: tuple[Threshold, ...] = ()

    def evaluate(self, profile: CustomerProfile) -> Reading | None:
        """Return the reading for a customer, or None if the shop lacks the fields or the rule does not apply."""
        if not all(profile.shop.sends(name) for name in self.fields):
            return None
        numbers = self.measure(profile)
        if not all(threshold.is_met(numbers) for threshold in self.applies_if):
            return None
        return Reading(all(threshold.is_met(numbers) for threshold in self.thresholds), numbers)


def at_least(number: str, value: float) -> Threshold:
    """Return a threshold that requires a number to be at least the given value."""
    return Threshold(number, least=value)


def at_most(number: str, value: float) -> Threshold:
    """Return a threshold that requires a number to be at most the given value."""
    return Threshold(number, most=value)
