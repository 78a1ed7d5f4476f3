"""95 % confidence intervals clustered by customer.

A customer is scored weekly while the horizon is months long, so the labels of successive decisions overlap. Intervals
that treated decisions as independent would be far too narrow.
"""

from __future__ import annotations

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.model.evaluation_metrics import Interval, Scored, Z, roc_auc, wilson


def clustered_error(influence: Floats, customer: Ints) -> float:
    """Return the standard error of an estimate, computed from the rows' influences summed by customer."""
    sums = np.bincount(customer, weights=influence)
    clusters = len(np.unique(customer))
    if clusters < 2:
        return float("nan")
    return float(np.sqrt(clusters / (clusters - 1) * (sums**2).sum()))


def auc_influence(scored: Scored) -> Floats:
    """Return the influence of each row on the ROC-AUC, with shape (n,) and sum 0.

    Structural components of DeLong, DeLong & Clarke-Pearson (1988); clustered as in Obuchowski (1997).
    """
    auc, left = roc_auc(scored), int(scored.churned.sum())
    stayed = len(scored.churned) - left
    return np.where(scored.churned, (scored.placement - auc) / left, (1 - scored.placement - auc) / stayed)


def auc_interval(scored: Scored, customer: Ints) -> Interval:
    """Return the confidence interval of the ROC-AUC, or NaN if all outcomes are equal."""
    if scored.one_sided:
        return float("nan"), float("nan")
    auc, half = roc_auc(scored), Z * clustered_error(auc_influence(scored), customer)
    return max(0.0, auc - half), min(1.0, auc + half)


def auc_difference(first: Scored, second: Scored, customer: Ints) -> tuple[float, float, float]:
    """Return the difference between two AUCs on the same rows, with its confidence interval."""
    if first.one_sided:
        return float("nan"), float("nan"), float("nan")
    difference = roc_auc(first) - roc_auc(second)
    half = Z * clustered_error(auc_influence(first) - auc_influence(second), customer)
    return difference, difference - half, difference + half


def share_interval(yes: Bools, customer: Ints) -> Interval:
    """Return the Wilson (1927) interval of a share, based on the effective number of independent rows.

    >>> low, high = share_interval(np.arange(100) < 50, np.arange(100))
    >>> round(low, 3), round(high, 3)
    (0.403, 0.597)
    """
    n = len(yes)
    if not n:
        return float("nan"), float("nan")
    share = float(yes.mean())
    error = clustered_error((yes - share) / n, customer)
    worth = share * (1 - share) / error**2 if error > 0 else float(len(np.unique(customer)))
    return wilson(share, min(worth, n))
