"""The accuracy of predictions is measured against what customers did, whatever the log has cut off."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.replay.customer_value import coverage, figures, gini
from benchmarks.replay.ledger import Ledger

LEDGER = Ledger(
    [("b", 5.0, 50.0, True), ("a", 1.0, 10.0, True), ("a", 3.0, -4.0, False), ("a", 9.0, 20.0, True)],
    ["a", "a", "b"],
)


def test_spend_is_net_and_begins_after_the_decision() -> None:
    day = np.array([1.0, 0.5, 4.0])
    assert LEDGER.spent(day, day + 4.5).tolist() == [-4.0, 6.0, 50.0]


def test_money_that_is_given_back_is_no_order() -> None:
    assert LEDGER.until_order(np.array([1.0, 9.0, 4.0])).tolist() == [8.0, np.inf, 1.0]


def test_coverage_leaves_out_what_the_end_of_the_log_hides() -> None:
    """Three orders, of which one is early; then one customer without an order whose interval has not ended."""
    until_order, until_end = np.array([5.0, 1.0, 30.0, np.inf]), np.array([99.0, 99.0, 99.0, 4.0])
    known, everyone = coverage(until_order, until_end, np.array([2.0, 2.0, 2.0, 9.0]), np.full(4, np.inf))
    assert known == pytest.approx(2 / 3)
    assert everyone == pytest.approx(3 / 4)


def test_whoever_has_not_ordered_when_the_interval_ends_is_not_covered() -> None:
    known, everyone = coverage(np.array([np.inf]), np.array([50.0]), np.array([2.0]), np.array([20.0]))
    assert known == everyone == 0.0


def test_a_perfect_order_has_the_largest_gini_and_a_constant_almost_none() -> None:
    spent = np.random.default_rng(1).exponential(1.0, 5_000)
    assert gini(spent, spent) > gini(spent, np.round(spent)) > 0.4
    assert abs(gini(spent, np.zeros(5_000))) < 0.02
    assert "1.0000" in figures("perfect", spent, spent)
