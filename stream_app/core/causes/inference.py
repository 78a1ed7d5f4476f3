"""Computes the probability of each cause of churn for one customer, from priors and the evidence in their events.

For each cause c, the evidence enters as a mixture, since events do not always show why a customer leaves and are
sometimes misleading:

    P(c | evidence) ∝ prior(c) × (1 - s + s × with(c) ÷ ((1 - m) × without(c) + m × with(c)))

where s is SHOWING, m is MISLEADING, and with(c) and without(c) are products over the applicable rules for c. The
factors are the likelihood (for with) or the base rate (for without) where the evidence is present, and 1 minus that
value where it is absent although the shop sends the fields. Absent evidence therefore cannot reduce a cause below a
fixed share of its prior, and all evidence for a cause combined cannot increase it by more than a factor of 1 ÷ m.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from stream_app.core.causes.catalogue import CAUSES, FAMILY, POOR_EXPERIENCE
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES, UNSPLIT
from stream_app.core.causes.explanation import Cause, Evidence, Explanation, sendable
from stream_app.core.causes.learning import SHOWING
from stream_app.core.causes.rule import EvidenceRule, Numbers, Reading
from stream_app.core.segments.segments import segments_of
from stream_app.core.state.profile import CustomerProfile

MISLEADING: Final = 0.003  # share of all other customers whose events also show the cause
MAX_CAUSES: Final = 5  # maximum number of causes in one explanation
MAX_EVIDENCE: Final = 6
_NEUTRAL: Final = frozenset(rule.key for rule in EVIDENCE_RULES if not rule.likelihoods)  # evidence for no cause
_DIGITS: Final = 4


def explain(
    profile: CustomerProfile, priors: Mapping[str, float], rules: Sequence[EvidenceRule] = EVIDENCE_RULES
) -> Explanation:
    """Return the most likely causes, the evidence for them, and the customer's segments.

    Args:
        profile: the customer at the moment of the explanation.
        priors: prior probability of each cause, for one-time or repeat buyers depending on the customer.
        rules: the evidence rules, with the likelihoods to use.
    """
    readings = read_evidence(profile)
    present = {key: reading.numbers for key, reading in readings.items() if reading.present}
    posterior = probabilities(priors, readings, rules)
    causes = _named(posterior, present)
    segment, *also = segments_of(profile)
    return Explanation(segment, causes, _evidence(posterior, present, rules), tuple(also))


def name_causes(
    priors: Mapping[str, float], readings: Mapping[str, Reading], rules: Sequence[EvidenceRule] = EVIDENCE_RULES
) -> tuple[Cause, ...]:
    """Return the most likely causes, as `explain` names them; see `probabilities`."""
    present = {key: reading.numbers for key, reading in readings.items() if reading.present}
    return _named(probabilities(priors, readings, rules), present)


def _named(posterior: Mapping[str, float], present: Mapping[str, Numbers]) -> tuple[Cause, ...]:
    best = sorted(_merge_family(posterior, present).items(), key=lambda cause: -cause[1])[:MAX_CAUSES]
    return tuple(Cause(key, round(p, _DIGITS)) for key, p in best if round(p, _DIGITS) > 0.0)


def read_evidence(profile: CustomerProfile) -> dict[str, Reading]:
    """Return the readings of all applicable rules for a customer, by rule key."""
    readings = ((rule.key, rule.evaluate(profile)) for rule in EVIDENCE_RULES)
    return {key: reading for key, reading in readings if reading is not None}


def probabilities(
    priors: Mapping[str, float], readings: Mapping[str, Reading], rules: Sequence[EvidenceRule] = EVIDENCE_RULES
) -> dict[str, float]:
    """Return the probability of each of CAUSES; they sum to 1.

    Args:
        priors: prior probability of each cause; a cause without a prior gets probability 0.
        readings: readings by rule key.
        rules: the evidence rules, with the likelihoods to use.

    >>> posterior = probabilities({"price": 0.5, "logistics": 0.5}, {"late_parcel": Reading(True, {"parcels": 1.0})})
    >>> posterior["logistics"] > 0.8
    True
    """
    with_cause, without = dict.fromkeys(CAUSES, 1.0), dict.fromkeys(CAUSES, 1.0)
    for rule in rules:
        if rule.key in readings:
            present = readings[rule.key].present
            for cause, likelihood in rule.likelihoods.items():
                with_cause[cause] *= likelihood if present else 1.0 - likelihood
                without[cause] *= rule.base_rate if present else 1.0 - rule.base_rate
    weights = {cause: priors.get(cause, 0.0) * _ratio(with_cause[cause], without[cause]) for cause in CAUSES}
    total = math.fsum(weights.values())
    return {cause: weight / total for cause, weight in weights.items()}


def _ratio(with_cause: float, without: float) -> float:
    return 1.0 - SHOWING + SHOWING * with_cause / ((1.0 - MISLEADING) * without + MISLEADING * with_cause)


def _merge_family(posterior: Mapping[str, float], present: Mapping[str, Numbers]) -> dict[str, float]:
    """Merge the poor-experience causes into FAMILY if a complaint is the only evidence and does not separate them."""
    if UNSPLIT not in present or any(_splits_family(rule) for rule in EVIDENCE_RULES if rule.key in present):
        return dict(posterior)
    others = {cause: p for cause, p in posterior.items() if cause not in POOR_EXPERIENCE}
    return {FAMILY: math.fsum(posterior[cause] for cause in POOR_EXPERIENCE), **others}


def _splits_family(rule: EvidenceRule) -> bool:
    """Return whether a rule is evidence for some but not all poor-experience causes."""
    return 0 < sum(cause in rule.likelihoods for cause in POOR_EXPERIENCE) < len(POOR_EXPERIENCE)


def _evidence(
    posterior: Mapping[str, float], present: Mapping[str, Numbers], rules: Sequence[EvidenceRule]
) -> tuple[Evidence, ...]:
    """Return the evidence, strongest first. Rules without causes, such as the customer's silence, come first."""
    strengths = {rule.key: _strength(rule, posterior) for rule in rules if rule.key in present}
    keys = sorted(strengths, key=lambda key: -strengths[key])[:MAX_EVIDENCE]
    return tuple(
        Evidence(key, {name: round(sendable(float(value)), 2) for name, value in present[key].items()}) for key in keys
    )


def without_causes(explanation: Explanation) -> Explanation:
    """Return an explanation without its causes and the evidence for them, for staff who should find out by themselves.

    >>> shown = (Evidence("silence", {"days": 40.0}), Evidence("late_parcel"))
    >>> [one.rule for one in without_causes(Explanation("repeat", (Cause("logistics", 0.9),), shown)).evidence]
    ['silence']
    """
    evidence = tuple(one for one in explanation.evidence if one.rule in _NEUTRAL)
    return Explanation(explanation.segment, (), evidence, explanation.also)


def _strength(rule: EvidenceRule, posterior: Mapping[str, float]) -> float:
    if not rule.likelihoods:
        return math.inf
    return max(
        posterior[cause] * math.log(likelihood / rule.base_rate) for cause, likelihood in rule.likelihoods.items()
    )
