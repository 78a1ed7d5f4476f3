"""The binned expert: one weight per cell of coarse grids over single features and pairs of features.

It models what the linear expert cannot: step changes in recency, and a different effect of recency for one-time buyers.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.model.experts.expert import LIMIT, Expert, Labels, Rows, row_sums
from stream_app.core.model.experts.recursive import RecursiveLogistic, Span
from stream_app.core.model.features import PLACE

# name -> lowest value, highest value (both in the feature's unit), number of cells
_GRID: Final = {
    "recency_to_gap": (0.0, 2.5, 7),
    "order_90d": (0.0, 1.8, 6),
    "browsing_7d": (0.0, 3.5, 5),
    "age": (0.0, float(np.log1p(8.0)), 6),
}
_RECENCY_CELLS: Final = 7
_ORDER_DAY_CELLS: Final = 8
_CROSSED_ORDER_DAYS: Final = 5
_SILENCE_CELLS: Final = 7
_PRIOR_CELLS: Final = 8
_SIZES: Final = (
    *(count for _, _, count in _GRID.values()),
    _RECENCY_CELLS,
    _SILENCE_CELLS,
    _ORDER_DAY_CELLS,
    _PRIOR_CELLS,
    _CROSSED_ORDER_DAYS * _RECENCY_CELLS,
    _CROSSED_ORDER_DAYS * 6,
)


def _cell(values: Floats, low: float, high: float, count: int) -> Ints:
    return np.clip((values - low) / (high - low) * count, 0, count - 1).astype(np.int64)


class BinnedExpert(Expert):
    """Recursive logistic regression on one-hot encoded cells."""

    name: ClassVar[str] = "cells"

    def __init__(self, span: Span) -> None:
        self._horizon = span.horizon
        self._model = RecursiveLogistic(sum(_SIZES), span)

    def log_odds(self, rows: Rows) -> Floats:
        weights = self._model.mean
        total = row_sums(weights[2:][self._cells(rows)]) + weights[1] * rows.prior + weights[0]
        return np.clip(total, -LIMIT, LIMIT)

    def learn(self, rows: Rows, labels: Labels) -> None:
        inputs = np.zeros((len(labels), sum(_SIZES)))
        np.put_along_axis(inputs, self._cells(rows), 1.0, axis=1)
        self._model.learn_day(rows.prior, inputs, labels)

    def _cells(self, rows: Rows) -> Ints:
        """Return the cell of each row on each grid, as indices into all cells; shape (n, number of grids)."""
        feature = {name: rows.features[:, place] for name, place in PLACE.items()}
        grids = [_cell(feature[name], *grid) for name, grid in _GRID.items()]
        recency = _cell(np.log1p(np.expm1(feature["recency"]) / self._horizon), 0.0, np.log1p(3.0), _RECENCY_CELLS)
        silence = _cell(feature["silence"], 0.0, np.log1p(self._horizon) + 0.7, _SILENCE_CELLS)
        order_days = np.rint(np.expm1(np.clip(feature["order_days"], 0.0, 3.0))).astype(np.int64)
        # cells: one each for 1 to 6 order days, one for 7 to 14, one for more
        days = np.where(order_days > 14, _ORDER_DAY_CELLS - 1, np.clip(order_days, 1, _ORDER_DAY_CELLS - 1) - 1)
        crossed = np.minimum(days, _CROSSED_ORDER_DAYS - 1)
        age = grids[list(_GRID).index("age")]
        prior = _cell(rows.prior, -2.0, 3.0, _PRIOR_CELLS)
        grids += [recency, silence, days, prior, crossed * _RECENCY_CELLS + recency, crossed * 6 + age]
        offsets = np.concatenate([[0], np.cumsum(_SIZES)[:-1]])
        return np.stack(grids, axis=1) + offsets
