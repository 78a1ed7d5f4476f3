"""Learns from causes that staff confirm: how common each cause is in this shop, and how often evidence comes with it.

Only counts are kept, next to the configured priors and the table of evidence rules, which stay as they are. What is
learned is a shift of both towards the counts:

- Priors. First, both groups of buyers together give one factor per cause: confirmations against those expected by the
  priors, each plus PRIOR_CASES (the mean of a gamma posterior). Then each group shifts its own shares, as if the priors
  so far were GROUP_CASES confirmations (the mean of a Dirichlet posterior).
- Likelihoods and base rates: the mean of a beta posterior, in which the table counts as RULE_CASES and BASE_CASES.

Every confirmation fades all earlier ones, so that they never weigh more than MEMORY. Together with MOST_FACTOR, this
bounds how far the priors can move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from stream_app.core.causes.catalogue import CAUSES, FAMILY, ONE_TIME, POOR_EXPERIENCE, REPEAT
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.causes.feedback import NAMED, Confirmation
from stream_app.core.causes.rule import EvidenceRule

PRIOR_CASES: Final = 5.0
GROUP_CASES: Final = 50.0
RULE_CASES: Final = 60.0
BASE_CASES: Final = 300.0
MEMORY: Final = 1_000.0  # total weight of infinitely many confirmations
MOST_FACTOR: Final = 8.0  # by which both groups together can raise or lower a cause
SHOWING: Final = 0.8  # share of churning customers whose events show the cause
LEAST_RATE, MOST_RATE = 0.02, 0.99  # limits of learned likelihoods
_FADING: Final = 1.0 - 1.0 / MEMORY
_RULES: Final = {rule.key: rule for rule in EVIDENCE_RULES}
_SURVEYED: Final = (ONE_TIME, REPEAT)
Shares = Mapping[str, float]


class LearnedCauses:
    """Counts of confirmed causes and of their evidence.

    >>> learned = LearnedCauses()
    >>> for number in range(50):
    ...     learned.learn(Confirmation(number, f"al_{number}", "logistics", True, False, (), ("late_parcel",), ()))
    >>> one_time, repeat = learned.priors(ONE_TIME, REPEAT)
    >>> [round(shares["logistics"], 2) for shares in (ONE_TIME, REPEAT, one_time, repeat)]
    [0.03, 0.05, 0.3, 0.71]
    """

    def __init__(self) -> None:
        self.total = 0  # number of confirmations
        # Blind confirmations, and among them those whose cause was named first, and among the first three.
        self.judged = self.first = self.among_three = 0
        self._confirmed = [dict.fromkeys(CAUSES, 0.0), dict.fromkeys(CAUSES, 0.0)]  # one-time buyers, repeat buyers
        # By key of the rule: confirmations of customers to whom it applies, with and without its evidence.
        self._with_cause: dict[str, dict[str, list[float]]] = {}  # and by cause
        self._others: dict[str, list[float]] = {}  # of all causes that the rule is no evidence for

    def learn(self, one: Confirmation) -> None:
        """Learn a confirmation, and count it in the accuracy if it is blind. Unknown keys are ignored."""
        if one.cause not in {*CAUSES, FAMILY}:
            return
        self.total += 1
        if one.blind and one.named:
            right = is_named(one.cause, one.named)
            self.judged += 1
            self.first += right[0]
            self.among_three += any(right)
        self._fade()
        group = int(one.repeat)
        for cause, share in _split(one.cause, _SURVEYED[group]).items():
            self._confirmed[group][cause] += share
        if one.cause == FAMILY:
            return  # nothing is known of the evidence for each
        for place, keys in enumerate((one.present, one.absent)):
            for key in keys:
                if key in _RULES:
                    self._counts(_RULES[key], one.cause)[place] += 1.0

    def _fade(self) -> None:
        for group in self._confirmed:
            for cause in group:
                group[cause] *= _FADING
        for counts in (*self._others.values(), *(one for by in self._with_cause.values() for one in by.values())):
            counts[:] = [one * _FADING for one in counts]

    def _counts(self, rule: EvidenceRule, cause: str) -> list[float]:
        if cause in rule.likelihoods:
            return self._with_cause.setdefault(rule.key, {}).setdefault(cause, [0.0, 0.0])
        return self._others.setdefault(rule.key, [0.0, 0.0])

    def priors(self, one_time: Shares, repeat: Shares) -> tuple[dict[str, float], dict[str, float]]:
        """Return the learned priors of one-time and repeat buyers. A cause whose prior is 0 keeps it.

        Args:
            one_time: configured priors of one-time buyers.
            repeat: those of repeat buyers.
        """
        configured = [{cause: shares.get(cause, 0.0) for cause in CAUSES} for shares in (one_time, repeat)]
        totals = [math.fsum(group.values()) for group in self._confirmed]
        factors = {}
        for cause in CAUSES:
            found = math.fsum(group[cause] for group in self._confirmed)
            expected = math.fsum(total * shares[cause] for total, shares in zip(totals, configured, strict=True))
            factor = (PRIOR_CASES + found) / (PRIOR_CASES + expected)
            factors[cause] = min(max(factor, 1.0 / MOST_FACTOR), MOST_FACTOR)
        first, second = (
            _shifted(_normalised({cause: share * factors[cause] for cause, share in shares.items()}), found)
            for shares, found in zip(configured, self._confirmed, strict=True)
        )
        return first, second

    def rules(self) -> tuple[EvidenceRule, ...]:
        """Return the evidence rules with learned likelihoods and base rates."""
        return tuple(self._learned(rule) for rule in EVIDENCE_RULES)

    def _learned(self, rule: EvidenceRule) -> EvidenceRule:
        if not rule.likelihoods:
            return rule
        base_rate = _posterior(rule.base_rate, BASE_CASES, self._others.get(rule.key, (0.0, 0.0)))
        by_cause, likelihoods = self._with_cause.get(rule.key, {}), {}
        for cause, likelihood in rule.likelihoods.items():
            # Confirmed customers whose events do not show the cause have the evidence as often as all others.
            seen = SHOWING * likelihood + (1.0 - SHOWING) * rule.base_rate
            seen = _posterior(seen, RULE_CASES, by_cause.get(cause, (0.0, 0.0)))
            likelihoods[cause] = min(max((seen - (1.0 - SHOWING) * base_rate) / SHOWING, LEAST_RATE), MOST_RATE)
        return replace(rule, likelihoods=likelihoods, base_rate=base_rate)


def is_named(cause: str, named: Sequence[str]) -> list[bool]:
    """Return for each of the first named causes whether it is the confirmed one. A family is each of its causes.

    >>> is_named("service", ["price", "poor_experience"]), is_named("poor_experience", ["service"])
    ([False, True], [True])
    """
    families = {cause, FAMILY} if cause in POOR_EXPERIENCE else {cause}
    if cause == FAMILY:
        families |= set(POOR_EXPERIENCE)
    return [one in families for one in named[:NAMED]]


def _split(cause: str, shares: Shares) -> dict[str, float]:
    """Return a confirmed cause with weight 1, or the causes of a confirmed family in proportion to their shares."""
    return _normalised({one: shares[one] for one in POOR_EXPERIENCE}) if cause == FAMILY else {cause: 1.0}


def _normalised(shares: Shares) -> dict[str, float]:
    total = math.fsum(shares.values())
    return {cause: share / total for cause, share in shares.items()}


def _shifted(shares: Shares, found: Shares) -> dict[str, float]:
    """Return the shares shifted towards what was found; those of causes without a share stay 0."""
    return _normalised({
        cause: GROUP_CASES * share + found[cause] if share > 0.0 else 0.0 for cause, share in shares.items()
    })  # fmt: skip


def _posterior(rate: float, cases: float, counts: Sequence[float]) -> float:
    """Return the mean of a beta posterior, given how often something was present and absent."""
    present, absent = counts
    return (cases * rate + present) / (cases + present + absent)
