"""The binned expert: one weight per cell of coarse grids over single features and pairs of features.

It models what the linear expert cannot: step changes in recency, and a different effect of recency for one-time buyers.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import GridEncoder, SelectWithDefault
from stream_app.core.model.experts.expert import Labels, Rows, row_sums
from stream_app.core.model.experts.recursive import DAY, PRIOR, CorrectionExpert, Span, correction
from stream_app.core.model.features import PLACE

_ORDER_DAYS: Final = (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 14.5)  # a cell for each of 1 to 6 days, for 7 to 14, and for more
_CROSSED_ORDER_DAYS: Final = _ORDER_DAYS[:4]
_FEATURES: Final = ("recency_to_gap", "order_90d", "browsing_7d", "age", "recency", "silence", "order_days")
_PLACES: Final = {name: PLACE[name] for name in _FEATURES}


def _even(low: float, high: float, count: int) -> Floats:
    """Return the edges between equal cells."""
    return low + (high - low) * np.arange(1, count) / count


def grids(horizon: float) -> GridEncoder:
    """Return the encoder of the expert's grids.

    Args:
        horizon: days. The edges of recency are at given shares of it.

    >>> grids(60.0).transform_one({"recency": 3.0, "order_days": 0.7, "age": 0.5})
    {'age_1': 1, 'recency_1': 1, 'order_days_0': 1, 'order_days_0*recency_1': 1, 'order_days_0*age_1': 1}
    """
    edges = {
        "recency_to_gap": _even(0.0, 2.5, 7),
        "order_90d": _even(0.0, 1.8, 6),
        "browsing_7d": _even(0.0, 3.5, 5),
        "age": _even(0.0, float(np.log1p(8.0)), 6),
        "recency": np.log1p(np.expm1(_even(0.0, float(np.log1p(3.0)), 7)) * horizon),
        "silence": _even(0.0, float(np.log1p(horizon)) + 0.7, 7),
        "order_days": np.log1p(_ORDER_DAYS),
        PRIOR: _even(-2.0, 3.0, 8),
    }
    axes = {feature: (feature, tuple(values.tolist())) for feature, values in edges.items()}
    few = ("order_days", tuple(np.log1p(_CROSSED_ORDER_DAYS).tolist()))
    return GridEncoder(*((axis,) for axis in axes.values()), (few, axes["recency"]), (few, axes["age"]))


class BinnedExpert(CorrectionExpert):
    """Recursive logistic regression on one-hot encoded cells."""

    name: ClassVar[str] = "cells"

    def __init__(self, span: Span) -> None:
        self.pipeline = (SelectWithDefault(PRIOR, DAY) + grids(span.horizon)) | correction(span)
        self.export()

    @property
    def encoder(self) -> GridEncoder:
        """The encoder in the pipeline."""
        return self.pipeline["TransformerUnion"]["GridEncoder"]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The cells."""
        return self.encoder.cells

    def log_odds(self, rows: Rows) -> Floats:
        places = self.encoder.places(_columns(rows), len(rows.prior))
        return self._corrected(row_sums(self._weights[places]), rows.prior)

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn the rows of a day."""
        self._learn_day(rows.prior, self.encoder.encode(_columns(rows), len(labels)), labels)


def _columns(rows: Rows) -> dict[str, Floats]:
    return {PRIOR: rows.prior, **{name: rows.features[:, place] for name, place in _PLACES.items()}}
