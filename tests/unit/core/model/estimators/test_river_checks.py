"""River's own checks of estimators, on every estimator of ours.

tests/contract/test_experts.py runs them on the product's pipelines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from river import base, checks

from stream_app.core.model.estimators import (
    GridEncoder,
    MBGNBDClassifier,
    RecursiveLogisticRegression,
    SelectWithDefault,
)

MODELS: Final[dict[str, base.Estimator]] = {
    "regression": RecursiveLogisticRegression(),
    "regression, all parameters": RecursiveLogisticRegression(
        offset="age_of_domain",
        group="is_popular",
        weight_deviation=1.0,
        offset_deviation=0.5,
        intercept_deviation=2.0,
        group_deviation=0.5,
        half_life=20.0,
        example_weight=0.3,
        clip=0.7,
    ),
    "regression, forgets with every row": RecursiveLogisticRegression(half_life=10.0, group_deviation=1.0),
    "regression, unknown names": RecursiveLogisticRegression(offset="prior", group="day"),
    "grids": GridEncoder(
        (("gallup", (38.0, 40.0, 42.0)),),
        (("gallup", (41.0,)), ("ipsos", (40.0, 41.0))),
        (("ordinal_date", (736400.0,)),),
    ),
    "grids, unknown names": GridEncoder((("recency", (1.0, 2.0)),)),
    "no grids": GridEncoder(),
    "select": SelectWithDefault("gallup", "ipsos", "unknown", default=40.0),
    "mbg/nbd": MBGNBDClassifier(),
    "mbg/nbd, known names": MBGNBDClassifier("is_popular", "age_of_domain", "long_url", 60.0, 2.0, 100.0, 0.5, 3.0),
}


def cases() -> Iterator[Any]:
    for name, model in MODELS.items():
        for number, check in enumerate(checks.yield_checks(model)):
            yield pytest.param(name, check, id=f"{name}-{number}-{check.__name__}")


@pytest.mark.parametrize(("name", "check"), list(cases()))
def test_a_check_of_river(name: str, check: Any) -> None:
    check(MODELS[name].clone())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_check_is_skipped(name: str) -> None:
    assert MODELS[name]._unit_test_skips() == set()
