"""The linear expert: the log-odds of the prior, corrected by standardised features."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from river import compose, preprocessing

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import RecursiveLogisticRegression, SelectWithDefault, learn_scale, scale_of
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows, row_sums
from stream_app.core.model.experts.recursive import DAY, PRIOR, Span, correction
from stream_app.core.model.features import LINEAR, NAMES

CLIP: Final = 4.0  # standard deviations
_PLACES: Final = list(LINEAR)


class LinearExpert(Expert):
    """Recursive logistic regression on features, standardised by their running mean and standard deviation.

    `pipeline` is the model, as River would use it. Rows are scored from arrays with its means and weights.
    """

    name: ClassVar[str] = "linear"
    inputs: ClassVar[tuple[str, ...]] = tuple(NAMES[place] for place in LINEAR)

    def __init__(self, span: Span) -> None:
        scaled = SelectWithDefault(*self.inputs) | preprocessing.StandardScaler()
        self.pipeline = compose.TransformerUnion(SelectWithDefault(PRIOR, DAY), scaled) | correction(span, CLIP)
        self._days = 0
        self.export()

    @property
    def scaler(self) -> preprocessing.StandardScaler:
        """The scaler in the pipeline."""
        return self.pipeline["TransformerUnion"]["Pipeline"]["StandardScaler"]

    @property
    def regression(self) -> RecursiveLogisticRegression:
        """The regression in the pipeline."""
        return self.pipeline["RecursiveLogisticRegression"]

    def log_odds(self, rows: Rows) -> Floats:
        corrections = row_sums(self._scaled(rows) * self._weights)
        return np.clip(corrections + self._prior_weight * rows.prior + self._intercept, -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn the rows of a day: the scale first, so that it exists for the first rows."""
        self._days += 1
        table = rows.features[:, _PLACES]
        learn_scale(self.scaler, self.inputs, table)
        means, scales = scale_of(self.scaler, self.inputs)
        inputs = np.concatenate([rows.prior[:, None], (table - means) * scales], axis=1)
        self.regression.learn_group((PRIOR, *self.inputs), inputs, labels, self._days)
        self.export()

    def contributions(self, rows: Rows) -> dict[str, Floats]:
        """Return each feature's contribution to the log-odds of each row."""
        moved = self._scaled(rows) * self._weights
        return {name: moved[:, column] for column, name in enumerate(self.inputs)}

    def export(self) -> None:
        """Read the arrays for scoring from the pipeline."""
        self._means, self._scales = scale_of(self.scaler, self.inputs)
        self._intercept, weights = self.regression.intercept, self.regression.weights
        self._prior_weight = weights[PRIOR]
        self._weights = np.array([weights.get(name, 0.0) for name in self.inputs])

    def _scaled(self, rows: Rows) -> Floats:
        return np.clip((rows.features[:, _PLACES] - self._means) * self._scales, -CLIP, CLIP)
