"""Why a customer leaves: a probability over the causes, from priors and from the signs in his events.

For each cause c, its signs are weighed as mixtures, since the events do not always tell, and sometimes mislead:

    P(c | signs) ∝ prior(c) × (1 - TOLD + TOLD × with(c) ÷ ((1 - MISLED) × otherwise(c) + MISLED × with(c)))

where with(c) and otherwise(c) are products over the signs of c: of their chances where they are there, and of 1 minus
their chances where they are not, although the shop sends their fields and they can be asked of the customer. So missing
signs weaken a cause no further than to a share of its prior, and all its signs together strengthen it no further than
1 ÷ MISLED: whoever was misled once saw all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from stream_app.core.causes.catalogue import CAUSES, FAMILY, POOR_EXPERIENCE
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES, UNSPLIT, EvidenceRule, Numbers, Reading
from stream_app.core.causes.explanation import Cause, Evidence, Explanation, sendable
from stream_app.core.segments.segments import segments_of
from stream_app.core.state.profile import CustomerProfile

TOLD: Final = 0.8  # share of those who leave whose events tell why
MISLED: Final = 0.003  # share of all others whose events tell of this cause all the same
MAX_CAUSES: Final = 5  # that are told
MAX_EVIDENCE: Final = 6
_DIGITS: Final = 4
_SIGNS_OF: Final = {cause: [sign for sign in EVIDENCE_RULES if cause in sign.chances] for cause in CAUSES}


def explain(about: CustomerProfile, priors: Mapping[str, float]) -> Explanation:
    """The likeliest causes, the evidence for them and the customer's segment.

    Args:
        about: the customer at his moment.
        priors: by cause, of his kind of buyer.
    """
    read = read_evidence(about)
    seen = {key: reading.numbers for key, reading in read.items() if reading.there}
    posterior = probabilities(priors, read)
    best = sorted(_told(posterior, seen).items(), key=lambda cause: -cause[1])[:MAX_CAUSES]
    causes = tuple(Cause(key, round(p, _DIGITS)) for key, p in best if round(p, _DIGITS) > 0.0)
    segment, *also = segments_of(about)
    return Explanation(segment, causes, _evidence(posterior, seen), tuple(also))


def read_evidence(about: CustomerProfile) -> dict[str, Reading]:
    """What the signs say that say anything, by key."""
    read = ((sign.key, sign.read(about)) for sign in EVIDENCE_RULES)
    return {key: reading for key, reading in read if reading is not None}


def probabilities(priors: Mapping[str, float], read: Mapping[str, Reading]) -> dict[str, float]:
    """The probability of each of CAUSES; they sum to 1.

    Args:
        priors: by cause; one that is not named has none.
        read: what the signs say.

    >>> posterior = probabilities({"price": 0.5, "logistics": 0.5}, {"late_parcel": Reading(True, {"parcels": 1.0})})
    >>> posterior["logistics"] > 0.8
    True
    """
    weights = {cause: priors.get(cause, 0.0) * _support(cause, read) for cause in CAUSES}
    total = math.fsum(weights.values())
    return {cause: weight / total for cause, weight in weights.items()}


def _support(cause: str, read: Mapping[str, Reading]) -> float:
    """How much likelier the signs of a cause are with it than otherwise."""
    with_it = otherwise = 1.0
    for sign in _SIGNS_OF[cause]:
        if sign.key in read:
            there, chance = read[sign.key].there, sign.chances[cause]
            with_it *= chance if there else 1.0 - chance
            otherwise *= sign.otherwise if there else 1.0 - sign.otherwise
    return 1.0 - TOLD + TOLD * with_it / ((1.0 - MISLED) * otherwise + MISLED * with_it)


def _told(posterior: Mapping[str, float], seen: Mapping[str, Numbers]) -> dict[str, float]:
    """The causes as they are told: the five of a poor experience in one, where the events cannot split them."""
    if UNSPLIT not in seen or any(_speaks_for_one(sign) for sign in EVIDENCE_RULES if sign.key in seen):
        return dict(posterior)
    told = {cause: p for cause, p in posterior.items() if cause not in POOR_EXPERIENCE}
    return {FAMILY: math.fsum(posterior[cause] for cause in POOR_EXPERIENCE), **told}


def _speaks_for_one(sign: EvidenceRule) -> bool:
    """Whether a sign speaks for some of the five and not for others."""
    return 0 < sum(cause in sign.chances for cause in POOR_EXPERIENCE) < len(POOR_EXPERIENCE)


def _evidence(posterior: Mapping[str, float], seen: Mapping[str, Numbers]) -> tuple[Evidence, ...]:
    """The signs that are there, strongest first; how long the customer has been silent comes before all."""
    weights = {sign.key: _strength(sign, posterior) for sign in EVIDENCE_RULES if sign.key in seen}
    keys = sorted(weights, key=lambda key: -weights[key])[:MAX_EVIDENCE]
    return tuple(
        Evidence(key, {name: round(sendable(float(value)), 2) for name, value in seen[key].items()}) for key in keys
    )


def _strength(sign: EvidenceRule, posterior: Mapping[str, float]) -> float:
    """How much a sign that is there moves what is believed."""
    if not sign.chances:
        return math.inf
    return max(posterior[cause] * math.log(chance / sign.otherwise) for cause, chance in sign.chances.items())
