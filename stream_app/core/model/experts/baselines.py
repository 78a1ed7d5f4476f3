"""Baseline experts: the prior, and recency alone."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import RecursiveLogisticRegression, SelectWithDefault
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows
from stream_app.core.model.experts.recursive import DAY
from stream_app.core.model.features import PLACE

RECENCY: Final = "recency"
_LEAST_SLOPE: Final = 0.05  # log-odds per unit of recency, log(1 + days)
_PIVOT: Final = 3.0  # recency at which a slope that is raised to _LEAST_SLOPE changes nothing


class BgNbdExpert(Expert):
    """The prior as an expert. It never learns."""

    name: ClassVar[str] = "prior"

    def log_odds(self, rows: Rows) -> Floats:
        return rows.prior.copy()

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Do nothing."""


class RecencyExpert(Expert):
    """Logistic regression on recency alone. It ranks customers by recency, which needs no model."""

    name: ClassVar[str] = "recency"

    def __init__(self) -> None:
        self.pipeline = SelectWithDefault(RECENCY, DAY) | RecursiveLogisticRegression(
            offset=RECENCY, group=DAY, offset_deviation=1.0, intercept_deviation=3.0
        )
        self.export()

    @property
    def regression(self) -> RecursiveLogisticRegression:
        """The regression in the pipeline."""
        return self.pipeline["RecursiveLogisticRegression"]

    def log_odds(self, rows: Rows) -> Floats:
        """Return log-odds that strictly increase with recency."""
        recency = rows.features[:, PLACE[RECENCY]] - _PIVOT
        return np.clip(self._middle + self._slope * recency, -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn the rows of a day."""
        self.regression.learn_group((RECENCY,), rows.features[:, [PLACE[RECENCY]]], labels)
        self.export()

    def export(self) -> None:
        """Read the line for scoring from the pipeline."""
        slope = self.regression.weights[RECENCY]
        self._middle = self.regression.intercept + slope * _PIVOT
        self._slope = max(slope, _LEAST_SLOPE)
