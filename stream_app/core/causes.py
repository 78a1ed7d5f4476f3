"""Why a customer leaves: a probability over the causes, from priors and from the signs in his events.

For each cause c the evidence E is weighed as a mixture, since the events do not always tell:

    P(c | E) ∝ prior(c) × (1 - TOLD + TOLD × Π over the signs s of c: r(s))

where r(s) is chance ÷ otherwise if the sign is there, (1 - chance) ÷ (1 - otherwise) if it is not although the shop
sends its fields, and 1 if the shop does not. So a missing sign weakens a cause no further than to a share of its prior,
and one misleading sign does not end the argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from stream_app.core.circumstances import Circumstances
from stream_app.core.explanation import Cause, Evidence, Explanation
from stream_app.core.priors import CAUSES, FAMILY, POOR_EXPERIENCE
from stream_app.core.segments import segment_of
from stream_app.core.signs import SIGNS, UNSPLIT, Numbers, Sign

TOLD: Final = 0.7  # share of those who leave whose events tell why
MAX_CAUSES: Final = 5  # that are told
MAX_EVIDENCE: Final = 6
LEAST: Final = 0.01  # a cause less likely than that is not told
_DIGITS: Final = 4


def explain(about: Circumstances, priors: Mapping[str, float]) -> Explanation:
    """The likeliest causes, the evidence for them and the customer's segment.

    Args:
        about: the customer at his moment.
        priors: by cause, of his kind of buyer.
    """
    seen = read_signs(about)
    posterior = probabilities(about, priors, seen)
    best = sorted(_told(posterior, seen).items(), key=lambda cause: -cause[1])[:MAX_CAUSES]
    causes = tuple(Cause(key, round(p, _DIGITS)) for key, p in best if p >= LEAST)
    return Explanation(segment_of(about), causes, _evidence(posterior, seen))


def read_signs(about: Circumstances) -> dict[str, Numbers]:
    """The numbers of all signs that are there, by key."""
    read = ((sign.key, sign.read(about)) for sign in SIGNS if sign.can_be_read(about))
    return {key: numbers for key, numbers in read if numbers is not None}


def probabilities(about: Circumstances, priors: Mapping[str, float], seen: Mapping[str, Numbers]) -> dict[str, float]:
    """The probability of each of CAUSES; they sum to 1.

    Args:
        about: the customer at his moment.
        priors: by cause; one that is not named has none.
        seen: the signs that are there.
    """
    ratios = dict.fromkeys(CAUSES, 1.0)
    for sign in SIGNS:
        if sign.chances and sign.can_be_read(about):
            for cause, chance in sign.chances.items():
                ratios[cause] *= _ratio(chance, sign.otherwise, there=sign.key in seen)
    weights = {cause: priors.get(cause, 0.0) * (1.0 - TOLD + TOLD * ratio) for cause, ratio in ratios.items()}
    total = math.fsum(weights.values())
    return {cause: weight / total for cause, weight in weights.items()}


def _ratio(chance: float, otherwise: float, there: bool) -> float:
    return chance / otherwise if there else (1.0 - chance) / (1.0 - otherwise)


def _told(posterior: Mapping[str, float], seen: Mapping[str, Numbers]) -> dict[str, float]:
    """The causes as they are told: the five of a poor experience in one, where the events cannot split them."""
    if UNSPLIT not in seen or any(_speaks_for_one(sign) for sign in SIGNS if sign.key in seen):
        return dict(posterior)
    told = {cause: p for cause, p in posterior.items() if cause not in POOR_EXPERIENCE}
    return {FAMILY: math.fsum(posterior[cause] for cause in POOR_EXPERIENCE), **told}


def _speaks_for_one(sign: Sign) -> bool:
    """Whether a sign speaks for some of the five and not for others."""
    return 0 < sum(cause in sign.chances for cause in POOR_EXPERIENCE) < len(POOR_EXPERIENCE)


def _evidence(posterior: Mapping[str, float], seen: Mapping[str, Numbers]) -> tuple[Evidence, ...]:
    """The signs that are there, strongest first; how long the customer has been silent comes before all."""
    weights = {sign.key: _strength(sign, posterior) for sign in SIGNS if sign.key in seen}
    keys = sorted(weights, key=lambda key: -weights[key])[:MAX_EVIDENCE]
    return tuple(Evidence(key, {name: round(float(value), 2) for name, value in seen[key].items()}) for key in keys)


def _strength(sign: Sign, posterior: Mapping[str, float]) -> float:
    """How much a sign that is there moves what is believed."""
    if not sign.chances:
        return math.inf
    return max(posterior[cause] * math.log(chance / sign.otherwise) for cause, chance in sign.chances.items())
