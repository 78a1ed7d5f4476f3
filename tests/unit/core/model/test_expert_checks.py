"""A model that the settings name is used only if replay and live services would give the same results with it."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from stream_app.core.expert_spec import BUILT_IN, ExpertSpec
from stream_app.core.model.expert_checks import Cost, check_expert, check_experts
from stream_app.core.model.experts.expert import Rows
from stream_app.core.model.experts.river_expert import RiverExpert
from stream_app.core.model.features import NAMES, PLACE
from stream_app.errors import ContradictorySettings
from tests.harness import own_models
from tests.harness.own_models import PATH

TREE = {"model": "river.tree.HoeffdingTreeClassifier"}
SCALER = {"model": "river.preprocessing.StandardScaler"}
REGRESSION = {
    "model": "river.linear_model.LogisticRegression",
    "arguments": {"optimizer": {"model": "river.optim.Adam", "arguments": {"lr": 0.01}}},
}


def checked(model: str, arguments: dict[str, Any] | list[Any] | None = None, **more: Any) -> Cost:
    return check_expert(ExpertSpec("own", model, arguments or {}, **more), time.perf_counter)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("river.naive_bayes.GaussianNB", {}),
        ("river.linear_model.ALMAClassifier", {}),
        ("river.ensemble.BaggingClassifier", {"model": TREE, "n_models": 2, "seed": 1}),
        ("river.forest.AMFClassifier", {"n_estimators": 2, "seed": 1}),
        ("river.neighbors.KNNClassifier", {"engine": {"model": "river.neighbors.LazySearch", "arguments": [50]}}),
        ("river.compose.Pipeline", [SCALER, REGRESSION]),
        ("river.ensemble.StackingClassifier", [[{"model": "river.naive_bayes.GaussianNB"}, TREE], REGRESSION]),
        (f"{PATH}.make_regression", {"learning_rate": 0.1}),
        (f"{PATH}.Constant", {}),
    ],
)
def test_a_good_model_is_accepted_and_its_cost_told(model: str, arguments: Any) -> None:
    cost = checked(model, arguments)
    assert 0.0 < cost.decision < 1e6
    assert 0.0 < cost.label < 1e6
    assert cost.stored_bytes > 100


@pytest.mark.parametrize(
    ("model", "arguments", "problem"),
    [
        ("no_such_package.Model", {}, "cannot be imported"),
        ("river.forest.NoSuchForest", {}, "cannot be imported"),
        ("river.naive_bayes.GaussianNB", {"trees": 3}, "cannot be made"),
        ("river.linear_model.LinearRegression", {}, "LinearRegression and no River classifier"),
        ("river.compose.Pipeline", [SCALER, {"model": "river.linear_model.LinearRegression"}], "no River classifier"),
        ("math.pi", {}, "no class or function"),
        ("river.forest.ARFClassifier", {"n_models": 2}, "ARFClassifier draws numbers without a seed"),
        ("river.ensemble.BaggingClassifier", {"model": TREE}, "BaggingClassifier draws numbers without a seed"),
        (
            "river.ensemble.ADWINBaggingClassifier",
            {"seed": 1, "model": {"model": "river.forest.ARFClassifier"}},
            "ARFClassifier draws numbers without a seed",
        ),
        (f"{PATH}.Percent", {}, "untrained, it predicts [60.0, 40.0], which are no probabilities"),
        (f"{PATH}.NotANumber", {}, "no probabilities"),
        (f"{PATH}.Half", {}, "do not sum to 1"),
        (f"{PATH}.Words", {}, "labels other than 0 and 1"),
        (f"{PATH}.Failing", {}, "in learn_one"),
        (f"{PATH}.Mute", {}, "in predict_proba_one"),
        (f"{PATH}.Hoarder", {}, "grows with every label"),
        (f"{PATH}.Counting", {}, "its predictions change it"),
        (f"{PATH}.Chance", {}, "predicts otherwise when it learns the same again"),
        (f"{PATH}.Forgetful", {}, "predicts otherwise after it was stored"),
        (f"{PATH}.WithLambda", {}, "cannot be stored and read again"),
        (f"{PATH}.WithFunction", {}, "cannot be stored and read again (builtins.getattr)"),
    ],
)
def test_a_model_that_would_do_harm_is_refused_with_a_reason(model: str, arguments: Any, problem: str) -> None:
    with pytest.raises(ContradictorySettings) as refused:
        checked(model, arguments)
    assert refused.value.facts["name"] == "model.experts"
    assert "'own'" in str(refused.value)
    assert problem in str(refused.value)
    assert refused.value.facts["remedy"]
    assert refused.value.exit_code == 2


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ContradictorySettings, match="unknown feature 'height'"):
        checked(f"{PATH}.Constant", features=("recency", "height"))


def test_built_in_experts_are_not_checked_again() -> None:
    bayes = ExpertSpec("bayes", "river.naive_bayes.GaussianNB")
    assert list(check_experts((*BUILT_IN.values(), bayes), time.perf_counter)) == ["bayes"]


def test_the_costs_are_per_row() -> None:
    moments = iter([0.0, 3.0, 10.0, 10.5])  # 300 labels in 3 s, 50 decisions in half a second
    cost = check_expert(ExpertSpec("own", f"{PATH}.Constant"), lambda: next(moments))
    assert (cost.label, cost.decision) == (10_000.0, 10_000.0)


class Odd(own_models.Constant):
    """Has no answer for customers of the future, and fails for those of the past."""

    def predict_proba_one(self, x: own_models.X, **kwargs: Any) -> dict[Any, float]:  # noqa: ARG002 - River's
        return {0: 1.0 / x["recency"], 1: x["recency"] - x["recency"] if x["recency"] < 100.0 else float("nan")}


def test_a_model_without_an_answer_is_replaced_by_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.core.model.experts.river_expert.ENOUGH", 0)
    rows = np.zeros((3, len(NAMES)))
    rows[:, PLACE["recency"]] = (0.0, 2.0, np.inf)  # divides by zero, predicts 0, predicts NaN
    found = RiverExpert(Odd(), ("recency",)).log_odds(Rows(rows, np.array([0.5, 0.25, -1.5])))
    assert found.tolist() == [0.5, pytest.approx(math.log(0.05 / 0.95)), -1.5]
