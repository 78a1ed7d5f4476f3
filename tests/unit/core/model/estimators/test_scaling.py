"""River's scaler, learned from arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
from river import preprocessing

from stream_app.core.model.estimators import learn_scale, scale_of

NAMES = ["a", "b", "c"]


def test_arrays_rows_and_dataframes_give_the_same_scale() -> None:
    rng = np.random.default_rng(1)
    arrays, rows, frames = (preprocessing.StandardScaler() for _ in range(3))
    for size in (1, 20, 50):
        table = rng.normal([0.0, 5.0, -300.0], [1.0, 0.1, 40.0], (size, 3))
        learn_scale(arrays, NAMES, table)
        frames.learn_many(pd.DataFrame(table, columns=NAMES))
        for row in table.tolist():
            rows.learn_one(dict(zip(NAMES, row, strict=True)))
    for other in (rows, frames):
        assert arrays.counts == other.counts
        for ours, theirs in zip(scale_of(arrays, NAMES), scale_of(other, NAMES), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_constant_has_no_scale() -> None:
    scaler = preprocessing.StandardScaler()
    for _ in range(3):
        learn_scale(scaler, ["a"], np.full((7, 1), 0.1))
    assert scaler.vars["a"] == 0.0
    assert scale_of(scaler, ["a"])[1].tolist() == [0.0]
    assert scaler.transform_one({"a": 0.5}) == {"a": 0.0}
