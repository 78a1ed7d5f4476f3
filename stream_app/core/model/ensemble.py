"""The ensemble: experts weighted by their recent loss.

Exponential weights (Vovk; Cesa-Bianchi, Lugosi: Prediction, Learning, and Games, 2006) on the mean log-loss over the
last horizons. The sum would soon give all weight to one expert, since rows are correlated.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import Labels, row_sums
from stream_app.core.model.experts.recursive import Span

START: Final = {"linear": 0.70, "cells": 0.15, "prior": 0.10, "tree": 0.05}  # initial shares
RATE: Final = 100.0  # an expert whose log-loss is worse by 0.01 loses a factor e
MEMORY_HORIZONS: Final = 2.0  # half-life of the mean loss
_CALM_PERIODS: Final = 200.0  # rows, times horizon / decide_every, that shrink the initial differences of losses


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
        """Return the share of each expert; they sum to 1."""
        return dict(zip(self._names, self._shares.tolist(), strict=True))

    def log_odds(self, table: Floats, columns: list[int] | None = None) -> Floats:
        """Return the combined log-odds of n rows, shape (n,).

        Args:
            table: the experts' log-odds, shape (n, number of experts given).
            columns: places of the given experts, by default all. Their shares are scaled to sum to 1.
        """
        shares = self._shares if columns is None else self._shares[columns] / self._shares[columns].sum()
        return row_sums(table * shares)

    def learn_day(self, table: Floats, labels: Labels) -> None:
        """Update the shares by the log-loss of the logged predictions on the rows that matured on one day."""
        fading = 1.0 - self._span.fading(MEMORY_HORIZONS)
        losses = np.logaddexp(0.0, np.where(labels[:, None] == 1, -table, table))
        self._loss = self._loss * fading + losses.sum(axis=0)
        self._mass = self._mass * fading + len(labels)
        mean = self._loss / (self._mass + _CALM_PERIODS / self._span.weight)
        shares = self._start * np.exp(-RATE * (mean - mean.min()))
        self._shares = shares / shares.sum()
