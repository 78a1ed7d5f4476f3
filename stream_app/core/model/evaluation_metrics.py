"""Metrics for predicted probabilities: ROC-AUC, PR-AUC, lift, log-loss, Brier score, calibration error.

Metrics that rank rows put ties in a fixed random order, so that sorted input does not bias the results. All functions
take a `Scored`: the outcomes and the churn probabilities of n rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints

BINS: Final = 10
ENOUGH: Final = 30  # with fewer rows of either outcome, an AUC is mostly noise
CLIP: Final = 1e-6  # bounds the loss when a probability of 0 or 1 is wrong
Z: Final = 1.959964  # the 97.5 % point of the normal distribution
Interval = tuple[float, float]


def ascending(probability: Floats) -> Ints:
    """Return the indices that sort probabilities in ascending order, with ties in a fixed random order.

    >>> ascending(np.array([0.3, 0.1, 0.2])).tolist()
    [1, 2, 0]
    """
    shuffled = np.random.default_rng(0).permutation(len(probability))
    return np.lexsort((shuffled, probability)).astype(np.int64)


@dataclass(frozen=True)
class Scored:
    """Outcomes and probabilities of n rows, sorted once for all metrics that rank them."""

    churned: Bools
    probability: Floats
    presorted: Ints | None = None  # indices in ascending order of probability, if already known

    @cached_property
    def order(self) -> Ints:
        """Indices in ascending order of probability."""
        return ascending(self.probability) if self.presorted is None else self.presorted

    @cached_property
    def rank(self) -> Ints:
        """Rank of each row in that order, from 0."""
        rank = np.empty(len(self.order), np.int64)
        rank[self.order] = np.arange(len(self.order))
        return rank

    @property
    def one_sided(self) -> bool:
        """Whether fewer than two outcomes occur, which makes ranking metrics undefined."""
        return len(self.churned) == 0 or bool(self.churned.all()) or not self.churned.any()

    @cached_property
    def placement(self) -> Floats:
        """For each row, the share of rows with the opposite outcome that rank below it; ties count half. Shape (n,)."""
        sorted_p, sorted_y = self.probability[self.order], self.churned[self.order]
        starts = np.flatnonzero(np.append(True, np.diff(sorted_p) > 0))
        group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(sorted_p))))
        placement = np.empty(len(sorted_p))
        for outcome in (False, True):
            others = (sorted_y != outcome).astype(np.float64)
            within = np.add.reduceat(others, starts)
            below = np.cumsum(within) - within
            mine = sorted_y == outcome
            placement[self.order[mine]] = (below + within / 2)[group[mine]] / max(others.sum(), 1)
        return placement


def enough(scored: Scored) -> bool:
    """Return whether both outcomes occur often enough for an AUC and all probabilities are finite."""
    left = int(scored.churned.sum())
    return min(left, len(scored.churned) - left) >= ENOUGH and bool(np.isfinite(scored.probability).all())


def roc_auc(scored: Scored) -> float:
    """Return the probability that a churned row ranks above a retained one. Ties count half; NaN if one-sided.

    >>> roc_auc(Scored(np.array([False, True, True]), np.array([0.2, 0.2, 0.9])))
    0.75
    """
    return float("nan") if scored.one_sided else float(scored.placement[scored.churned].mean())


def pr_auc(scored: Scored) -> float:
    """Return the average precision: the precision at each threshold, weighted by the increase in recall."""
    if scored.one_sided:
        return float("nan")
    falling = scored.order[::-1]
    last = np.append(np.diff(scored.probability[falling]) != 0, True)
    hits = np.cumsum(scored.churned[falling])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])


def lift(scored: Scored, share: float = 0.1) -> float:
    """Return the churn rate in the top `share` divided by the overall churn rate."""
    if scored.one_sided:
        return float("nan")
    top = scored.order[-max(1, int(len(scored.order) * share)) :]
    return float(scored.churned[top].mean() / scored.churned.mean())


def log_loss(scored: Scored) -> float:
    """Return the mean negative log-likelihood in nats."""
    p = np.clip(scored.probability, CLIP, 1 - CLIP)
    return float(-np.log(np.where(scored.churned, p, 1 - p)).mean()) if len(p) else float("nan")


def brier(scored: Scored) -> float:
    """Return the mean squared difference between probability and outcome (Brier 1950)."""
    p = np.clip(scored.probability, CLIP, 1 - CLIP)
    return float(((p - scored.churned) ** 2).mean()) if len(p) else float("nan")


def bins_of(scored: Scored, bins: int = BINS) -> list[Ints]:
    """Split the row indices into equally filled bins, in ascending order of probability."""
    return [rows for rows in np.array_split(scored.order, bins) if len(rows)]


def ece(scored: Scored, bins: int = BINS) -> float:
    """Return the expected calibration error: the mean gap between predicted and observed churn over equal-size bins.

    >>> ece(Scored(np.array([True, False, True, False]), np.full(4, 0.5)), bins=1)
    0.0
    """
    if not len(scored.churned):
        return float("nan")
    gaps = [
        len(rows) * abs(scored.churned[rows].mean() - scored.probability[rows].mean()) for rows in bins_of(scored, bins)
    ]
    return float(sum(gaps) / len(scored.churned))


def precision_at(scored: Scored, day: Ints, capacity: int) -> float:
    """Return the churn rate among each day's `capacity` highest scores, over all days.

    >>> y, p = np.array([True, False, False, True]), np.array([0.9, 0.8, 0.7, 0.6])
    >>> precision_at(Scored(y, p), np.array([0, 0, 1, 1]), capacity=1)
    0.5
    """
    if not len(day):
        return float("nan")
    by_day = np.lexsort((-scored.rank, day))
    starts = np.flatnonzero(np.append(True, np.diff(day[by_day]) > 0))
    place = np.arange(len(day)) - np.repeat(starts, np.diff(np.append(starts, len(day))))
    return float(scored.churned[by_day[place < capacity]].mean())


def wilson(share: float, n: float) -> Interval:
    """Return the 95 % Wilson interval for a share of n independent rows.

    >>> [round(limit, 3) for limit in wilson(0.5, 100)]
    [0.404, 0.596]
    """
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
