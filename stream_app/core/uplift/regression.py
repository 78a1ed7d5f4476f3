"""Effect of the calls by intention to treat, adjusted for what was known at the draw.

Lin, Annals of Applied Statistics 2013: a regression of the outcome in each arm on the covariates; the effect is the
difference between both predictions at the mean of all customers. Randomisation alone makes it consistent, whatever the
true relation, and it is never less precise than the difference of means for large numbers.

All functions take arrays whose last axis is the customers in order of time, and return the estimate after each of
them. Any number of experiments can precede it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats

_RIDGE: Final = 1e-9  # keeps the equations solvable if a covariate is constant


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates after each customer."""

    effect: Floats
    error: Floats  # standard error
    treated: Floats  # number of customers
    held_out: Floats
    treated_outcomes: Floats  # sum
    held_out_outcomes: Floats


@dataclass(frozen=True, slots=True)
class _Arm:
    """Running moments of the customers of one arm."""

    count: Floats
    outcomes: Floats  # sum
    mean: Floats  # of the outcome
    means: Floats  # of the covariates, last axis
    squares: Floats  # sum of squared deviations of the outcome
    products: Floats  # covariates × outcome
    matrix: Floats  # covariates × covariates

    @classmethod
    def of(cls, member: Floats, outcome: Floats, covariates: Floats) -> _Arm:
        """Return the moments after each customer; `member` is 1 for those of the arm, else 0."""
        weighted = covariates * member[..., None]
        count, outcomes = np.cumsum(member, axis=-1), np.cumsum(member * outcome, axis=-1)
        divisor = np.maximum(count, 1.0)
        mean, sums = outcomes / divisor, np.cumsum(weighted, axis=-2)
        crossed = np.cumsum(weighted * outcome[..., None], axis=-2)
        matrix = np.cumsum(weighted[..., :, None] * covariates[..., None, :], axis=-3)
        return cls(
            count,
            outcomes,
            mean,
            sums / divisor[..., None],
            np.cumsum(member * outcome**2, axis=-1) - outcomes * mean,
            crossed - sums * mean[..., None],
            matrix - sums[..., :, None] * sums[..., None, :] / divisor[..., None, None],
        )


def running_effect(treated: Bools, outcome: Floats, covariates: Floats) -> Estimates:
    """Return the adjusted effect after each customer. It means little before an arm has some dozens of customers.

    Args:
        treated: the customers' arms.
        outcome: what is compared.
        covariates: known at the draw; one more axis than `outcome`.
    """
    weight = treated.astype(np.float64)
    arms = (_Arm.of(weight, outcome, covariates), _Arm.of(1.0 - weight, outcome, covariates))
    total = arms[0].count + arms[1].count
    mean = sum(one.means * one.count[..., None] for one in arms) / total[..., None]
    fits = [_fit(one, mean) for one in arms]
    (called, called_variance, called_slopes), (left, left_variance, left_slopes) = fits
    spread = sum(one.matrix for one in arms)  # the means of the arms differ by chance only
    apart = called_slopes - left_slopes
    moved = np.einsum("...i,...ij,...j->...", apart, spread, apart) / total**2
    error = np.sqrt(called_variance + left_variance + moved)
    return Estimates(called - left, error, arms[0].count, arms[1].count, arms[0].outcomes, arms[1].outcomes)


def _fit(arm: _Arm, at: Floats) -> tuple[Floats, Floats, Floats]:
    """Return an arm's prediction at a point, its variance, and the slopes."""
    size = arm.matrix.shape[-1]
    ridge = _RIDGE * (1.0 + np.einsum("...ii->...", arm.matrix))
    matrix = arm.matrix + ridge[..., None, None] * np.eye(size)
    away = at - arm.means
    solved = np.linalg.solve(matrix, np.stack([arm.products, away], axis=-1))
    slopes, leverage = solved[..., 0], np.einsum("...i,...i->...", away, solved[..., 1])
    freedom = np.maximum(arm.count - 1.0 - size, 1.0)
    residual = np.maximum(arm.squares - np.einsum("...i,...i->...", slopes, arm.products), 0.0) / freedom
    variance = residual * (1.0 / np.maximum(arm.count, 1.0) + leverage)
    return arm.mean + np.einsum("...i,...i->...", slopes, away), variance, slopes


def unadjusted(estimates: Estimates) -> tuple[Floats, Floats]:
    """Return the plain difference of two proportions after each customer, and its standard error."""
    counts = [np.maximum(one, 1.0) for one in (estimates.treated, estimates.held_out)]
    called, left = estimates.treated_outcomes / counts[0], estimates.held_out_outcomes / counts[1]
    return called - left, np.sqrt(called * (1.0 - called) / counts[0] + left * (1.0 - left) / counts[1])
