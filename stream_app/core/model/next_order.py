"""When a customer will order next: the interval that holds the time of their next order with a probability of 80 %.

The probabilities follow from the hazards of returning (lost_probability.py), which are continued beyond `lost_after`.
Many customers never return. If the probability of no order within LIMIT is above 10 %, the interval has no end. It then
leaves out only the earliest 20 %, instead of 10 % on each side.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.lost_probability import LostModel
from stream_app.core.units import DAY_US

COVERAGE: Final = 0.8
LIMIT: Final = 2  # number of `lost_after` within which an interval may end


def next_order_days(model: LostModel, silent_days: Floats, churn_probability: Floats) -> tuple[Floats, Floats]:
    """Return the whole days until the beginning and the end of each customer's interval; infinity: it has no end.

    Args:
        model: hazards of returning.
        silent_days: days since the last order, shape (n,).
        churn_probability: probability of no order within the horizon, shape (n,).
    """
    hazards: Floats = np.cumsum(model.hazards(silent_days, churn_probability, LIMIT * model.grid.steps), axis=0)
    step, outside = model.grid.step / DAY_US, 1.0 - COVERAGE
    last = step * _steps_until(hazards, outside / 2)
    first: Floats = np.where(
        np.isinf(last), _steps_until(hazards, 1.0 - outside), _steps_until(hazards, 1.0 - outside / 2)
    )
    first = np.minimum(first, float(len(hazards)))
    return np.round(step * first), np.round(last)


def _steps_until(hazards: Floats, survival: float) -> Floats:
    """Return the number of steps until the probability of no order has fallen to a value, or infinity.

    Args:
        hazards: cumulative hazards at the end of each step, shape (steps, n).
        survival: the probability of no order.
    """
    target = -np.log(survival)
    before = np.concatenate([np.zeros((1, hazards.shape[1])), hazards])
    place = (hazards < target).sum(axis=0)
    inside = np.minimum(place, len(hazards) - 1)
    columns = np.arange(hazards.shape[1])
    begin, end = before[inside, columns], hazards[inside, columns]
    share = (target - begin) / np.maximum(end - begin, 1e-12)
    return np.where(place < len(hazards), inside + np.clip(share, 0.0, 1.0), np.inf)
