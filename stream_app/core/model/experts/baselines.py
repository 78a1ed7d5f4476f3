"""Baseline experts: the prior, and recency alone."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows
from stream_app.core.model.features import PLACE

_RECENCY: Final = PLACE["recency"]


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
        self._scale = np.array([0.0, 1.0])  # intercept and slope over log(1 + days)
        self._curvature = np.eye(2)

    def log_odds(self, rows: Rows) -> Floats:
        """Return log-odds that strictly increase with recency."""
        recency = rows.features[:, _RECENCY]
        return np.clip(self._scale[0] + max(self._scale[1], 0.05) * (recency - 3.0), -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Perform one Newton step of a logistic regression on recency alone."""
        x = np.stack([np.ones(len(labels)), rows.features[:, _RECENCY] - 3.0], axis=1)
        expected = 1.0 / (1.0 + np.exp(-np.clip(x @ self._scale, -30.0, 30.0)))
        self._curvature = self._curvature + (x * (expected * (1.0 - expected))[:, None]).T @ x
        self._scale = self._scale - np.linalg.solve(self._curvature, x.T @ (expected - labels))
