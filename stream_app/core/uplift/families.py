"""Effects of groups of customers, shrunk towards the effect of all.

A single group has few customers, and the largest of many noisy effects is mostly noise. Empirical Bayes (Efron and
Morris 1975; the variance between groups as in DerSimonian and Laird 1986) moves each group towards the mean as far as
the differences between the groups can be explained by chance.
"""

from __future__ import annotations

import numpy as np

from stream_app.core.arrays import Floats


def shrunk(effects: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Return the shrunk effects of groups and their standard errors.

    Args:
        effects: estimates, at least one.
        errors: their standard errors, greater than zero.

    >>> effects, errors = shrunk(np.array([0.0, 0.14]), np.array([0.1, 0.1]))  # as far apart as by chance
    >>> np.round(effects, 2).tolist()
    [0.07, 0.07]
    """
    weights = 1.0 / errors**2
    total = weights.sum()
    mean = float((weights * effects).sum() / total)
    excess = float((weights * (effects - mean) ** 2).sum()) - (len(effects) - 1)
    scale = float(total - (weights**2).sum() / total)
    between = max(0.0, excess / scale) if scale > 0.0 else 0.0
    mixed = 1.0 / (errors**2 + between)
    center = float((mixed * effects).sum() / mixed.sum())
    trust = between / (between + errors**2)
    variance = trust * errors**2 + (1.0 - trust) ** 2 / mixed.sum()
    return center + trust * (effects - center), np.sqrt(variance)
