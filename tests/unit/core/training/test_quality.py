"""The quality of the model as the trainer tells of it, against the figures of all rows at once."""

from __future__ import annotations

import copy
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stream_app.core.expert_spec import BUILT_IN, DEFAULT, ExpertSpec
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.drift import DriftWatch
from stream_app.core.model.evaluation_metrics import Scored, brier, ece, lift, log_loss, precision_at, roc_auc
from stream_app.core.model.experts.expert import probability_of
from stream_app.core.model.labels import CHURNED, Matured
from stream_app.core.model.scores import LogOddsColumns
from stream_app.core.training import quality as quality_module
from stream_app.core.training.quality import ALL, PRODUCT, RECENT, RECENT_DAYS, Figures, Quality, Sample, row_type
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import DAY_US
from stream_app.metrics.trainer import QualityMetrics
from stream_app.services.trainer.quality_publisher import QualityPublisher
from tests.harness.shops import SHOP, T0, matured_rows, separable, trained_model

CAPACITY = 7
DAYS = 40
FIRST_DAY = T0 // DAY_US
BAYES = ExpertSpec("bayes", "river.naive_bayes.GaussianNB")


def day_of_rows(day: int, rows: int = 40) -> list[Matured]:
    """A day's decisions with their labels."""
    drawn, labels = separable(np.random.default_rng([3, day]), rows)
    return matured_rows(trained_model(), drawn, labels, T0 + day * DAY_US, SHOP.horizon)


def kept(days: range) -> tuple[Quality, list[Matured]]:
    quality, every = Quality(DEFAULT, CAPACITY), list[Matured]()
    for day in days:
        matured = day_of_rows(day)
        quality.add(matured)
        every += matured
    return quality, every


def by_hand(matured: list[Matured], scorer: str) -> Figures:
    churned = np.array([one.label == CHURNED for one in matured])
    if scorer == PRODUCT:
        said = np.array([one.pending.probability for one in matured], dtype=np.float32).astype(np.float64)
    else:
        place = trained_model().names.index(scorer)
        said = probability_of(
            np.array([np.frombuffer(one.pending.log_odds, np.float16)[place] for one in matured], dtype=np.float64)
        )
    scored = Scored(churned, said)
    day = np.array([one.pending.decided_at // DAY_US for one in matured])
    return Figures(
        auc=roc_auc(scored),
        log_loss=log_loss(scored),
        brier=brier(scored),
        calibration_error=ece(scored),
        lift=lift(scored),
        precision=precision_at(scored, day, CAPACITY),
    )


@pytest.mark.parametrize("scorer", [PRODUCT, "mixture", "recency", "prior"])
def test_figures_are_those_of_all_decisions_while_all_are_kept(scorer: str) -> None:
    quality, every = kept(range(DAYS))
    recent = [one for one in every if one.pending.decided_at // DAY_US > FIRST_DAY + DAYS - 1 - RECENT_DAYS]
    for window, matured in ((ALL, every), (RECENT, recent)):
        found, expected = quality.figures(scorer, window), by_hand(matured, scorer)
        assert found is not None
        for name in ("log_loss", "brier", "auc", "calibration_error", "lift"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9), name
        # Equal scores (float16) of one day are put in a random order, which is another one over many days.
        tolerance = 1e-9 if scorer == PRODUCT else 0.02
        assert found.precision == pytest.approx(expected.precision, abs=tolerance)
        sums = quality.sums(window)
        assert sums is not None
        assert (sums.examples, sums.churned) == (len(matured), sum(one.label == CHURNED for one in matured))


def test_the_tenths_are_promise_and_outcome() -> None:
    quality, every = kept(range(20))
    tenths = quality.tenths(ALL)
    assert len(tenths) == 10
    assert [promised for promised, _ in tenths] == sorted(promised for promised, _ in tenths)
    measured = sum(measured for _, measured in tenths) / 10
    assert measured == pytest.approx(sum(one.label == CHURNED for one in every) / len(every))


def test_too_few_of_one_outcome_give_no_auc_but_a_loss() -> None:
    quality = Quality(DEFAULT, CAPACITY)
    assert quality.figures(PRODUCT, ALL) is None
    quality.add([one for one in day_of_rows(0) if one.label == CHURNED])
    found = quality.figures(PRODUCT, ALL)
    assert found is not None
    assert (found.auc, found.lift, found.calibration_error) == (None, None, None)
    assert found.log_loss > 0
    assert quality.tenths(ALL) == []


def test_the_sample_is_bounded_uniform_and_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_module, "ROWS", 500)
    rows = np.zeros(4_000, dtype=row_type(1))
    rows["key"] = np.random.default_rng(1).integers(0, 1 << 32, len(rows))
    rows["day"] = np.arange(len(rows)) // 100
    forth, back = Sample(1), Sample(1)
    for start in range(0, len(rows), 100):
        forth.add(rows[start : start + 100])
        back.add(rows[::-1][start : start + 100])
    assert 250 < len(forth.rows) <= 500
    assert sorted(forth.rows["key"]) == sorted(back.rows["key"])
    assert forth.bar == back.bar
    assert abs(float(forth.rows["day"].mean()) - 19.5) < 2.0  # days are in it by their sizes
    forth.forget_before(30)
    assert set(forth.rows["day"].tolist()) <= set(range(30, 40))


def test_a_checkpoint_brings_all_of_it_back() -> None:
    whole, _ = kept(range(12))
    first, _ = kept(range(5))
    again = Quality(DEFAULT, CAPACITY)
    again.restore(first.stored())
    for day in range(5, 12):
        again.add(day_of_rows(day))
    assert again.stored() == whole.stored()
    for window in (RECENT, ALL):
        assert again.figures("linear", window) == whole.figures("linear", window)


def test_nothing_is_restored_from_nothing() -> None:
    empty = Quality(DEFAULT, CAPACITY)
    empty.restore(b"")
    assert empty.sums(ALL) is None


def test_experts_that_stay_keep_their_figures_and_new_ones_begin_without() -> None:
    before, matured = kept(range(8))
    experts = (BUILT_IN["tree"], BAYES, BUILT_IN["linear"])
    after = Quality(experts, CAPACITY)
    after.restore(before.stored())
    for window in (RECENT, ALL):
        for scorer in ("product", "linear", "tree", "mixture"):
            assert after.figures(scorer, window) == before.figures(scorer, window) is not None
        assert after.figures("bayes", window) is None
    # A day of decisions that it has scored: its figures are those of this day.
    packed = LogOddsColumns(experts).pack(np.tile([0.5, -1.0, 0.25, 1.0], (40, 1)), np.zeros(40))
    day = day_of_rows(9)
    after.add(
        [
            replace(one, pending=msgspec.structs.replace(one.pending, log_odds=row.tobytes()))
            for one, row in zip(day, packed, strict=True)
        ]
    )
    found, sums = after.figures("bayes", ALL), after.sums(ALL)
    labels = np.array([one.label for one in day])
    assert found is not None
    assert found.log_loss == pytest.approx(np.logaddexp(0.0, np.where(labels == 1, 1.0, -1.0)).mean(), abs=1e-6)
    assert sums is not None
    every = len(matured) + len(day)
    assert sums.scored == [every, every, len(day), every, every]


def test_an_expert_with_other_arguments_is_a_new_one() -> None:
    first = Quality((BUILT_IN["linear"], BAYES), CAPACITY)
    first.add(day_of_rows(1))
    again = Quality((BUILT_IN["linear"], msgspec.structs.replace(BAYES, features=("recency",))), CAPACITY)
    again.restore(first.stored())
    assert again.figures("bayes", ALL) is None
    assert again.figures("linear", ALL) == first.figures("linear", ALL) is not None


def test_the_trainers_checkpoint_holds_it() -> None:
    training = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, seed=1), 2, SHOP.horizon, CAPACITY)
    training.quality.add(day_of_rows(1))
    again = Trainer.restored(training.checkpoint(), 2, SHOP.horizon, CAPACITY)
    assert again.quality.stored() == training.quality.stored()


def test_what_is_told_is_what_was_found() -> None:
    training = Trainer(trained_model(), 2, SHOP.horizon, CAPACITY)
    for day in range(10):
        training.quality.add(day_of_rows(day))
    training.through = T0
    registry = CollectorRegistry()
    watch = QualityPublisher(QualityMetrics(registry))
    looks = 0
    while registry.get_sample_value("churn_quality_predicted_ratio", {"tenth": "10", "window": "all"}) is None:
        watch.update(training)
        looks += 1
        assert looks < 50
    figures = training.quality.figures("recency", ALL)
    assert figures is not None
    told = registry.get_sample_value("churn_quality_auc_ratio", {"scorer": "recency", "window": "all"})
    assert told == figures.auc
    assert registry.get_sample_value("churn_quality_examples", {"window": "28d"}) == 400
    for name, share in trained_model().shares().items():
        assert registry.get_sample_value("churn_model_expert_share_ratio", {"scorer": name}) == share


def test_the_present_log_loss_is_told_before_any_change_and_beside_it() -> None:
    training = Trainer(copy.deepcopy(trained_model()), 2, SHOP.horizon, CAPACITY)
    watch = training.churn_model._drift = DriftWatch()
    for day in range(100):
        watch.observe(day, 0.3)
    assert drift_told(training) == {"now": pytest.approx(0.3)}
    days, loss = training.churn_model.drift_window
    assert (days, round(loss, 9)) == (100, 0.3)
    for day in range(100, 200):
        watch.observe(day, 0.8)
    told = drift_told(training)
    assert told["before"] < told["after"] <= told["now"] == training.churn_model.drift_window[1]
    assert training.churn_model.drift_window[0] < 200


def drift_told(training: Trainer) -> dict[str, float]:
    registry = CollectorRegistry()
    for _ in QualityPublisher(QualityMetrics(registry))._publish(training):
        pass
    (family,) = [one for one in registry.collect() if one.name == "churn_model_drift_log_loss_nats"]
    return {sample.labels["side"]: sample.value for sample in family.samples}
