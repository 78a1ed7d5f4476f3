"""The linear expert: River's standard scaler and logistic regression, as a correction of the prior."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from river import linear_model, optim, preprocessing

from stream_app.core.experts.expert import LIMIT, Floats, Labels, Rows
from stream_app.core.features import NAMES

RATE: Final = 0.01  # AdaGrad's; small, because weekly decisions on one customer repeat one another
CALM: Final = 1.0  # AdaGrad's eps: as if a squared gradient of 1 had been seen already
CLIP: Final = 4.0  # standard deviations
PRIOR: Final = "prior"
INTERCEPT: Final = "intercept"


class LinearExpert:
    """log-odds = w_p · prior + w · clip((x - mean) / deviation) + b, starting as the prior itself (w_p = 1, w = 0, b = 0).

    Learned by River one example at a time; predicted for many rows at once with River's own weights, which a test holds to
    `predict_proba_one`.
    """

    name: ClassVar[str] = "linear"
    cheap: ClassVar[bool] = True
    mixed: ClassVar[bool] = True

    def __init__(self) -> None:
        self._scaler = preprocessing.StandardScaler()
        self._model = linear_model.LogisticRegression(optim.AdaGrad(RATE, eps=CALM), intercept_lr=0.0)
        self._model._weights[PRIOR] = 1.0  # noqa: SLF001 - River offers no way to start from given weights
        self._export()

    def log_odds(self, rows: Rows) -> Floats:
        """See Expert. The sum over a row does not depend on the other rows, as a matrix product's would."""
        scaled = np.clip((rows.features - self._means) * self._scales, -CLIP, CLIP)
        total = (scaled * self._weights).sum(axis=1) + self._prior_weight * rows.prior + self._intercept
        return np.clip(total, -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """See Expert."""
        for row, prior, label in zip(rows.features.tolist(), rows.prior.tolist(), labels.tolist(), strict=True):
            x = dict(zip(NAMES, row, strict=True))
            self._scaler.learn_one(x)
            self._model.learn_one(self._inputs(x, prior), label)
        self._export()

    def predict_proba_one(self, row: Floats, prior: float) -> float:
        """Probability of churn for one row by River itself, as a reference for `log_odds`."""
        x = dict(zip(NAMES, row.tolist(), strict=True))
        return float(self._model.predict_proba_one(self._inputs(x, prior))[True])

    def weights(self) -> dict[str, float]:
        """The weight of each feature, in log-odds a standard deviation."""
        return dict(zip(NAMES, self._weights.tolist(), strict=True))

    def _inputs(self, x: dict[str, float], prior: float) -> dict[str, float]:
        scaled = self._scaler.transform_one(x)
        inputs = {name: min(max(value, -CLIP), CLIP) for name, value in scaled.items()}
        inputs[PRIOR] = prior
        inputs[INTERCEPT] = 1.0
        return inputs

    def _export(self) -> None:
        """River's numbers as arrays."""
        weights: dict[str, Any] = self._model.weights
        means, variances = self._scaler.means, self._scaler.vars
        self._means = np.array([means.get(name, 0.0) for name in NAMES])
        deviations = np.sqrt(np.array([variances.get(name, 0.0) for name in NAMES]))
        self._scales = np.divide(1.0, deviations, out=np.zeros(len(NAMES)), where=deviations > 0)
        self._weights = np.array([weights.get(name, 0.0) for name in NAMES])
        self._prior_weight = float(weights.get(PRIOR, 0.0))
        self._intercept = float(weights.get(INTERCEPT, 0.0))
