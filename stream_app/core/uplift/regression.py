"""Effect of the calls by intention to treat, adjusted for what was known at the draw.

Lin, Annals of Applied Statistics 2013: a regression of the outcome in each arm on the covariates; the effect is the
difference between both predictions at the mean of all customers. Randomisation alone makes it consistent, whatever the
true relation, and it is never less precise than the difference of means for large numbers.

If the share of customers held out falls, the arms are no longer alike: one has more of the early customers than the
other, and customers change over time. Effects are therefore estimated within the customers of each share and then
averaged by their numbers, with the same slopes for all shares.

All functions take arrays whose last axis is the customers in order of time, and return the estimate after each of
them. Any number of experiments can precede it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats

_RIDGE: Final = 1e-9  # keeps the equations solvable if a covariate is constant


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Customers of one arm who were drawn at one share, after each customer."""

    count: Floats
    outcomes: Floats  # sum


@dataclass(frozen=True, slots=True)
class Stratum:
    """Customers who were drawn at one share, after each customer."""

    share: float
    treated: ArmCounts
    held_out: ArmCounts

    @property
    def count(self) -> Floats:
        """Number of customers."""
        return self.treated.count + self.held_out.count


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates after each customer."""

    effect: Floats
    error: Floats  # standard error
    strata: Sequence[Stratum]  # in the order in which their shares applied

    @property
    def drawn(self) -> Floats:
        """Number of customers."""
        return _sum([one.count for one in self.strata])

    @property
    def arms(self) -> tuple[ArmCounts, ArmCounts]:
        """Customers who are called, and those held out."""
        called, left = ([getattr(one, name) for one in self.strata] for name in ("treated", "held_out"))
        return _total(called), _total(left)

    def select(self, where: Bools) -> list[Stratum]:
        """Return the strata after some of the customers only."""
        return [
            Stratum(one.share, *(_select(arm, where) for arm in (one.treated, one.held_out))) for one in self.strata
        ]


def _total(counts: Sequence[ArmCounts]) -> ArmCounts:
    return ArmCounts(_sum([one.count for one in counts]), _sum([one.outcomes for one in counts]))


def _select(counts: ArmCounts, where: Bools) -> ArmCounts:
    return ArmCounts(counts.count[where], counts.outcomes[where])


def _sum(arrays: Sequence[Floats]) -> Floats:
    return np.asarray(sum(arrays[1:], start=arrays[0]))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Running moments of the customers of one arm and share."""

    count: Floats
    outcomes: Floats  # sum
    mean: Floats  # of the outcome
    means: Floats  # of the covariates, last axis
    squares: Floats  # sum of squared deviations of the outcome
    products: Floats  # covariates × outcome
    matrix: Floats  # covariates × covariates

    @classmethod
    def of(cls, member: Floats, outcome: Floats, covariates: Floats) -> _Moments:
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

    @property
    def counts(self) -> ArmCounts:
        """Number of customers and sum of the outcome."""
        return ArmCounts(self.count, self.outcomes)

    def residual(self, slopes: Floats) -> Floats:
        """Return the sum of squared deviations from a regression with these slopes."""
        explained = np.einsum("...i,...ij,...j->...", slopes, self.matrix, slopes)
        return np.maximum(self.squares - 2.0 * np.einsum("...i,...i->...", slopes, self.products) + explained, 0.0)


def running_effect(treated: Bools, outcome: Floats, covariates: Floats, shares: Floats | None = None) -> Estimates:
    """Return the adjusted effect after each customer. It means little before an arm has some dozens of customers.

    Args:
        treated: the customers' arms.
        outcome: what is compared.
        covariates: known at the draw; one more axis than `outcome`.
        shares: share held out at the draw of each customer, one axis; None: the same for all.
    """
    weight = treated.astype(np.float64)
    shares = np.full(outcome.shape[-1], 0.5) if shares is None else shares
    values, first = np.unique(shares, return_index=True)
    order = [float(values[place]) for place in np.argsort(first)]
    called, left = (
        [_Moments.of(arm * (shares == share), outcome, covariates) for share in order] for arm in (weight, 1.0 - weight)
    )
    pairs = list(zip(called, left, strict=True))
    # Customers of a share are compared as soon as both arms have some of them.
    sizes = [(one.count + other.count) * ((one.count > 0.0) & (other.count > 0.0)) for one, other in pairs]
    total = np.maximum(_sum(sizes), 1.0)
    parts = [size / total for size in sizes]
    means = [_mean(one, other) for one, other in pairs]
    of_called, of_left = _fit(called, means, parts), _fit(left, means, parts)
    # The means of the arms differ by chance only.
    spread = _sum(
        [
            (one.matrix + other.matrix) * (size > 0.0)[..., None, None]
            for (one, other), size in zip(pairs, sizes, strict=True)
        ]
    )
    apart = of_called.slopes - of_left.slopes
    moved = np.einsum("...i,...ij,...j->...", apart, spread, apart) / total**2
    error = np.sqrt(of_called.variance + of_left.variance + moved)
    strata = [Stratum(share, one.counts, other.counts) for share, (one, other) in zip(order, pairs, strict=True)]
    return Estimates(of_called.value - of_left.value, error, strata)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Prediction of the mean outcome if all customers were in one arm."""

    value: Floats
    variance: Floats
    slopes: Floats


def _mean(one: _Moments, other: _Moments) -> Floats:
    """Return the means of the covariates over both arms."""
    sums = one.means * one.count[..., None] + other.means * other.count[..., None]
    return np.asarray(sums / np.maximum(one.count + other.count, 1.0)[..., None])


def _fit(arm: Sequence[_Moments], means: Sequence[Floats], parts: Sequence[Floats]) -> _Fit:
    """Return an arm's prediction.

    Args:
        arm: its customers, by share.
        means: means of the covariates of all customers, by share.
        parts: parts of all customers, by share.
    """
    matrix, size = _sum([one.matrix for one in arm]), arm[0].matrix.shape[-1]
    matrix = matrix + (_RIDGE * (1.0 + np.einsum("...ii->...", matrix)))[..., None, None] * np.eye(size)
    away = _sum([part[..., None] * (at - one.means) for one, at, part in zip(arm, means, parts, strict=True)])
    solved = np.linalg.solve(matrix, np.stack([_sum([one.products for one in arm]), away], axis=-1))
    slopes, leverage = solved[..., 0], np.einsum("...i,...i->...", away, solved[..., 1])
    left = [one.residual(slopes) for one in arm]
    count = _sum([one.count for one in arm])
    spent = size / np.maximum(count, 1.0)  # degrees of freedom of the slopes, per customer
    groups = _sum([(one.count > 0.0).astype(np.float64) for one in arm])
    variance = _sum(left) / np.maximum(count - groups - size, 1.0) * leverage
    value = np.einsum("...i,...i->...", slopes, away)
    for one, part, residual in zip(arm, parts, left, strict=True):
        freedom = np.maximum(one.count * (1.0 - spent) - 1.0, 1.0)
        variance = variance + part**2 * residual / freedom / np.maximum(one.count, 1.0)
        value = value + part * one.mean
    return _Fit(value, variance, slopes)


def unadjusted(estimates: Estimates) -> tuple[Floats, Floats]:
    """Return the plain difference of two proportions after each customer, and its standard error."""
    total = np.maximum(estimates.drawn, 1.0)
    effect, variance = np.zeros_like(total), np.zeros_like(total)
    for stratum in estimates.strata:
        part = stratum.count / total
        counts = [np.maximum(one.count, 1.0) for one in (stratum.treated, stratum.held_out)]
        called, left = stratum.treated.outcomes / counts[0], stratum.held_out.outcomes / counts[1]
        effect += part * (called - left)
        variance += part**2 * (called * (1.0 - called) / counts[0] + left * (1.0 - left) / counts[1])
    return effect, np.sqrt(variance)
