"""Contract of every expert, like River's own checks, and further properties of each."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest
from river import base, checks, drift, linear_model, optim, preprocessing, tree
from sklearn.metrics import roc_auc_score

from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.drift import DriftWatch
from stream_app.core.model.experts.baselines import BgNbdExpert, RecencyExpert
from stream_app.core.model.experts.binned import BinnedExpert
from stream_app.core.model.experts.expert import LIMIT, Expert, Rows, probability_of, row_sums
from stream_app.core.model.experts.linear import LinearExpert
from stream_app.core.model.experts.recursive import Span, correction
from stream_app.core.model.experts.river_models import RiverBaselineExpert, TreeExpert
from stream_app.core.model.features import LIMIT as FEATURE_LIMIT, LINEAR, NAMES, PLACE
from stream_app.core.units import DAY_US
from tests.harness.shops import rows_of, separable

SPAN: Final = Span(10.0, 2.0)
MAKERS: Final[dict[str, Callable[[], Expert]]] = {
    "linear": lambda: LinearExpert(SPAN),
    "cells": lambda: BinnedExpert(SPAN),
    "prior": BgNbdExpert,
    "tree": TreeExpert,
    "recency": RecencyExpert,
    "plain": RiverBaselineExpert,
}
LEARNERS: Final = sorted(MAKERS.keys() - {"prior"})


def learned(name: str, days: int = 15, rows_a_day: int = 100) -> Expert:
    expert = MAKERS[name]()
    for day in range(days):
        expert.learn(*separable(np.random.default_rng(day), rows_a_day))
    return expert


@pytest.fixture(scope="module", params=sorted(MAKERS))
def expert(request: pytest.FixtureRequest) -> Expert:
    """Provide every expert after training."""
    return learned(request.param)


def part(rows: Rows, chosen: slice) -> Rows:
    return Rows(rows.features[chosen], rows.prior[chosen])


def extreme_rows() -> Rows:
    """Return rows of the largest, the smallest and typical values."""
    levels = np.array([-FEATURE_LIMIT, 0.0, 1.0, FEATURE_LIMIT])
    features = np.repeat(levels[:, None], len(NAMES), axis=1)
    return Rows(np.repeat(features, 3, axis=0), np.tile([-6.0, 0.0, 6.0], len(levels)))


def test_the_suite_covers_every_expert_of_the_model() -> None:
    assert {one.name for one in ChurnModel(10 * DAY_US, 2 * DAY_US, 1).experts} == set(MAKERS)
    assert all(make().name == name for name, make in MAKERS.items())


def test_prediction_changes_nothing(expert: Expert) -> None:
    before = copy.deepcopy(expert)
    rows = rows_of(np.random.default_rng(7), 200)
    features, prior = rows.features.copy(), rows.prior.copy()
    first = expert.log_odds(rows)
    assert np.array_equal(first, expert.log_odds(rows))
    assert np.array_equal(rows.features, features)
    assert np.array_equal(rows.prior, prior)
    # It also continues to learn as if it had not predicted.
    asked, more = copy.deepcopy(expert), separable(np.random.default_rng(8), 300)
    asked.learn(*more)
    before.learn(*more)
    assert np.array_equal(asked.log_odds(rows), before.log_odds(rows))


@pytest.mark.parametrize("fresh", [True, False])
def test_predictions_are_finite_and_bounded(expert: Expert, fresh: bool) -> None:
    model = MAKERS[expert.name]() if fresh else expert
    said = model.log_odds(extreme_rows())
    assert said.shape == (12,)
    assert said.dtype == np.float64
    assert np.isfinite(said).all()
    assert np.abs(said).max() <= LIMIT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 499])
def test_a_row_does_not_depend_on_the_rows_beside_it(expert: Expert, size: int) -> None:
    rows = rows_of(np.random.default_rng(3), 500)
    together = expert.log_odds(rows)
    apart = [expert.log_odds(part(rows, slice(start, start + size))) for start in range(0, 500, size)]
    assert np.array_equal(np.concatenate(apart), together)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 499])
@pytest.mark.parametrize("turned", [False, True])
def test_row_sums_do_not_depend_on_size_or_layout(size: int, turned: bool) -> None:
    table = np.random.default_rng(1).normal(size=(500, 41))
    together = row_sums(table)
    given = np.asfortranarray(table) if turned else table
    apart = [row_sums(given[start : start + size]) for start in range(0, 500, size)]
    assert np.array_equal(np.concatenate(apart), together)


def test_learning_is_deterministic(expert: Expert) -> None:
    rows = rows_of(np.random.default_rng(4), 100)
    assert np.array_equal(learned(expert.name).log_odds(rows), expert.log_odds(rows))


def test_an_unpickled_expert_predicts_and_learns_alike(expert: Expert) -> None:
    restored = pickle.loads(pickle.dumps(expert))  # noqa: S301 - our own bytes of a moment ago
    original, rows = copy.deepcopy(expert), rows_of(np.random.default_rng(5), 200)
    assert np.array_equal(restored.log_odds(rows), original.log_odds(rows))
    for day in range(40, 45):
        for model in (restored, original):
            model.learn(*separable(np.random.default_rng(day), 150))
    assert np.array_equal(restored.log_odds(rows), original.log_odds(rows))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_simple_rule_is_learned(name: str) -> None:
    rows, labels = separable(np.random.default_rng(99), 1000)
    untaught = roc_auc_score(labels, MAKERS[name]().log_odds(rows)) if name != "recency" else 0.5
    trained_model = learned(name, days=25).log_odds(rows)
    assert roc_auc_score(labels, trained_model) > 0.8 > untaught + 0.2
    # A tenth of the labels is noise: a calibrated expert has a log-loss of about 0.33, one that knows nothing 0.69.
    assert np.logaddexp(0.0, np.where(labels == 1, -trained_model, trained_model)).mean() < 0.62


def test_the_prior_learns_nothing() -> None:
    rows = rows_of(np.random.default_rng(6), 50)
    assert np.array_equal(learned("prior").log_odds(rows), rows.prior)


def test_experts_follow_reversed_labels() -> None:
    """Experts must forget, since shops change."""
    rows, labels = separable(np.random.default_rng(98), 1000)
    for name in ("linear", "cells", "plain"):
        model = learned(name, days=10)
        for day in range(100):
            seen, label = separable(np.random.default_rng(day), 100)
            model.learn(seen, 1 - label)
        assert roc_auc_score(labels, model.log_odds(rows)) < 0.3, name


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_memory_is_bounded(name: str) -> None:
    bound = 3_000_000  # bytes
    model = learned(name, days=10)
    early = len(pickle.dumps(model))
    for day in range(60):
        model.learn(*separable(np.random.default_rng(1000 + day), 300))
    late = len(pickle.dumps(model))
    assert late < bound
    if name != "tree":  # a tree grows to its greatest depth
        assert late <= early + 200  # counters get longer


def test_the_depth_of_a_tree_is_bounded() -> None:
    model = TreeExpert()
    for day in range(60):
        model.learn(*separable(np.random.default_rng(day), 300))
    grown = model.model
    assert isinstance(grown, tree.HoeffdingTreeClassifier)
    assert 1 <= grown.height <= grown.max_depth


def test_the_tree_is_the_prior_until_it_has_seen_enough() -> None:
    rows = rows_of(np.random.default_rng(1), 30)
    assert np.array_equal(learned("tree", days=9).log_odds(rows), rows.prior)
    assert not np.array_equal(learned("tree", days=10).log_odds(rows), rows.prior)


def test_recency_ranks_by_recency_whatever_the_labels() -> None:
    expert = RecencyExpert()
    rows, labels = separable(np.random.default_rng(2), 2000)
    for _ in range(5):
        expert.learn(rows, 1 - labels)  # customers without recent orders stay: the opposite of recency
    features = np.zeros((50, len(NAMES)))
    features[:, PLACE["recency"]] = np.linspace(0.0, 6.0, 50)
    assert (np.diff(expert.log_odds(Rows(features, np.zeros(50)))) > 0).all()


def test_the_plain_expert_is_river_itself() -> None:
    expert = RiverBaselineExpert()
    for day in range(3):
        expert.learn(*separable(np.random.default_rng(day), 100))
    rows = rows_of(np.random.default_rng(11), 200)
    ours = 1.0 / (1.0 + np.exp(-expert.log_odds(rows)))
    rivers = [expert.predict_proba_one(features) for features in rows.features]
    assert np.ptp(rivers) > 0.2
    np.testing.assert_allclose(ours, rivers, rtol=0, atol=1e-12)


def rivers_input(rows: Rows) -> list[dict[str, float]]:
    """Return rows as a user of River would pass them to an expert's pipeline."""
    table = np.concatenate([rows.features, rows.prior[:, None]], axis=1).tolist()
    return [{**dict(zip((*NAMES, "prior"), row, strict=True)), "day": 1.0} for row in table]


PIPELINES: Final = ("linear", "cells", "recency")
# River's StandardScaler scales the rows of a batch by the whole batch, and a single row by the rows until then. The
# linear pipeline therefore differs by design; River's own data do not show it, since they lack the features.
UNLIKE: Final = "check_learn_many_matches_learn_one"


@pytest.mark.parametrize("name", PIPELINES)
def test_scores_are_those_of_the_pipeline_in_river(name: str) -> None:
    expert: Any = learned(name)
    rows = rows_of(np.random.default_rng(11), 200)
    ours = probability_of(expert.log_odds(rows))
    x = rivers_input(rows)
    ones = np.array([expert.pipeline.predict_proba_one(row)[True] for row in x])
    many = expert.pipeline.predict_proba_many(pd.DataFrame(x))[True].to_numpy()
    bounds = probability_of(np.array([-LIMIT, LIMIT]))  # an expert's, not the pipeline's
    assert np.ptp(ours) > 0.2
    np.testing.assert_allclose(ours, np.clip(ones, *bounds), rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours, np.clip(many, *bounds), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PIPELINES)
def test_an_expert_learns_as_its_pipeline_in_river(name: str) -> None:
    expert: Any = MAKERS[name]()
    pipeline = expert.pipeline.clone()
    for day in range(1, 8):
        rows, labels = separable(np.random.default_rng(day), 60)
        expert.learn(rows, labels)
        x = pd.DataFrame(rivers_input(rows)).assign(day=day)
        pipeline.learn_many(x, pd.Series(labels.astype(bool)))
    query = rivers_input(rows_of(np.random.default_rng(12), 50))
    ours, theirs = ([one.predict_proba_one(row)[True] for row in query] for one in (expert.pipeline, pipeline))
    assert np.ptp(ours) > 0.2
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_passes_the_checks_of_river(name: str) -> None:
    """On River's data, which lack every feature, and on ours."""
    pipeline = MAKERS[name]().pipeline  # type: ignore[attr-defined] # of these three
    assert pipeline._unit_test_skips() == set()
    rows, labels = separable(np.random.default_rng(1), 60)
    ours = list(zip(rivers_input(rows), (labels == 1).tolist(), strict=True))
    for check in checks.yield_checks(pipeline):
        check(pipeline.clone())
        if isinstance(check, partial) and check.func.__name__ != UNLIKE:
            check.func(pipeline.clone(), dataset=ours)


def test_contributions_add_up_to_the_linear_prediction() -> None:
    expert = learned("linear")
    assert isinstance(expert, LinearExpert)
    rows = rows_of(np.random.default_rng(12), 40)
    moved = expert.contributions(rows)
    assert list(moved) == [NAMES[place] for place in LINEAR]
    total = sum(moved.values()) + expert.regression.intercept + expert.regression.weights["prior"] * rows.prior
    np.testing.assert_allclose(np.clip(total, -LIMIT, LIMIT), expert.log_odds(rows), atol=1e-12)


def test_the_weight_of_a_row_is_its_share_of_its_future() -> None:
    assert Span(60.0, 7.0).weight == pytest.approx(7 / 60)
    assert Span(5.0, 7.0).weight == 1.0
    assert correction(Span(60.0, 7.0)).example_weight == pytest.approx(7 / 60)


# --- requirements on River --------------------------------------------------------------------------------------------


def test_river_has_the_functions_that_are_used() -> None:
    model = linear_model.LogisticRegression(optim.AdaGrad(0.05))
    model.learn_one({"x": 1.0}, 1)
    assert isinstance(model, base.Classifier)
    assert set(model.weights) == {"x"}
    assert isinstance(model.intercept, float)
    assert set(model.predict_proba_one({"x": 1.0})) == {False, True}
    scaler = preprocessing.StandardScaler()
    scaler.learn_one({"x": 3.0})
    scaler.learn_one({"x": 5.0})
    assert (scaler.means["x"], scaler.vars["x"]) == (4.0, 1.0)
    assert scaler.transform_one({"x": 5.0}) == {"x": 1.0}
    wanted = {"grace_period", "leaf_prediction", "max_depth"}
    assert wanted <= set(inspect.signature(tree.HoeffdingTreeClassifier).parameters)
    assert {"delta", "clock"} <= set(inspect.signature(drift.ADWIN).parameters)


@pytest.mark.parametrize("step", [0.0, 0.2])
def test_drift_is_seen_where_the_loss_changes_for_good_and_nowhere_else(step: float) -> None:
    rng, watch = np.random.default_rng(1), DriftWatch()
    for day in range(400):
        watch.observe(day * DAY_US, 0.40 + 0.02 * rng.normal() + (step if day >= 150 else 0.0))
    assert [150 < one.at // DAY_US < 240 for one in watch.seen] == ([True] if step else [])
    for one in watch.seen:
        assert one.before == pytest.approx(0.40, abs=0.01)
        assert one.after == pytest.approx(0.60, abs=0.01)
