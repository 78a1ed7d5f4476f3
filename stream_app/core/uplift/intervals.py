"""Intervals of the effect that hold at every look, not only at one that was fixed in advance.

A plain 95 % interval that is looked at every day, until it excludes zero, is wrong far more often than 5 % of the time.
These intervals contain the truth at all looks together with a probability of 95 %:

- as long as an arm has fewer than `LEAST` customers, or `LEAST_OUTCOMES` of either outcome, betting sequences of both
  proportions (`betting.py`);
- then an asymptotic confidence sequence that never ends and is narrowest at a planned number of customers
  (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Annals of Statistics 2024);
- or, if the experiment ends at the planned number, the boundary of O'Brien and Fleming (Biometrics 1979) for any number
  of looks, which is the narrower of the two at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, log, pi, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats
from stream_app.core.uplift.betting import proportion_bounds
from stream_app.core.uplift.holdout import Holdout
from stream_app.core.uplift.regression import Estimates, Stratum

ERROR: Final = 0.05  # probability that the interval excludes the truth at some look
EARLY_ERROR: Final = 0.0003  # its part before both arms have LEAST customers, when nothing can be decided
END_ERROR: Final = 0.04  # if an end is declared: leaves a margin, since the estimate is only about normal
LEAST: Final = 100  # customers per arm from which on the estimate is about normal
LEAST_OUTCOMES: Final = 20  # the same for customers per arm who ordered, and for those who did not
PLAIN: Final = NormalDist().inv_cdf(1.0 - ERROR / 2.0)  # standard errors of an interval for a single look


@dataclass(frozen=True)
class Boundary:
    """Half-width of the interval in standard errors, once both arms have `LEAST` customers.

    Args:
        holdout: the experiment.
    """

    holdout: Holdout

    def at(self, passed: Floats | float) -> Floats:
        """Return the half-width after a time, see `clock`; from an end on, that of the end."""
        planned = float(self.holdout.planned)
        if self.holdout.ends:
            return np.asarray(self._end * np.sqrt(planned / np.minimum(passed, planned)))
        spent = np.asarray(passed) * self._tuning
        return np.sqrt(2.0 * (spent + 1.0) / spent * np.log(np.sqrt(spent + 1.0) / self._level))

    def clock(self, drawn: float) -> float:
        """Return the time after a number of customers, if the share falls as it is meant to; see `clock_of`."""
        early = min(drawn, self.holdout.planned)
        return early + (drawn - early) * pace(self.holdout.shares[-1]) / pace(self.holdout.shares[0])

    @cached_property
    def _end(self) -> float:
        return _solved(_leaves_band, END_ERROR)

    @cached_property
    def _tuning(self) -> float:
        """ρ² of the paper: makes the interval narrowest at the planned number."""
        part = -2.0 * log(ERROR)
        return (part + log(part + 1.0)) / self.holdout.planned

    @cached_property
    def _level(self) -> float:
        """Nominal error for which the boundary is crossed with the wanted probability, since it starts late."""
        share = self.holdout.share or 0.5
        spent = self._tuning * ceil(LEAST / min(share, 1.0 - share))
        normal = NormalDist()

        def crosses(inverse: float) -> float:
            start = sqrt(2.0 * (spent + 1.0) / spent * log(sqrt(spent + 1.0) * inverse))
            within = 2.0 * normal.cdf(start / sqrt(spent + 1.0)) - 1.0
            return 2.0 * (1.0 - normal.cdf(start)) + within / inverse

        return 1.0 / _solved(crosses, ERROR - EARLY_ERROR)


def _leaves_band(bound: float) -> float:
    """Return the probability that a Brownian motion leaves [−bound, bound] before time 1."""
    terms = ((-1) ** k / (2 * k + 1) * exp(-(((2 * k + 1) * pi / bound) ** 2) / 8.0) for k in range(20))
    return 1.0 - 4.0 / pi * sum(terms)


def _solved(decreasing: Callable[[float], float], value: float) -> float:
    """Return where a decreasing function has a value, between 1 and 1,000."""
    below, above = 1.0, 1_000.0
    for _ in range(80):
        middle = (below + above) / 2.0
        below, above = (middle, above) if decreasing(middle) > value else (below, middle)
    return above


def clock_of(strata: Sequence[Stratum]) -> Floats:
    """Return the time after each customer, by which boundaries are defined: the variance that their number adds up to.

    The sum of n differences between the arms has a variance of n ÷ (share × (1 - share)) times a constant. Time is this
    variance, in units of a customer at the first share. It is their number as long as the share does not change.
    """
    first = pace(strata[0].share)
    return np.asarray(sum(one.count * (pace(one.share) / first) for one in strata))


def pace(share: float) -> float:
    """Return how much one customer adds to the time, without its unit; see `clock_of`."""
    return 1.0 / (share * (1.0 - share)) if share else 1.0


def intervals(estimates: Estimates, holdout: Holdout) -> tuple[Floats, Floats]:
    """Return the interval of the effect after each customer. Outcomes are 0 or 1, or lie between them."""
    half = Boundary(holdout).at(clock_of(estimates.strata)) * estimates.error
    few = is_early(estimates)
    lower, upper = early_intervals(estimates.select(few))
    effect = estimates.effect
    return _with(effect - half, few, lower), _with(effect + half, few, upper)


def is_early(estimates: Estimates) -> Bools:
    """Return after which customers the estimate is not yet about normal."""
    early = np.zeros(estimates.effect.shape, dtype=np.bool_)
    for arm in estimates.arms:
        early |= (arm.count < LEAST) | (np.minimum(arm.outcomes, arm.count - arm.outcomes) < LEAST_OUTCOMES)
    return early


def _with(values: Floats, where: Bools, others: Floats) -> Floats:
    values[where] = others
    return values


def early_intervals(strata: Sequence[Stratum]) -> tuple[Floats, Floats]:
    """Return the interval of the difference between two proportions, for few customers: the mean over the shares."""
    total = np.maximum(np.asarray(sum(one.count for one in strata)), 1.0)
    lower, upper = np.zeros_like(total), np.zeros_like(total)
    for one in strata:
        called, left = (_bounds(arm.outcomes, arm.count) for arm in (one.treated, one.held_out))
        lower += one.count / total * (called[0] - left[1])
        upper += one.count / total * (called[1] - left[0])
    return lower, upper


def _bounds(outcomes: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Return the bounds of an arm's proportion, computed once per pair of numbers."""
    pairs, places = np.unique(np.stack([outcomes, count]), axis=1, return_inverse=True)
    lower, upper = proportion_bounds(pairs[0], pairs[1], EARLY_ERROR / 2.0)
    return lower[places.ravel()], upper[places.ravel()]
