"""The linear expert: the log-odds of the prior, corrected by standardised features."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from river import compose, preprocessing

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import SelectWithDefault, learn_scale, scale_of
from stream_app.core.model.experts.expert import Labels, Rows, row_sums
from stream_app.core.model.experts.recursive import DAY, PRIOR, CorrectionExpert, Span, correction
from stream_app.core.model.features import LINEAR, NAMES

CLIP: Final = 4.0  # standard deviations
_PLACES: Final = list(LINEAR)
_INPUTS: Final = tuple(NAMES[place] for place in LINEAR)


class LinearExpert(CorrectionExpert):
    """Recursive logistic regression on features, standardised by their running mean and standard deviation."""

    name: ClassVar[str] = "linear"

    def __init__(self, span: Span) -> None:
        scaled = SelectWithDefault(*self.inputs) | preprocessing.StandardScaler()
        self.pipeline = compose.TransformerUnion(SelectWithDefault(PRIOR, DAY), scaled) | correction(span, CLIP)
        self.export()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The features."""
        return _INPUTS

    @property
    def scaler(self) -> preprocessing.StandardScaler:
        """The scaler in the pipeline."""
        return self.pipeline["TransformerUnion"]["Pipeline"]["StandardScaler"]

    def log_odds(self, rows: Rows) -> Floats:
        return self._corrected(row_sums(self._scaled(rows) * self._weights), rows.prior)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn the rows of a day: the scale first, so that it exists for the first rows."""
        table = rows.features[:, _PLACES]
        learn_scale(self.scaler, self.inputs, table)
        self._means, self._scales = scale_of(self.scaler, self.inputs)
        self._learn_day(rows.prior, (table - self._means) * self._scales, labels)

    def contributions(self, rows: Rows) -> dict[str, Floats]:
        """Return each feature's contribution to the log-odds of each row."""
        moved = self._scaled(rows) * self._weights
        return {name: moved[:, column] for column, name in enumerate(self.inputs)}

    def export(self) -> None:
        """Read the arrays for scoring from the pipeline."""
        super().export()
        self._means, self._scales = scale_of(self.scaler, self.inputs)

    def _scaled(self, rows: Rows) -> Floats:
        return np.clip((rows.features[:, _PLACES] - self._means) * self._scales, -CLIP, CLIP)
