"""The linear expert: the log-odds of the prior, corrected by standardised features."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows
from stream_app.core.model.experts.recursive import RecursiveLogistic, Span
from stream_app.core.model.features import LINEAR, NAMES

CLIP: Final = 4.0  # standard deviations
_FLAT: Final = 1e-6  # features with a smaller deviation are ignored


class LinearExpert(Expert):
    """Recursive logistic regression on features, standardised by their running mean and standard deviation."""

    name: ClassVar[str] = "linear"

    def __init__(self, span: Span) -> None:
        self._places = list(LINEAR)
        self._model = RecursiveLogistic(len(self._places), span)
        self._count = 0
        self._mean = np.zeros(len(self._places))
        self._variance = np.zeros(len(self._places))

    def log_odds(self, rows: Rows) -> Floats:
        return np.clip(self._model.log_odds(rows.prior, self._scaled(rows)), -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Update the scale first, so that it exists for the first rows, then learn."""
        self._measure(rows.features[:, self._places])
        self._model.learn_day(rows.prior, self._scaled(rows), labels)

    def contributions(self, rows: Rows) -> dict[str, Floats]:
        """Return each feature's contribution to the log-odds of each row."""
        moved = self._scaled(rows) * self._model.mean[2:]
        return {NAMES[place]: moved[:, column] for column, place in enumerate(self._places)}

    def _scaled(self, rows: Rows) -> Floats:
        deviation = np.sqrt(self._variance)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > _FLAT)
        return np.clip((rows.features[:, self._places] - self._mean) * scale, -CLIP, CLIP)

    def _measure(self, features: Floats) -> None:
        """Merge the mean and variance of new rows into the running values (Chan, Golub, LeVeque 1979)."""
        count = len(features)
        total = self._count + count
        gap = features.mean(axis=0) - self._mean
        self._variance = (
            self._variance * self._count + features.var(axis=0) * count + gap * gap * self._count * count / total
        ) / total
        self._mean = self._mean + gap * count / total
        self._count = total
