"""The churn model and its parts: ensemble, nowcast, and the source of scores."""

from __future__ import annotations

import copy
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, strategies as st

from stream_app.core.arrays import Floats
from stream_app.core.expert_spec import BUILT_IN, DEFAULT, ExpertSpec
from stream_app.core.model.churn_model import ENOUGH, ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.drift import DriftWatch
from stream_app.core.model.ensemble import Ensemble
from stream_app.core.model.experts.expert import LIMIT
from stream_app.core.model.experts.recursive import Span
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Pending, Returned
from stream_app.core.model.nowcast import COEFFICIENT, Nowcast
from stream_app.core.model.scores import EXPERTS as COLUMNS, MIXTURE, MODEL_SOURCE, PRIOR_SOURCE, LogOddsColumns
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.update import apply_event
from stream_app.core.state.vector import new_vector
from stream_app.core.units import DAY_US
from tests.harness.shops import SHOP, T0, matured_rows, order, rows_of, separable, train, trained_model

# --- the mixture -----------------------------------------------------------------------------------------------------

SPAN: Final = Span(20.0, 2.0)
START: Final = {name: one.share for name, one in BUILT_IN.items() if not one.compared}
EXPERTS: Final = tuple(START)


NOTHING: Final = np.zeros(1)  # of the ensemble, which counts only where an expert made no prediction


def said(rng: np.random.Generator, labels: npt.NDArray[np.int64], worst: str) -> Floats:
    """Return predictions of experts that agree, except for one that predicts the opposite."""
    right = np.where(labels == 1, 1.0, -1.0) + rng.normal(0.0, 0.3, len(labels))
    return np.stack([-right if name == worst else right for name in EXPERTS], axis=1)


@pytest.mark.parametrize("worst", EXPERTS)
def test_a_worse_expert_loses_its_share(worst: str) -> None:
    ensemble, rng = Ensemble(START, SPAN), np.random.default_rng(1)
    before = ensemble.shares()
    for _ in range(20):
        labels = rng.integers(0, 2, 100)
        ensemble.learn_day(said(rng, labels, worst), labels.astype(np.int8), NOTHING)
        assert sum(ensemble.shares().values()) == pytest.approx(1.0, abs=1e-12)
    after = ensemble.shares()
    assert after[worst] < before[worst] / 100
    assert all(after[name] > before[name] for name in EXPERTS if name != worst)


def test_a_lost_share_can_be_regained() -> None:
    ensemble, rng = Ensemble(START, SPAN), np.random.default_rng(1)
    for worst in ("linear", "cells"):
        for _ in range(200):  # five half-lives of the memory
            labels = rng.integers(0, 2, 50)
            ensemble.learn_day(said(rng, labels, worst), labels.astype(np.int8), NOTHING)
        assert ensemble.shares()[worst] < 1e-6
    assert ensemble.shares()["linear"] > 0.4


def test_equal_experts_keep_their_shares() -> None:
    ensemble, rng = Ensemble(START, SPAN), np.random.default_rng(1)
    for _ in range(20):
        labels = rng.integers(0, 2, 50)
        ensemble.learn_day(said(rng, labels, "none"), labels.astype(np.int8), NOTHING)
    assert ensemble.shares() == pytest.approx(START)


def test_shares_of_the_cheap_experts_are_rescaled() -> None:
    ensemble = Ensemble(START, SPAN)
    table = np.array([[1.0, 2.0, 4.0]])
    shares = np.array([START[name] for name in ("linear", "cells", "prior")])
    assert ensemble.log_odds(table, [0, 1, 2])[0] == pytest.approx((table[0] * shares).sum() / shares.sum())
    assert ensemble.log_odds(np.full((3, 4), 1.7)).tolist() == pytest.approx([1.7] * 3)


def test_an_expert_that_made_no_prediction_counts_as_the_ensemble() -> None:
    rng = np.random.default_rng(1)
    absent, present = Ensemble(START, SPAN), Ensemble(START, SPAN)
    for _ in range(5):
        labels = rng.integers(0, 2, 100)
        table, ensemble = said(rng, labels, "none"), np.full(100, 0.1)
        missing = np.arange(100) % 2 == 0
        filled, gaps = table.copy(), table.copy()
        filled[missing, 3], gaps[missing, 3] = 0.1, np.nan
        absent.learn_day(gaps, labels.astype(np.int8), ensemble)
        present.learn_day(filled, labels.astype(np.int8), NOTHING)
    assert absent.shares() == present.shares()


@pytest.mark.parametrize("kept", [{"linear", "cells"}, {"cells"}, set()])
def test_one_that_joins_has_its_first_share_whatever_the_others_have_lost(kept: set[str]) -> None:
    ensemble, rng = Ensemble(START, SPAN), np.random.default_rng(1)
    for _ in range(30):
        labels = rng.integers(0, 2, 100)
        ensemble.learn_day(said(rng, labels, "linear"), labels.astype(np.int8), NOTHING)
    before = ensemble.shares()
    ensemble.relist({"forest": 0.1, **{name: START[name] for name in sorted(kept)}}, kept)
    after, scale = ensemble.shares(), 0.1 + sum(START[name] for name in kept)
    assert after["forest"] == pytest.approx(0.1 / scale)
    assert sum(after.values()) == pytest.approx(1.0)
    if len(kept) > 1:
        assert after["linear"] / after["cells"] == pytest.approx(before["linear"] / before["cells"])


# --- the nowcast -----------------------------------------------------------------------------------------------------

HORIZON: Final = 20  # days
FIRST: Final = 19_000  # day
A_DAY: Final = 2_000  # decisions
CHURN: Final = 0.5  # what the mixture expects


def cohorts(expected: dict[int, float] | None = None, returns: dict[tuple[int, int], int] | None = None) -> Cohorts:
    """Return the cohorts of a day."""
    made = Cohorts()
    made.expected.update(expected or {})
    made.returns.update(returns or {})
    return made


def nowcast_of(days: int, level: float = 1.0, since: int = 10**9) -> Nowcast:
    """Return the nowcast of a shop with uniform returns, multiplied by `level` from a day on."""
    nowcast = Nowcast(Span(float(HORIZON), 2.0))
    for today in range(FIRST, FIRST + days):
        nowcast.begin_day(today)
        nowcast.record(cohorts(expected={today: A_DAY * (1 - CHURN)}))
        for cohort in range(max(FIRST, today - HORIZON), today):
            number = round(A_DAY * (1 - CHURN) / HORIZON * (level if today - FIRST >= since else 1.0))
            age = today - cohort - 1  # whole days when the returns of yesterday came
            nowcast.record(cohorts(returns={(cohort, age): number}))
    nowcast.begin_day(FIRST + days)
    return nowcast


def test_there_is_no_deviation_before_enough_history() -> None:
    enough = HORIZON + 1 + HORIZON // 4 + 5
    assert nowcast_of(0).shift == 0.0
    assert nowcast_of(enough - 1, level=2.0, since=5).deviation == 0.0
    assert nowcast_of(enough + 1, level=2.0, since=HORIZON + 8).deviation != 0.0


def test_a_usual_shop_has_no_deviation() -> None:
    for days in (60, 150, 400):
        assert abs(nowcast_of(days).deviation) < 0.06, days


@pytest.mark.parametrize("level", [2.0, 0.5])
def test_returns_that_double_or_halve_show_as_the_logarithm_of_two(level: float) -> None:
    nowcast = nowcast_of(120, level=level, since=110)
    wanted = np.log(level)
    # Shrunk, by what is added for calm.
    assert 0.75 * abs(wanted) < np.sign(wanted) * nowcast.deviation < abs(wanted) + 0.06
    assert nowcast.shift == -nowcast.coefficient * nowcast.deviation
    assert np.sign(nowcast.shift) == -np.sign(wanted)  # more returns, less churn


def test_few_returns_give_a_small_deviation() -> None:
    nowcast = Nowcast(Span(float(HORIZON), 2.0))
    for today in range(FIRST, FIRST + 100):
        nowcast.begin_day(today)
        nowcast.record(cohorts(expected={today: 1 - CHURN}))
        if today >= FIRST + 95:  # everyone at once
            nowcast.record(cohorts(returns={(today - 5 + number, 4 - number): 1 for number in range(5)}))
    nowcast.begin_day(FIRST + 100)
    assert 0.0 < nowcast.deviation < 0.2


@pytest.mark.parametrize(("followed", "moves"), [(1.0, 1), (-0.5, -1)])
def test_the_coefficient_learns_how_well_the_level_predicts(followed: float, moves: int) -> None:
    nowcast = nowcast_of(120, level=2.0, since=110)
    day = FIRST + 120
    odds = -followed * nowcast.deviation  # what became of the day's decisions
    share = 1.0 / (1.0 + np.exp(-odds))
    labels = (np.arange(A_DAY) < share * A_DAY).astype(np.int8)
    nowcast.learn_day(day, np.full(A_DAY, CHURN), labels)
    assert (nowcast.coefficient - COEFFICIENT) * moves > 0.001


def test_a_day_without_a_deviation_teaches_nothing() -> None:
    nowcast = nowcast_of(60)
    nowcast.learn_day(FIRST - 500, np.full(100, CHURN), np.ones(100, dtype=np.int8))
    assert nowcast.coefficient == pytest.approx(COEFFICIENT, abs=1e-12)


def test_unused_cohorts_are_dropped() -> None:
    long, longer = nowcast_of(500, 2.0, 495), nowcast_of(2000, 2.0, 1995)
    assert len(longer._expected) <= 3 * 5 * HORIZON
    assert len(longer._returns) == len(longer._expected)
    assert len(longer._deviations) <= HORIZON + 12
    assert longer.deviation == pytest.approx(long.deviation, abs=1e-12)


def test_a_log_may_pause_for_years() -> None:
    nowcast = nowcast_of(100)
    later = FIRST + 3000
    nowcast.begin_day(later)
    assert np.isfinite(nowcast.deviation)
    nowcast.record(cohorts(expected={later: 5.0}))
    nowcast.record(cohorts(expected={FIRST + 1: 5.0}))  # long forgotten
    nowcast.record(cohorts(returns={(FIRST + 1, 1): 1, (later, 0): 1}))
    nowcast.begin_day(later + 1)
    assert np.isfinite(nowcast.deviation)


def test_a_horizon_too_short_for_a_nowcast_has_none() -> None:
    nowcast = Nowcast(Span(2.0, 1.0))
    for today in range(FIRST, FIRST + 100):
        nowcast.begin_day(today)
        nowcast.record(cohorts(expected={today: 25.0}, returns={(today, 0): 25}))
        assert nowcast.shift == 0.0


# --- the learner -----------------------------------------------------------------------------------------------------


def some_view(count: int = 9) -> StateFrame:
    """Return customers who ordered once, one day apart."""
    vector = []
    for i in range(count):
        one = new_vector()
        event = order(f"c{i}", T0 - i * DAY_US, amount=5.0 * i)
        apply_event(one, event, event.at, event.at // DAY_US, True)
        vector.append(one)
    return StateFrame(np.array(vector), np.full(count, T0 / DAY_US + 1.0), SHOP.horizon / DAY_US)


def test_the_score_is_that_of_the_prior_until_there_are_enough_labels() -> None:
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)
    sources = []
    for day in range(6):
        sources.append((min(churn_model.churned, churn_model.retained) >= ENOUGH, churn_model.source))
        view = some_view()
        scores = churn_model.decide(view)
        prior = 1.0 / (1.0 + np.exp(-scores.log_odds[:, churn_model.names.index("prior")].astype(np.float64)))
        assert scores.source == churn_model.source
        assert bool(np.abs(scores.probability - prior).max() < 1e-6) is not sources[-1][0]
        train(churn_model, [day], rows_a_day=90)
    assert sources[0] == (False, PRIOR_SOURCE)
    assert sources[-1] == (True, MODEL_SOURCE)
    assert {source for enough, source in sources if enough} == {MODEL_SOURCE}


def test_one_kind_of_label_is_not_enough() -> None:
    churn_model, rng = ChurnModel(SHOP.horizon, SHOP.decide_every, 1), np.random.default_rng(1)
    rows = rows_of(rng, 500)
    churn_model.learn_day(
        matured_rows(churn_model, rows, np.ones(500, dtype=np.int8), T0, SHOP.horizon), T0 + SHOP.horizon
    )
    assert (churn_model.churned, churn_model.retained, churn_model.source) == (500, 0, PRIOR_SOURCE)


def test_scoring_changes_nothing_and_learning_makes_a_version() -> None:
    churn_model = copy.deepcopy(trained_model())
    before, view = churn_model.version, some_view()
    first = churn_model.decide(view)
    churn_model.score(view)
    assert np.array_equal(churn_model.decide(view).probability, first.probability)
    assert churn_model.version == before == first.version
    churn_model.learn_day([], T0 + 500 * DAY_US)
    assert churn_model.version == before  # nothing was learned
    train(churn_model, [300])
    assert churn_model.version == before + 1
    assert not np.array_equal(churn_model.decide(view).probability, first.probability)


def test_a_score_has_a_column_for_every_expert_and_the_ensemble() -> None:
    churn_model, view = trained_model(), some_view()
    scores = churn_model.decide(view)
    assert churn_model.names == COLUMNS == ("linear", "cells", "prior", "tree", "recency", "plain", MIXTURE)
    assert scores.log_odds.shape == (9, len(churn_model.names))
    assert scores.features.shape == (9, len(NAMES))
    assert ((scores.probability > 0) & (scores.probability < 1)).all()
    shares = churn_model.shares()
    mixed = sum(scores.log_odds[:, churn_model.names.index(name)] * share for name, share in shares.items())
    np.testing.assert_allclose(mixed, scores.log_odds[:, -1], atol=1e-5)


@given(st.integers(1, 9))
def test_a_score_does_not_depend_on_other_customers(size: int) -> None:
    churn_model, view = trained_model(), some_view()
    decided, scored = churn_model.decide(view).probability, churn_model.score(view)
    for start in range(0, 9, size):
        part = StateFrame(view.vector[start : start + size], view.now[start : start + size], view.horizon)
        assert np.array_equal(churn_model.decide(part).probability, decided[start : start + size])
        assert np.array_equal(churn_model.score(part), scored[start : start + size])


def test_events_are_scored_nearly_as_decisions_are() -> None:
    churn_model, view = trained_model(), some_view()
    odds = [np.log(p / (1 - p)) for p in (churn_model.decide(view).probability, churn_model.score(view))]
    assert np.abs(odds[0] - odds[1]).max() < 2 * LIMIT * churn_model.shares()["tree"] + 1e-9


@pytest.mark.parametrize("imported", [{}, {"bayes": -3.0}, {"bayes": -3.0, "forest": 5.0}])
def test_the_returns_that_are_expected_are_those_of_the_ensemble(imported: dict[str, float]) -> None:
    added = tuple(ExpertSpec(name, f"river.{name}.Model") for name in imported)
    log_odds = np.array([[*np.zeros(len(DEFAULT)), *imported.values(), 1.0]])
    (stored,) = LogOddsColumns((*DEFAULT, *added)).pack(log_odds, np.zeros(1))
    noted = Cohorts()
    noted.record_decisions([Pending("c", 0, log_odds=stored.tobytes())])
    assert noted.expected == {0: pytest.approx(1.0 / (1.0 + np.e), abs=1e-9)}


def test_returns_reach_the_nowcast() -> None:
    churn_model = ChurnModel(20 * DAY_US, 2 * DAY_US, 1)
    rows = rows_of(np.random.default_rng(1), 50)
    matured = matured_rows(churn_model, rows, np.zeros(50, dtype=np.int8), T0, SHOP.horizon)
    noted = Cohorts()
    noted.record_decisions([one.pending for one in matured])
    noted.record_decisions([])
    noted.record_returns([Returned(T0 + 5, T0 + 5 + 3 * DAY_US)])
    noted.record_returns([])
    churn_model.record_cohorts(noted)
    churn_model.record_cohorts(Cohorts())
    assert churn_model._nowcast._returns[0].nonzero()[0].tolist() == [3]


def test_importances_name_what_was_learned() -> None:
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)
    assert set(churn_model.importances) == set(NAMES)
    train(churn_model, range(15))
    ranked = sorted(churn_model.importances, key=churn_model.importances.__getitem__, reverse=True)
    assert set(ranked[:3]) == {"recency", "recency_to_gap", "silence"}


def test_drift_is_detected() -> None:
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)
    rng = np.random.default_rng(3)
    for day in range(160):
        rows, labels = separable(rng, 10)
        matured = matured_rows(churn_model, rows, labels, T0 + day * DAY_US, SHOP.horizon)
        for one in matured:  # what was said at the time: sound for the first half, then the very opposite
            one.pending.probability = 0.8 if (one.label == 1) is (day < 60) else 0.2
        churn_model.learn_day(matured, T0 + day * DAY_US + SHOP.horizon)
    assert churn_model.drift
    assert churn_model.drift[0].at > T0 + 60 * DAY_US + SHOP.horizon
    assert churn_model.drift[0].after > churn_model.drift[0].before


def test_drift_has_the_level_before_and_after() -> None:
    watch = DriftWatch()
    for day in range(400):
        watch.observe(day * DAY_US, 0.4 if day < 200 else 0.6)
    (seen,) = watch.seen
    assert seen.before == pytest.approx(0.4)
    assert seen.after == pytest.approx(0.6)
    assert 200 * DAY_US < seen.at < 280 * DAY_US
    steady = DriftWatch()
    for day in range(400):
        steady.observe(day * DAY_US, 0.5 + 0.02 * (day % 2))
    assert steady.seen == []
