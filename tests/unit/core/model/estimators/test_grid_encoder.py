"""Cells of grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from stream_app.core.model.estimators import GridEncoder

AGE, FEW, INCOME = ("age", (18.0, 65.0)), ("age", (40.0,)), ("income", (10.0, 100.0))
ENCODER: Any = GridEncoder((AGE,), (INCOME,), (FEW, INCOME))


@pytest.mark.parametrize(("age", "cell"), [(-9.0, 0), (17.9, 0), (18.0, 1), (64.9, 1), (65.0, 2), (1e9, 2)])
def test_a_value_on_an_edge_lies_above_it(age: float, cell: int) -> None:
    assert GridEncoder((AGE,)).transform_one({"age": age}) == {f"age_{cell}": 1}


def test_rows_and_arrays_have_the_same_cells() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.choice([0.0, 18.0, 30.0, 40.0, 65.0], 60), "income": rng.uniform(0, 150, 60)})
    many, places = ENCODER.transform_many(frame), ENCODER.places(dict(frame.items()), 60)
    assert list(many.columns) == list(ENCODER.cells)
    assert len(ENCODER.cells) == 3 + 3 + 6
    for row, x in enumerate(frame.to_dict("records")):
        cells = set(ENCODER.transform_one({str(name): value for name, value in x.items()}))
        assert cells == {name for name in many.columns if many.iloc[row][name]}
        assert cells == {ENCODER.cells[place] for place in places[row]}
    assert many.to_numpy().sum(axis=1).tolist() == [3] * 60


def test_a_missing_feature_has_no_cell() -> None:
    assert ENCODER.transform_one({"income": 50.0}) == {"income_1": 1}
    assert ENCODER.transform_many(pd.DataFrame({"income": [50.0]})).sum().sum() == 1
    assert ENCODER.places({"income": np.array([50.0])}, 1).tolist() == [[-1, 4, -1]]


def test_two_grids_over_the_same_features_are_refused() -> None:
    with pytest.raises(ValueError, match="same features"):
        GridEncoder((AGE,), (FEW,))
