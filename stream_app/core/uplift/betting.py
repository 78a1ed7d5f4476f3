"""Betting sequences: tests and intervals for a proportion that hold at every look and for any number of customers.

A player who bets against a proportion cannot expect to win if it is true. Their wealth exceeds 1 ÷ error at any time
with a probability of `error` at most (Ville 1939), so proportions against which the player has won that much are
excluded (Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 2024). The player mixes all bets with a
Beta distribution, for which the wealth after any number of outcomes has a closed form (Robbins 1970).
"""

from __future__ import annotations

from math import lgamma, log
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats

_JEFFREYS: Final = 0.5  # both parameters of the Beta distribution, unless one is given
_STEPS: Final = 40  # of the bisection: an error of 1e-12
_lgamma = np.vectorize(lgamma, otypes=[float])


def log_wealth(successes: Floats, failures: Floats, proportion: Floats | float, prior: tuple[float, float]) -> Floats:
    """Return the logarithm of the wealth of a player who bet against a proportion.

    Args:
        successes: number of successes so far.
        failures: number of failures so far.
        proportion: in (0, 1).
        prior: parameters of the Beta distribution of the bets.
    """
    a, b = prior
    mixed = _lgamma(a + successes) + _lgamma(b + failures) - _lgamma(a + b + successes + failures)
    start = lgamma(a) + lgamma(b) - lgamma(a + b)
    true = successes * np.log(proportion) + failures * np.log1p(-proportion)
    return np.asarray(mixed - start - true)


def proportion_bounds(successes: Floats, trials: Floats, error: float) -> tuple[Floats, Floats]:
    """Return the bounds of a proportion, valid at all numbers of trials together with probability 1 − `error`.

    >>> lower, upper = proportion_bounds(np.array([0.0, 30.0]), np.array([0.0, 100.0]), 0.05)
    >>> np.round(lower, 2).tolist(), np.round(upper, 2).tolist()
    ([0.0, 0.17], [1.0, 0.46])
    """
    successes, trials = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    lower = _lower_bound(successes, trials - successes, error)
    return lower, 1.0 - _lower_bound(trials - successes, successes, error)


def _lower_bound(successes: Floats, failures: Floats, error: float) -> Floats:
    """Bisect between 0, which is excluded after the first success, and the observed proportion, which never is."""
    trials = np.maximum(successes + failures, 1.0)
    below, above = np.zeros_like(trials), successes / trials
    mixed = log_wealth(successes, failures, 0.5, (_JEFFREYS, _JEFFREYS)) - trials * log(2.0)
    for _ in range(_STEPS):
        middle = np.clip((below + above) / 2.0, 1e-300, 1.0 - 1e-16)
        wealth = mixed - successes * np.log(middle) - failures * np.log1p(-middle)
        is_excluded = wealth > -log(error)
        below, above = np.where(is_excluded, middle, below), np.where(is_excluded, above, middle)
    return below


def ratio_mismatch(held_out: int, drawn: int, share: float) -> float:
    """Return the wealth of a player who bet that the arms are not split by `share` (Lindon and Malek 2022).

    Above 1,000, the split is broken: under a correct draw this happens at any time with probability 1 ÷ 1,000 at most.

    >>> ratio_mismatch(200, 1_000, 0.2) < 1 < 1_000 < ratio_mismatch(300, 1_000, 0.2)
    True
    """
    prior = (100.0 * share, 100.0 * (1.0 - share))  # bets near the share, where a fault in the draw would leave it
    counts = np.array([float(held_out)]), np.array([float(drawn - held_out)])
    return float(np.exp(np.minimum(log_wealth(*counts, share, prior), 700.0))[0])
