"""Scores, their columns, and the interface of models that produce them. Importing this does not import River."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.state.frame import StateFrame

if TYPE_CHECKING:
    from stream_app.core.model.staff_feedback import StaffFeedback

PRIOR_SOURCE, MODEL_SOURCE = 0, 1
MIXTURE: Final = "mixture"  # column of the ensemble, before adding the shop's return level
EXPERTS: Final = ("linear", "cells", "prior", "tree", "recency", "plain", MIXTURE)  # `ChurnModel.names`


@dataclass(frozen=True)
class Scores:
    """Scores of n decisions."""

    features: npt.NDArray[np.float16]  # (n, number of features)
    log_odds: npt.NDArray[np.float32]  # (n, number of experts + 1): the experts, then the ensemble
    probability: Floats  # rounded to float32, as stored
    source: int
    version: int


class Model(Protocol):
    """A model that scores customers."""

    @property
    def feedback(self) -> StaffFeedback | None:
        """What was learned from staff; None if they have reported nothing."""

    def decide(self, view: StateFrame) -> Scores:
        """Score decisions using all experts."""

    def lost_probability(self, silent_days: Floats, churn_probability: Floats) -> Floats:
        """Return the probabilities that customers are lost, given their silence and probability of churn."""

    def expected_value(self, view: StateFrame, churn_probability: Floats) -> Floats:
        """Return what customers will bring within the horizon, net of returns."""

    def next_order_days(self, silent_days: Floats, churn_probability: Floats) -> tuple[Floats, Floats]:
        """Return the days until the beginning and the end (infinity: open) of the intervals of the next orders."""

    def score(self, view: StateFrame) -> Floats:
        """Return churn probabilities, using only experts that are cheap enough to run on every event."""
