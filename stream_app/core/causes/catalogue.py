"""The catalogue of causes of churn, with prior shares from seller surveys.

docs/extending.md lists everything that a new cause needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

# cause: (share among lost one-time buyers, share among lost repeat buyers)
_SURVEYED: Final = {
    "forgot_shop": (0.46, 0.08),
    "price": (0.20, 0.22),
    "too_many_choices": (0.06, 0.22),
    "product_quality": (0.04, 0.07),
    "logistics": (0.03, 0.05),
    "service": (0.02, 0.05),
    "unresolved_complaint": (0.01, 0.04),
    "broken_promise": (0.01, 0.03),
    "habit_change": (0.07, 0.07),
    "poor_site": (0.02, 0.02),
    "out_of_stock": (0.01, 0.03),
    "no_personal_fit": (0.02, 0.03),
    "ad_harassment": (0.01, 0.02),
    "privacy": (0.01, 0.01),
    "small_customer_neglect": (0.00, 0.03),
    "natural": (0.03, 0.03),
}
CAUSES: Final = tuple(_SURVEYED)
FAMILY: Final = "poor_experience"  # the five causes below combined, for when events cannot tell them apart
POOR_EXPERIENCE: Final = ("product_quality", "logistics", "service", "unresolved_complaint", "broken_promise")
ONE_TIME: Final = {cause: shares[0] for cause, shares in _SURVEYED.items()}
REPEAT: Final = {cause: shares[1] for cause, shares in _SURVEYED.items()}


def problem_of(shares: Mapping[str, float]) -> str:
    """Return what is wrong with a set of priors, worded as the end of an error message, or "" if they are valid.

    >>> problem_of(ONE_TIME), problem_of({"price": 0.4}), problem_of({"prize": 1.0})
    ('', 'sum to 0.4', 'contain an unknown cause: prize')
    """
    unknown = sorted(set(shares) - set(CAUSES))
    if unknown:
        return f"contain an unknown cause: {unknown[0]}"
    if any(not 0.0 <= share <= 1.0 for share in shares.values()):
        return "contain a share outside 0 to 1"
    total = math.fsum(shares.values())
    return "" if abs(total - 1.0) < 1e-6 else f"sum to {total:g}"
