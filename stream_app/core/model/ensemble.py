"""The ensemble: experts weighted by their recent loss.

Exponential weights (Vovk; Cesa-Bianchi, Lugosi: Prediction, Learning, and Games, 2006) on the mean log-loss over recent
horizons. With the sum instead of the mean, one expert would soon get all the weight, since rows are correlated. Experts
may join and leave: one that made no prediction for a row counts as if it had predicted what the ensemble did (Freund,
Schapire, Singer, Warmuth: Using and combining predictors that specialize, STOC 1997).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import Labels, row_sums
from stream_app.core.model.experts.recursive import Span

RATE: Final = 100.0  # an expert with a log-loss higher by 0.01 has its share reduced by a factor of e
MEMORY_HORIZONS: Final = 2.0  # half-life of the mean loss
_CALM_PERIODS: Final = 200.0  # pseudo-rows, times horizon / decide_every, that dampen initial loss differences


class Ensemble:
    """Weighted mean of the experts' log-odds.

    Args:
        start: initial share of each expert; scaled so that they sum to 1.
        span: time scales.

    >>> ensemble = Ensemble({"linear": 0.70, "prior": 0.10}, Span(60.0, 7.0))
    >>> {name: round(share, 3) for name, share in ensemble.shares().items()}
    {'linear': 0.875, 'prior': 0.125}
    """

    def __init__(self, start: Mapping[str, float], span: Span) -> None:
        self._names = tuple(start)
        self._span = span
        self._start = _scaled(start)
        self._loss = np.zeros(len(start))
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

    def relist(self, start: Mapping[str, float], kept: Collection[str]) -> None:
        """Use another list of experts. One that stays keeps its loss; one that joins begins with its initial share.

        Args:
            start: initial share of each expert.
            kept: names of the experts that stay.

        >>> ensemble = Ensemble({"linear": 0.70, "prior": 0.10}, Span(60.0, 7.0))
        >>> ensemble.relist({"linear": 0.70, "forest": 0.05, "prior": 0.25}, {"linear", "prior"})
        >>> {name: round(share, 3) for name, share in ensemble.shares().items()}
        {'linear': 0.7, 'forest': 0.05, 'prior': 0.25}
        """
        old = dict(zip(self._names, self._mean_loss().tolist(), strict=True))
        self._names, self._start = tuple(start), _scaled(start)
        stays = np.array([name in kept for name in start])
        mean = np.array([old[name] if name in kept else 0.0 for name in start])
        if stays.any():
            # The loss at which the experts that are new get their initial shares of the whole.
            best = mean[stays].min()
            weight = (self._start[stays] * np.exp(-RATE * (mean[stays] - best))).sum() / self._start[stays].sum()
            mean[~stays] = best - np.log(weight) / RATE
        self._loss = mean * self._evidence
        self._weigh()

    def learn_day(self, table: Floats, labels: Labels, ensemble: Floats) -> None:
        """Update the shares from the log-loss of the stored predictions for the rows that matured on one day.

        Args:
            table: log-odds of each expert, shape (n, number of experts); NaN where it made no prediction.
            labels: shape (n,).
            ensemble: log-odds of the ensemble at the time, shape (n,).
        """
        table = np.where(np.isnan(table), ensemble[:, None], table)
        fading = 1.0 - self._span.fading(MEMORY_HORIZONS)
        losses = np.logaddexp(0.0, np.where(labels[:, None] == 1, -table, table))
        self._loss = self._loss * fading + losses.sum(axis=0)
        self._mass = self._mass * fading + len(labels)
        self._weigh()

    @property
    def _evidence(self) -> float:
        return self._mass + _CALM_PERIODS / self._span.weight

    def _mean_loss(self) -> Floats:
        return self._loss / self._evidence

    def _weigh(self) -> None:
        mean = self._mean_loss()
        shares = self._start * np.exp(-RATE * (mean - mean.min()))
        self._shares = shares / shares.sum()


def _scaled(start: Mapping[str, float]) -> Floats:
    shares = np.array(list(start.values()))
    scaled: Floats = shares / shares.sum()
    return scaled
