"""Experts based on River: a Hoeffding tree, and a standard pipeline as the baseline."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from river import linear_model, optim, preprocessing, tree

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import scale_of
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows, row_sums
from stream_app.core.model.experts.river_expert import RiverExpert
from stream_app.core.model.features import PLACE

PLAIN_FEATURES: Final = (
    "recency",
    "recency_to_gap",
    "mean_gap",
    "gap_deviation",
    "order_days",
    "order_30d",
    "order_90d",
    "browsing_7d",
    "browsing_30d",
    "cart_30d",
    "complaint_90d",
    "mean_amount",
)


class TreeExpert(RiverExpert):
    """River's Hoeffding tree (Domingos, Hulten: Mining high-speed data streams, KDD 2000) on the main features."""

    name: ClassVar[str] = "tree"

    def __init__(self) -> None:
        super().__init__(tree.HoeffdingTreeClassifier(grace_period=200, leaf_prediction="nba", max_depth=8))


class RiverBaselineExpert(Expert):
    """River's standard scaler and logistic regression, as a baseline.

    River learns one row at a time. Predictions for many rows are computed in numpy from River's weights; a test
    compares them with `predict_proba_one`.
    """

    name: ClassVar[str] = "plain"

    def __init__(self) -> None:
        self._places = [PLACE[name] for name in PLAIN_FEATURES]
        self._scaler = preprocessing.StandardScaler()
        self._model = linear_model.LogisticRegression(optim.AdaGrad(0.05))
        self._export()

    def log_odds(self, rows: Rows) -> Floats:
        scaled = (rows.features[:, self._places] - self._means) * self._scales
        return np.clip(row_sums(scaled * self._weights) + self._model.intercept, -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        table = rows.features[:, self._places].tolist()
        for row, label in zip(table, labels.tolist(), strict=True):
            x = dict(zip(PLAIN_FEATURES, row, strict=True))
            self._scaler.learn_one(x)
            self._model.learn_one(self._scaler.transform_one(x), label)
        self._export()

    def predict_proba_one(self, features: Floats) -> float:
        """Return River's own probability for one row, the reference for `log_odds`."""
        x = dict(zip(PLAIN_FEATURES, features[self._places].tolist(), strict=True))
        return float(self._model.predict_proba_one(self._scaler.transform_one(x))[True])

    def _export(self) -> None:
        weights: dict[str, Any] = self._model.weights
        self._means, self._scales = scale_of(self._scaler, PLAIN_FEATURES)
        self._weights = np.array([weights.get(name, 0.0) for name in PLAIN_FEATURES])
