"""Recursive logistic regression: learns one day at a time, with a prior on every weight and a daily random effect.

    log-odds = b + c · prior + w · x,   b ~ N(0, s_b²), c ~ N(1, s_c²), w_i ~ N(0, s_w²)

Each day's matured cohort updates the weights by one Newton step on the posterior (Laplace approximation, as in
Spiegelhalter and Lauritzen: Sequential updating of conditional probabilities, Networks 1990, and West and Harrison:
Bayesian Forecasting and Dynamic Models). Three adaptations make it suitable for churn:

- Decisions overlap: weekly decisions with a horizon of 60 days give nine rows about nearly the same future. Each row is
  therefore weighted by decide_every / horizon.
- All customers of a day deviate together (a sale, a holiday). This shared deviation is modelled as a random effect with
  standard deviation DAY_EFFECT·√horizon and integrated out, so that seasons do not affect the weights.
- Shops change over time: the posterior decays towards the prior with a half-life of FORGET_HORIZONS horizons.
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
    """Time scales for learning, in days."""

    horizon: float
    decide_every: float

    @property
    def weight(self) -> float:
        """Weight of a row, which corrects for overlapping decisions."""
        return min(self.decide_every / self.horizon, 1.0)

    def fading(self, horizons: float) -> float:
        """Return the daily decay rate for a half-life given in horizons."""
        return float(1.0 - 2.0 ** (-1.0 / (horizons * self.horizon)))


class RecursiveLogistic:
    """Logistic regression on the prior's log-odds and `size` inputs: weights, intercept and their precision matrix.

    >>> model = RecursiveLogistic(1, Span(60.0, 7.0))
    >>> model.log_odds(np.array([1.5]), np.array([[3.0]]))  # untrained: the prior itself
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
        """Return the log-odds of n rows. Each row's result is independent of the other rows; see `row_sums`."""
        return row_sums(inputs * self.mean[2:]) + self.mean[1] * prior + self.mean[0]

    def learn_day(self, prior: Floats, inputs: Floats, labels: Labels) -> None:
        """Learn from the rows that matured on one day."""
        self._forget()
        rows = np.concatenate([np.ones((len(prior), 1)), prior[:, None], inputs], axis=1)
        expected = 1.0 / (1.0 + np.exp(-np.clip(rows @ self.mean, -30.0, 30.0)))
        weight = self._span.weight
        curvature = (rows * (weight * expected * (1.0 - expected))[:, None]).T @ rows
        gradient = rows.T @ (weight * (expected - labels))
        # Integrate out the day's random effect, which acts as a second intercept.
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
