"""How long until an experiment gives an answer, and which effect it can show at all."""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np

from stream_app.core.uplift.intervals import Boundary

YEARS: Final = 2  # an answer that takes longer is "not within two years"
CHANCE: Final = 0.8  # with which an effect of the size named is shown
_YEAR_DAYS: Final = 365.25
_MARGIN: Final = NormalDist().inv_cdf(CHANCE)  # standard errors


def detectable(boundary: Boundary, deviation: float, drawn: float) -> float:
    """Return the smallest effect that some number of customers shows with a probability of `CHANCE`.

    Args:
        boundary: of the experiment.
        deviation: standard error × √customers.
        drawn: number of customers.
    """
    counted = min(drawn, boundary.holdout.planned) if boundary.holdout.ends else drawn
    return float(boundary.at(counted) + _MARGIN) * deviation / counted**0.5


def days_to_answer(boundary: Boundary, deviation: float, drawn: int, per_day: float, effect: float) -> float | None:
    """Return the days until an effect of this size is shown with a probability of `CHANCE`, or None within `YEARS`.

    Args:
        boundary: of the experiment.
        deviation: standard error × √customers.
        drawn: number of customers so far.
        per_day: customers drawn per day.
        effect: the size looked for.
    """
    for day in range(round(YEARS * _YEAR_DAYS) + 1):
        if detectable(boundary, deviation, max(1.0, drawn + per_day * day)) <= abs(effect):
            return float(day)
    return None


def drawn_within(drawn: int, per_day: float) -> float:
    """Return the number of customers drawn in total `YEARS` from now."""
    return float(np.ceil(drawn + per_day * YEARS * _YEAR_DAYS))
