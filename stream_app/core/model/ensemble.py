"""The ensemble: experts weighted by their recent loss.

Exponential weights (Vovk; Cesa-Bianchi, Lugosi: Prediction, Learning, and Games, 2006) on the mean log-loss over recent
horizons. With the sum instead of the mean, one expert would soon get all the weight, since rows are correlated.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import Labels, row_sums
from stream_app.core.model.experts.recursive import Span

START: Final = {"linear": 0.70, "cells": 0.15, "prior": 0.10, "tree": 0.05}  # initial shares
RATE: Final = 100.0  # an expert with a log-loss higher by 0.01 has its share reduced by a factor of e
MEMORY_HORIZONS: Final = 2.0  # half-life of the mean loss
_CALM_PERIODS: Final = 200.0  # pseudo-rows, times horizon / decide_every, that dampen initial loss differences


class Ensemble:
    """Weighted mean of the experts' log-odds.

    >>> ensemble = Ensemble(("linear", "prior"), Span(60.0, 7.0))
    >>> {name: round(share, 3) for name, share in ensemble.shares().items()}
    {'linear': 0.875, 'prior': 0.125}
    """

    def __init__(self, names: tuple[str, ...], span: Span) -> None:
        self._names = names
        self._span = span
        start = np.array([START[name] for name in names])
        self._start = start / start.sum()
        self._loss = np.zeros(len(names))
        self._mass = 0.0
        self._shares = self._start

    def shares(self) -> dict[str, float]:
        """Return each expert's share. The shares sum to 1."""
        return dict(zip(self._names, self._shares.tolist(), strict=True))

    def log_odds(self, table: Floats, columns: list[int] | None = None) -> Floats:
        """Return the combined log-odds of n rows, shape (n,).

        Args:
            table: the experts' log-odds, shape (n, number of experts given).
            columns: indices of the given experts; all by default. Their shares are rescaled to sum to 1.
        """
        shares = self._shares if columns is None else self._shares[columns] / self._shares[columns].sum()
        return row_sums(table * shares)

    def learn_day(self, table: Floats, labels: Labels) -> None:
        """Update the shares from the log-loss of the stored predictions for the rows that matured on one day."""
        fading = 1.0 - self._span.fading(MEMORY_HORIZONS)
        losses = np.logaddexp(0.0, np.where(labels[:, None] == 1, -table, table))
        self._loss = self._loss * fading + losses.sum(axis=0)
        self._mass = self._mass * fading + len(labels)
        mean = self._loss / (self._mass + _CALM_PERIODS / self._span.weight)
        shares = self._start * np.exp(-RATE * (mean - mean.min()))
        self._shares = shares / shares.sum()
