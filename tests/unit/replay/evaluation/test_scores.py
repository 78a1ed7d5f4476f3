"""Metrics of probabilities, against scikit-learn, known values and invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn import metrics as sk

from stream_app.core.model.evaluation_metrics import (
    Scored,
    ascending,
    brier,
    ece,
    lift,
    log_loss,
    pr_auc,
    precision_at,
    roc_auc,
    wilson,
)
from stream_app.replay.evaluation.intervals import auc_difference, auc_influence, auc_interval, share_interval


def drawn(n: int, seed: int, digits: int | None = None) -> Scored:
    """Return outcomes that follow their probabilities; few digits give many ties."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 2, n)
    y = rng.random(n) < p
    return Scored(y, p if digits is None else p.round(digits))


@pytest.mark.parametrize("digits", [None, 2, 1])
def test_the_figures_are_those_of_scikit_learn(digits: int | None) -> None:
    s = drawn(3000, 1, digits)
    assert roc_auc(s) == pytest.approx(sk.roc_auc_score(s.churned, s.probability), abs=1e-12)
    assert pr_auc(s) == pytest.approx(sk.average_precision_score(s.churned, s.probability), abs=1e-12)
    clipped = np.clip(s.probability, 1e-6, 1 - 1e-6)
    assert log_loss(s) == pytest.approx(sk.log_loss(s.churned, clipped), abs=1e-12)
    assert brier(s) == pytest.approx(sk.brier_score_loss(s.churned, clipped), abs=1e-12)


def test_known_values() -> None:
    s = Scored(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1]))
    assert roc_auc(s) == 0.75
    assert pr_auc(s) == pytest.approx((1 + 2 / 3) / 2)
    assert lift(s, 0.25) == 2.0
    assert ece(s, bins=2) == pytest.approx(abs(0.5 - 0.2) / 2 + abs(0.5 - 0.85) / 2)
    assert brier(s) == pytest.approx((0.01 + 0.64 + 0.49 + 0.01) / 4)


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    assert log_loss(Scored(np.array([True]), np.array([0.0]))) == pytest.approx(-np.log(1e-6))


@pytest.mark.parametrize("churned", [[True, True], [False, False], []])
def test_ranking_metrics_need_both_outcomes(churned: list[bool]) -> None:
    s = Scored(np.array(churned, bool), np.linspace(0.1, 0.9, len(churned)))
    assert all(np.isnan(f(s)) for f in (roc_auc, pr_auc, lift))
    assert all(np.isnan(auc_interval(s, np.arange(len(churned)))))


@given(st.integers(0, 10_000), st.sampled_from([None, 1, 2]))
def test_ranking_figures_ignore_a_rising_change_of_scale(seed: int, digits: int | None) -> None:
    s = drawn(200, seed, digits)
    squeezed = Scored(s.churned, s.probability**3 / 2)
    assert roc_auc(squeezed) == pytest.approx(roc_auc(s), nan_ok=True)
    assert pr_auc(squeezed) == pytest.approx(pr_auc(s), nan_ok=True)
    assert lift(squeezed) == pytest.approx(lift(s), nan_ok=True)


@given(st.integers(0, 10_000))
def test_inverting_the_outcomes_mirrors_the_auc(seed: int) -> None:
    s = drawn(200, seed, 1)
    assert roc_auc(Scored(~s.churned, 1 - s.probability)) == pytest.approx(roc_auc(s), nan_ok=True)
    assert roc_auc(Scored(s.churned, 1 - s.probability)) == pytest.approx(1 - roc_auc(s), nan_ok=True)


def test_ties_do_not_depend_on_the_order_of_rows() -> None:
    """Sorted by outcome within ties, a stable sort would leak the outcome."""
    churned = np.repeat([False, True], 500)
    assert 0.8 < lift(Scored(churned, np.full(1000, 0.5))) < 1.2
    assert sorted(ascending(np.full(9, 0.5)).tolist()) == list(range(9))


def test_calibration_error_is_zero_for_what_comes_true_and_the_shift_for_what_does_not() -> None:
    p = np.repeat([0.2, 0.6], 500)
    churned = np.concatenate((np.arange(500) < 100, np.arange(500) < 300))
    assert ece(Scored(churned, p), bins=2) == pytest.approx(0, abs=1e-12)
    assert ece(Scored(churned, p + 0.1), bins=2) == pytest.approx(0.1)


def test_precision_at_capacity_counts_each_day_separately() -> None:
    s = Scored(np.array([True, False, True, False, True]), np.array([0.9, 0.2, 0.1, 0.05, 0.8]))
    day = np.array([0, 0, 1, 1, 2])
    assert precision_at(s, day, 1) == 1.0
    assert precision_at(s, day, 2) == 3 / 5
    assert precision_at(s, np.zeros(5, np.int64), 3) == 2 / 3


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_influences_on_the_auc_sum_to_nothing() -> None:
    assert auc_influence(drawn(500, 3, 1)).sum() == pytest.approx(0, abs=1e-12)


def test_the_interval_of_the_auc_is_the_bootstraps() -> None:
    s, customer = clustered(400, 5)
    low, high = auc_interval(s, customer)
    rng = np.random.default_rng(0)
    rows_of = [np.flatnonzero(customer == c) for c in range(400)]
    draws = []
    for _ in range(300):
        rows = np.concatenate([rows_of[c] for c in rng.integers(0, 400, 400)])
        draws.append(roc_auc(Scored(s.churned[rows], s.probability[rows])))
    assert (high - low) / 2 / 1.96 == pytest.approx(np.std(draws), rel=0.15)


def clustered(customers: int, each: int) -> tuple[Scored, Any]:
    """Return customers whose decisions have almost the same outcome and score."""
    rng = np.random.default_rng(8)
    score = np.repeat(rng.random(customers), each)
    churned = np.repeat(rng.random(customers) < 0.3 + 0.4 * score[::each], each)
    return Scored(churned, score + rng.normal(0, 0.02, len(score))), np.repeat(np.arange(customers), each)


def test_repeated_decisions_do_not_narrow_the_interval() -> None:
    once, customer = clustered(400, 1)
    many = Scored(np.repeat(once.churned, 8), np.repeat(once.probability, 8))
    assert auc_interval(many, np.repeat(customer, 8)) == pytest.approx(auc_interval(once, customer), abs=1e-9)
    counted_alone = auc_interval(many, np.arange(len(many.churned)))
    assert counted_alone[1] - counted_alone[0] < 0.5 * np.diff(auc_interval(once, customer))[0]
    wide, narrow = share_interval(many.churned, np.repeat(customer, 8)), share_interval(once.churned, customer)
    assert wide == pytest.approx(narrow, abs=0.002)


def test_a_score_is_not_better_than_itself_and_surely_better_than_noise() -> None:
    s = drawn(2000, 4)
    customer = np.arange(2000)
    assert auc_difference(s, s, customer) == (0, 0, 0)
    noise = Scored(s.churned, np.random.default_rng(1).random(2000))
    difference, low, high = auc_difference(s, noise, customer)
    assert 0 < low < difference < high


def test_wilson_keeps_within_zero_and_one() -> None:
    assert wilson(0.0, 20) == pytest.approx((0, 0.161), abs=1e-3)
    assert wilson(1.0, 20) == pytest.approx((0.839, 1), abs=1e-3)
    assert share_interval(np.ones(20, bool), np.arange(20)) == pytest.approx((0.839, 1), abs=1e-3)
