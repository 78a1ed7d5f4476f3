"""What the linear and the binned expert share: a recursive regression on the prior's log-odds and further inputs.

    log-odds = b + c · prior + w · x,   b ~ N(0, s_b²), c ~ N(1, s_c²), w_i ~ N(0, s_w²)

`RecursiveLogisticRegression` has three adaptations that make it suitable for churn:

- Decisions overlap: weekly decisions with a horizon of 60 days give nine rows about nearly the same future. Each row is
  therefore weighted by decide_every / horizon.
- All customers of a day deviate together (a sale, a holiday). The rows that mature on one day are a group, whose shared
  deviation is a random effect with standard deviation DAY_EFFECT·√horizon, so that seasons do not affect the weights.
- Shops change over time: the posterior decays towards the prior with a half-life of FORGET_HORIZONS horizons.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import RecursiveLogisticRegression
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels

DAY_EFFECT: Final = 0.3
BIAS_DEVIATION: Final = 0.25
PRIOR_DEVIATION: Final = 0.2
WEIGHT_DEVIATION: Final = 0.1
FORGET_HORIZONS: Final = 4.0
PRIOR: Final = "prior"  # name of the prior's log-odds in a pipeline
DAY: Final = "day"  # name of the day on which a row matured


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


def correction(span: Span, clip: float | None = None) -> RecursiveLogisticRegression:
    """Return an untrained regression that corrects the prior.

    Args:
        span: the shop's time scales.
        clip: largest absolute value of an input; see RecursiveLogisticRegression.

    >>> correction(Span(60.0, 7.0)).predict_proba_one({"prior": 0.0, "recency": 3.0})  # untrained: the prior itself
    {False: 0.5, True: 0.5}
    """
    return RecursiveLogisticRegression(
        offset=PRIOR,
        group=DAY,
        weight_deviation=WEIGHT_DEVIATION,
        offset_deviation=PRIOR_DEVIATION,
        intercept_deviation=BIAS_DEVIATION,
        group_deviation=DAY_EFFECT * span.horizon**0.5,
        half_life=FORGET_HORIZONS * span.horizon,
        example_weight=span.weight,
        clip=clip,
    )


class CorrectionExpert(Expert):
    """An expert whose `pipeline` corrects the prior. Rows are scored from arrays with the pipeline's weights."""

    pipeline: Any  # a River pipeline that ends in `correction`

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Inputs of the regression, besides the prior."""

    @property
    def regression(self) -> RecursiveLogisticRegression:
        """The regression in the pipeline."""
        regression: RecursiveLogisticRegression = self.pipeline["RecursiveLogisticRegression"]
        return regression

    def export(self) -> None:
        """Read the arrays for scoring from the pipeline."""
        self._intercept, weights = self.regression.intercept, self.regression.weights
        self._prior_weight = weights[PRIOR]
        self._weights = np.array([weights.get(name, 0.0) for name in self.inputs])

    def _corrected(self, corrections: Floats, prior: Floats) -> Floats:
        """Return the log-odds of n rows, given the sums of their weighted inputs."""
        return np.clip(corrections + self._prior_weight * prior + self._intercept, -LIMIT, LIMIT)

    def _learn_day(self, prior: Floats, inputs: Floats, labels: Labels) -> None:
        """Learn the rows of a day, which are a group."""
        self.regression.learn_group((PRIOR, *self.inputs), np.concatenate([prior[:, None], inputs], axis=1), labels)
        self.export()
