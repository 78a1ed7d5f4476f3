"""River's StandardScaler, learned and read as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from river import preprocessing

from stream_app.core.arrays import Floats

_FLAT = 1e-12  # a smaller variance is a rounding error of a constant


def learn_scale(scaler: preprocessing.StandardScaler, features: Sequence[str], table: Floats) -> None:
    """Update a scaler with rows, as its `learn_one` would. Its `learn_many` does the same, but needs a dataframe.

    Merges means and variances (Chan, Golub, LeVeque 1979). A constant has the variance 0, as with `learn_one`.

    Args:
        scaler: with `with_std` and without a window. It must have seen the features equally often.
        features: names of the columns.
        table: shape (n, number of features).

    >>> scaler = preprocessing.StandardScaler()
    >>> learn_scale(scaler, ["x"], np.array([[3.0], [5.0]]))
    >>> scaler.transform_one({"x": 5.0})
    {'x': 1.0}
    """
    seen, count = scaler.counts[features[0]], len(table)
    total = seen + count
    means = np.array([scaler.means[name] for name in features])
    variances = np.array([scaler.vars[name] for name in features])
    gap = table.mean(axis=0) - means
    variances = (variances * seen + table.var(axis=0) * count + gap * gap * seen * count / total) / total
    means = means + gap * count / total
    scaler.counts.update(dict.fromkeys(features, count))
    scaler.means.update(zip(features, means.tolist(), strict=True))
    scaler.vars.update(zip(features, np.where(variances > _FLAT, variances, 0.0).tolist(), strict=True))


def scale_of(scaler: preprocessing.StandardScaler, features: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the means and the reciprocal deviations (0 for a constant) of features, each of shape (n,).

    >>> scale_of(preprocessing.StandardScaler(), ["x"])
    (array([0.]), array([0.]))
    """
    means = np.array([scaler.means.get(name, 0.0) for name in features])
    deviations = np.sqrt(np.array([scaler.vars.get(name, 0.0) for name in features]))
    return means, np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0)
