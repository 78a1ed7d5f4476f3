"""Logistic regression learned recursively, a day at a time, with a prior on every weight and a random effect a day.

    log-odds = b + c · prior + w · x,   b ~ N(0, s_b²), c ~ N(1, s_c²), w_i ~ N(0, s_w²)

Each day's matured cohort moves the weights by one Newton step on the posterior (Laplace approximation, as in
Spiegelhalter and Lauritzen: Sequential updating of conditional probabilities, Networks 1990, and West and Harrison:
Bayesian Forecasting and Dynamic Models). Three things make it fit for churn:

- Decisions repeat one another: a customer decided on weekly with a horizon of 60 days gives nine rows on much the same
  future. A row therefore weighs `weight` = decide_every / horizon.
- Whole days go up or down together (a sale, a holiday). The day's common deviation is a random effect with the standard
  deviation DAY_EFFECT·√horizon that is integrated out, so that a season does not pull the weights with it.
- Shops change: the posterior forgets towards the prior with a half-life of FORGET_HORIZONS horizons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import Labels, row_sums

DAY_EFFECT: Final = 0.3
BIAS_DEVIATION: Final = 0.25
PRIOR_DEVIATION: Final = 0.2
WEIGHT_DEVIATION: Final = 0.1
FORGET_HORIZONS: Final = 4.0


@dataclass(frozen=True)
class Span:
    """The lengths that learning is scaled by, in days."""

    horizon: float
    decide_every: float

    @property
    def weight(self) -> float:
        """What one row counts, given how many rows look at the same future."""
        return min(self.decide_every / self.horizon, 1.0)

    def fading(self, horizons: float) -> float:
        """The share that is forgotten a day at a half-life in horizons."""
        return float(1.0 - 2.0 ** (-1.0 / (horizons * self.horizon)))


class RecursiveLogistic:
    """The weights on an intercept, the prior's log-odds and `size` inputs, and how sure they are.

    >>> model = RecursiveLogistic(1, Span(60.0, 7.0))
    >>> model.log_odds(np.array([1.5]), np.array([[3.0]]))  # before anything was learned: the prior itself
    array([1.5])
    """

    def __init__(self, size: int, span: Span) -> None:
        deviations = np.concatenate([[BIAS_DEVIATION, PRIOR_DEVIATION], np.full(size, WEIGHT_DEVIATION)])
        self._span = span
        self._prior_precision = np.diag(deviations**-2.0)
        self._prior_mean = np.concatenate([[0.0, 1.0], np.zeros(size)])
        self._precision = self._prior_precision.copy()
        self.mean = self._prior_mean.copy()  # intercept, weight of the prior, weights of the inputs

    def log_odds(self, prior: Floats, inputs: Floats) -> Floats:
        """Log-odds of n rows; a row's sum does not depend on the other rows, as a matrix product's would."""
        return row_sums(inputs * self.mean[2:]) + self.mean[1] * prior + self.mean[0]

    def learn_day(self, prior: Floats, inputs: Floats, labels: Labels) -> None:
        """Learn from the rows that matured on one day."""
        self._forget()
        rows = np.concatenate([np.ones((len(prior), 1)), prior[:, None], inputs], axis=1)
        expected = 1.0 / (1.0 + np.exp(-np.clip(rows @ self.mean, -30.0, 30.0)))
        weight = self._span.weight
        curvature = (rows * (weight * expected * (1.0 - expected))[:, None]).T @ rows
        gradient = rows.T @ (weight * (expected - labels))
        # Integrate the day's random effect out: it acts as a second intercept, seen only through the first column.
        shared = curvature[0] / (1.0 / (DAY_EFFECT**2 * self._span.horizon) + curvature[0, 0])
        gradient = gradient - shared * gradient[0]
        curvature = curvature - np.outer(shared, curvature[0])
        self._precision = self._precision + curvature
        self.mean = self.mean - np.linalg.solve(self._precision, gradient)

    def _forget(self) -> None:
        fading = self._span.fading(FORGET_HORIZONS)
        faded = (1.0 - fading) * self._precision + fading * self._prior_precision
        pull = (1.0 - fading) * (self._precision @ self.mean) + fading * (self._prior_precision @ self._prior_mean)
        self.mean = np.linalg.solve(faded, pull)
        self._precision = faded
