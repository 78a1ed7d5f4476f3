"""Statistics of a holdout: arms, adjusted effects, intervals that hold at every look, families, time to an answer."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import msgspec
import numpy as np
import pytest

from benchmarks.uplift_coverage import experiments, measure
from stream_app.core.units import DAY_US
from stream_app.core.uplift.betting import log_wealth, proportion_bounds, ratio_mismatch
from stream_app.core.uplift.families import shrunk
from stream_app.core.uplift.figures import MISMATCH, OTHERS, Subject, figures
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM, TREATED, Holdout, draw
from stream_app.core.uplift.intervals import LEAST, PLAIN, Boundary, clock_of, early_intervals, intervals
from stream_app.core.uplift.outlook import Forecast
from stream_app.core.uplift.regression import running_effect, unadjusted
from stream_app.errors import ContradictorySettings

HALF = Holdout(0.5, planned=1_000, later_share=0.5)
FALLS = Holdout(0.5, planned=1_000)


# --- arms -------------------------------------------------------------------------------------------------------------


def test_an_arm_depends_on_customer_and_experiment_alone() -> None:
    names = [f"c{number}" for number in range(20_000)]
    one, two = Holdout(0.2, "one"), Holdout(0.2, "two")
    arms = {name: one.arm(name, 5.0, complains=False) for name in names}
    assert arms == {name: one.arm(name, 900.0, complains=False) for name in reversed(names)}
    held_out = {name for name in names if arms[name] == HELD_OUT}
    assert abs(len(held_out) / len(names) - 0.2) < 0.01
    again = sum(two.arm(name, 5.0, complains=False) == HELD_OUT for name in held_out)
    assert abs(again / len(held_out) - 0.2) < 0.03  # another experiment draws again
    assert draw("customer-1", "calls") == pytest.approx(0.0798036, abs=1e-6)  # written down once


def test_complaints_and_the_best_customers_are_exempt() -> None:
    holdout = Holdout(0.999_999, exempt_worth_above=100.0)
    assert holdout.arm("c", 100.0, complains=False) == HELD_OUT
    assert holdout.arm("c", 100.01, complains=False) == NO_ARM
    assert holdout.arm("c", 1.0, complains=True) == NO_ARM
    assert Holdout(0.0).arm("c", 1.0, complains=False) == NO_ARM
    assert holdout.copies("c", 0, NO_ARM, 0.5) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("share", 1.0), ("share", -0.1), ("share", 0.01), ("experiment", " "), ("window", -1), ("planned", 0)],
)
def test_values_that_cannot_be_are_refused(name: str, value: object) -> None:
    with pytest.raises(ContradictorySettings, match=f"holdout.{name}"):
        msgspec.structs.replace(Holdout(0.2), **{name: value})


@pytest.mark.parametrize("share", [0.5, 0.4, 0.2, 0.07])
def test_held_out_customers_stand_for_all_who_were_drawn(share: float) -> None:
    holdout = Holdout(share)
    copies = [holdout.copies(f"c{number}", number * DAY_US, HELD_OUT, share) for number in range(20_000)]
    assert set(copies) <= {int(1.0 / share), int(1.0 / share) + 1}
    assert np.mean(copies) == pytest.approx(1.0 / share, rel=0.005)
    assert holdout.copies("c", 0, TREATED, share) == 0


# --- estimates --------------------------------------------------------------------------------------------------------


def test_the_effect_is_that_of_a_regression_with_interactions() -> None:
    treated, outcome, covariates = (one[0] for one in experiments(1, 1, 400, 0.3, 0.1))
    estimates = running_effect(treated, outcome, covariates)
    for count in (150, 400):
        seen, centred = treated[:count, None], covariates[:count] - covariates[:count].mean(axis=0)
        rows = np.hstack([np.ones((count, 1)), seen, centred, seen * centred])
        expected = np.linalg.lstsq(rows, outcome[:count], rcond=None)[0][1]
        assert estimates.effect[count - 1] == pytest.approx(expected, abs=1e-6)


def test_adjustment_narrows_and_the_standard_error_is_right() -> None:
    treated, outcome, covariates = experiments(2, 400, 1_000, 0.5, 0.05)
    estimates = running_effect(treated, outcome, covariates)
    effect, error = estimates.effect[:, -1], estimates.error[:, -1]
    assert effect.mean() == pytest.approx(0.05, abs=4 * effect.std() / 20)
    assert error.mean() == pytest.approx(effect.std(), rel=0.12)
    plain, plain_error = (one[:, -1] for one in unadjusted(estimates))
    assert effect.std() < plain.std()
    assert error.mean() < plain_error.mean()


def test_a_constant_covariate_does_no_harm() -> None:
    treated, outcome, covariates = (one[0] for one in experiments(3, 1, 300, 0.5, 0.0))
    constant = np.concatenate([covariates, np.ones((300, 1))], axis=-1)
    one, two = running_effect(treated, outcome, covariates), running_effect(treated, outcome, constant)
    assert two.effect[-1] == pytest.approx(one.effect[-1], abs=1e-6)
    assert np.isfinite(two.error[-1])


def test_a_share_that_falls_is_a_regression_with_a_level_for_each_share() -> None:
    shares = np.where(np.arange(600) < 400, 0.5, 0.2)
    treated, outcome, covariates = (one[0] for one in experiments(5, 1, 600, shares, 0.1, drift=0.3))
    estimates = running_effect(treated, outcome, covariates, shares)
    levels = np.stack([shares == 0.5, shares == 0.2], axis=-1).astype(float)
    rows, at = np.hstack([levels, covariates]), np.hstack([levels, covariates]).mean(axis=0)
    called, left = (
        np.linalg.lstsq(rows[arm], outcome[arm], rcond=None)[0] @ at for arm in (treated, np.logical_not(treated))
    )
    assert estimates.effect[-1] == pytest.approx(called - left, abs=1e-6)
    before = running_effect(treated[:400], outcome[:400], covariates[:400])
    assert estimates.effect[:400] == pytest.approx(before.effect)
    assert estimates.error[:400] == pytest.approx(before.error)
    assert estimates.error[400:420].max() < 1.1 * estimates.error[399]  # the first customers of a share do no harm


def test_customers_who_change_over_time_do_not_bias_the_effect_if_the_share_falls() -> None:
    shares = np.where(np.arange(1_500) < 500, 0.5, 0.2)
    treated, outcome, covariates = experiments(6, 300, 1_500, shares, 0.05, drift=0.4)
    right, wrong = (running_effect(treated, outcome, covariates, one) for one in (shares, None))
    effect, error = right.effect[:, -1], right.error[:, -1]
    assert effect.mean() == pytest.approx(0.05, abs=4 * effect.std() / 17)
    assert error.mean() == pytest.approx(effect.std(), rel=0.15)
    assert wrong.effect[:, -1].mean() > 0.07
    plain, plain_error = (one[:, -1] for one in unadjusted(right))
    assert plain.mean() == pytest.approx(0.05, abs=4 * plain.std() / 17)
    assert plain_error.mean() == pytest.approx(plain.std(), rel=0.15)


# --- intervals --------------------------------------------------------------------------------------------------------


def test_wealth_is_the_mean_of_all_bets() -> None:
    """A uniform mixture of the likelihoods of all proportions, divided by that of the one bet against."""
    successes, failures, proportion = 7, 3, 0.4
    expected = 1.0 / (11 * comb(10, 7)) / (proportion**successes * (1.0 - proportion) ** failures)
    found = log_wealth(np.array([7.0]), np.array([3.0]), proportion, (1.0, 1.0))
    assert np.exp(found[0]) == pytest.approx(expected)


@pytest.mark.parametrize("proportion", [0.02, 0.3, 0.9])
def test_a_betting_sequence_holds_at_every_look(proportion: float) -> None:
    outcomes = np.random.default_rng(1).random((2_000, 300)) < proportion
    successes, trials = np.cumsum(outcomes, axis=1).astype(float), np.arange(1.0, 301.0)
    wealth = log_wealth(successes, trials - successes, proportion, (0.5, 0.5))
    excluded = (wealth > np.log(20.0)).any(axis=1).mean()
    assert 0.005 < excluded <= 0.05
    lower, upper = proportion_bounds(successes[:50], np.broadcast_to(trials, (50, 300)), 0.05)
    outside = (lower > proportion) | (upper < proportion)
    assert (outside == (wealth[:50] > np.log(20.0))).all()


def test_the_split_of_the_arms_is_checked() -> None:
    drawn = np.random.default_rng(2).random((300, 2_000)) < 0.2
    assert max(ratio_mismatch(int(one.sum()), 2_000, 0.2) for one in drawn) < MISMATCH
    assert ratio_mismatch(500, 2_000, 0.2) > MISMATCH  # 25 % instead of 20 %
    assert ratio_mismatch(0, 10**6, 0.2) > MISMATCH


def test_the_width_is_least_where_planned_and_an_end_narrows_it() -> None:
    planned = float(HALF.planned)
    root = np.sqrt(np.array([0.2, 1.0, 5.0]))
    open_ended = Boundary(HALF).at(planned * root**2) / PLAIN
    assert open_ended[1] <= 1.55
    assert (open_ended >= open_ended[1] - 0.01).all()
    ending = Boundary(msgspec.structs.replace(HALF, ends=True))
    assert ending.at(planned) / PLAIN <= 1.2
    assert ending.at(planned / 4.0) == pytest.approx(2.0 * ending.at(planned))
    assert ending.at(9.0 * planned) == ending.at(planned)


def test_few_customers_give_wide_intervals_that_do_not_need_the_normal_approximation() -> None:
    treated, outcome, covariates = (one[0] for one in experiments(4, 1, 1_000, 0.2, 0.0))
    estimates = running_effect(treated, outcome, covariates)
    lower, upper = intervals(estimates, Holdout(0.2))
    called, left = estimates.arms
    start = int(np.flatnonzero(np.minimum(called.count, left.count) >= LEAST)[0])
    assert lower[0] <= -0.99
    assert upper[0] >= 0.99
    assert (lower <= 0.0).all()
    assert (upper >= 0.0).all()
    assert upper[start] - lower[start] < upper[start - 1] - lower[start - 1]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("effect", [0.0, 0.05])
def test_intervals_rarely_exclude_the_truth_at_any_look(effect: float, ends: bool) -> None:
    found = measure(HALF if not ends else msgspec.structs.replace(HALF, ends=True), effect, 100)
    assert found.covered >= 0.90
    assert found.plain_covered < found.covered
    assert found.width <= (1.2 if ends else 1.55)


def test_time_is_the_number_of_customers_until_the_share_falls_and_then_runs_faster() -> None:
    shares = np.where(np.arange(1_500) < 1_000, 0.5, 0.2)
    treated, outcome, covariates = (one[0] for one in experiments(7, 1, 1_500, shares, 0.0))
    passed = clock_of(running_effect(treated, outcome, covariates, shares).strata)
    assert passed[:1_000].tolist() == list(range(1, 1_001))
    assert passed[-1] == pytest.approx(1_000 + 500 * 0.25 / 0.16)
    assert Boundary(FALLS).clock(1_500) == pytest.approx(passed[-1])
    assert Boundary(HALF).clock(1_500) == 1_500


def test_few_customers_are_compared_within_each_share() -> None:
    """None of either share differs between the arms; as a whole, those called seem to order far more often."""
    shares = np.where(np.arange(400) < 200, 0.5, 0.1)
    treated = np.where(np.arange(400) < 200, np.arange(400) % 2 == 0, np.arange(400) % 10 > 0)
    outcome = (np.arange(400) >= 200).astype(float)
    estimates = running_effect(treated, outcome, np.zeros((400, 1)), shares)
    assert unadjusted(estimates)[0][-1] == 0.0
    lower, upper = early_intervals(estimates.strata)
    assert lower[-1] < 0.0 < upper[-1]


@pytest.mark.parametrize("ends", [False, True])
def test_rare_outcomes_wait_for_enough_of_them(ends: bool) -> None:
    """A hundred customers held out, of whom three order, say nothing about how often they do."""
    random = np.random.default_rng(8)
    treated, outcome = random.random((300, 2_000)) >= 0.2, random.random((300, 2_000)) < 0.03
    estimates = running_effect(treated, outcome.astype(float), random.random((300, 2_000, 1)))
    lower, upper = intervals(estimates, Holdout(0.2, ends=ends))
    assert ((lower > 0.0) | (upper < 0.0)).any(axis=1).mean() <= 0.03


# --- families, outlook, figures ---------------------------------------------------------------------------------------


def test_families_move_to_the_mean_as_far_as_chance_explains_them() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(0.05, 0.04, 400)
    errors = random.uniform(0.02, 0.08, 400)
    seen = truth + random.normal(0.0, errors)
    effects, left = shrunk(seen, errors)
    assert ((effects - truth) ** 2).mean() < 0.7 * ((seen - truth) ** 2).mean()
    assert np.abs(effects - truth).mean() == pytest.approx(np.sqrt(2 / np.pi) * left.mean(), rel=0.2)
    alone, error = shrunk(np.array([0.3]), np.array([0.1]))
    assert (alone[0], error[0]) == (pytest.approx(0.3), pytest.approx(0.1))


def test_a_larger_effect_is_shown_sooner_and_a_small_one_not_within_two_years() -> None:
    forecast = Forecast(Boundary(Holdout(0.2, planned=2_000)), 1.0, 500, 500.0, 10.0)
    waits = [forecast.days_to_answer(effect) for effect in (0.3, 0.15, 0.1, 0.01)]
    assert waits[3] is None
    assert waits[:3] == sorted(one for one in waits[:3] if one is not None)
    assert waits[2] is not None
    assert forecast.detectable(waits[2]) <= 0.1
    assert forecast.detectable(waits[2] - 1.0) > 0.1


def shop(count: int, effect: float, holdout: Holdout) -> list[Subject]:
    random = np.random.default_rng(6)
    subjects = []
    for number in range(count):
        name, lost = f"c{number}", float(random.random())
        arm = holdout.arm(name, 0.0, complains=False)
        ordered = bool(random.random() < 0.5 - 0.4 * lost + effect * (arm == TREATED))
        family = "price" if number % 3 else "forgot_shop"
        channel = "phone" if number % 2 else "sms"
        measure = f"{family}.vip" if number % 4 == 0 else family
        bought = Subject(name, arm, number * DAY_US, lost, 30.0, family, ordered, 40.0 * ordered)
        subjects.append(replace(bought, measure=measure, channel=channel))
    return subjects


def test_the_figures_tell_an_effect_from_none() -> None:
    holdout = Holdout(0.5, planned=1_000)
    now = 5_000 * DAY_US
    found = figures(shop(2_000, 0.2, holdout), holdout, 60 * DAY_US, now)
    assert found.effect is not None
    assert found.placebo is not None
    assert found.outlook is not None
    assert 0.0 < found.effect.lower < 0.2 < found.effect.upper
    assert found.placebo.lower < 0.0 < found.placebo.upper
    assert found.outlook.answer
    assert found.outlook.days == 0.0
    assert found.mismatch < MISMATCH
    assert [one.family for one in found.families] == ["price", "forgot_shop"]
    assert {one.family for one in found.measures} == {"price", "price.vip", "forgot_shop", "forgot_shop.vip"}
    assert [(one.family, one.customers) for one in found.channels] == [("phone", 1_000), ("sms", 1_000)]
    assert all(abs(one.effect - 0.2) < 4 * one.error for one in (*found.measures, *found.channels))
    assert sum(one.customers for one in found.arms) == found.drawn == 2_000
    held_out = found.arms[1].customers
    assert found.cost == pytest.approx(found.effect.effect * held_out * 40.0)
    none = figures(shop(2_000, 0.0, holdout), holdout, 60 * DAY_US, now)
    assert none.effect is not None
    assert none.effect.lower < 0.0 < none.effect.upper


def test_families_with_few_customers_count_as_one() -> None:
    subjects = [
        replace(one, family=f"rare {place % 10}" if place < 100 else "price")
        for place, one in enumerate(shop(1_000, 0.2, HALF))
    ]
    found = figures(subjects, HALF, 60 * DAY_US, 5_000 * DAY_US)
    assert [(one.family, one.customers) for one in found.families] == [("price", 900), (OTHERS, 100)]
    few = figures(subjects[:110], HALF, 60 * DAY_US, 5_000 * DAY_US)
    assert few.families == []  # none is large enough to be compared with the rest


def test_each_draw_has_its_own_share_and_the_split_is_checked_by_it() -> None:
    early, later = Holdout(0.5, planned=1_000), Holdout(0.2)
    subjects = [replace(one, share=0.5) for one in shop(1_000, 0.2, early)]
    subjects += [
        replace(one, customer=f"{one.customer}b", drawn_at=one.drawn_at + 1_000 * DAY_US, share=0.2)
        for one in shop(1_000, 0.2, later)
    ]
    found = figures(subjects, early, 60 * DAY_US, 5_000 * DAY_US)
    assert [(one.share, one.drawn) for one in found.shares] == [(0.5, 1_000), (0.2, 1_000)]
    assert found.mismatch < MISMATCH
    assert found.effect is not None
    assert found.effect.lower < 0.2 < found.effect.upper
    by_hand = msgspec.structs.replace(later, planned=1_000)  # somebody lowered the share in the policy
    assert figures(subjects, by_hand, 60 * DAY_US, 5_000 * DAY_US) == found
    as_one = [replace(one, share=0.0) for one in subjects]  # as if all had been drawn at the first share
    assert figures(as_one, early, 60 * DAY_US, 5_000 * DAY_US).mismatch > MISMATCH


def test_only_customers_whose_window_has_ended_count() -> None:
    subjects = shop(300, 0.2, HALF)
    found = figures(subjects, HALF, 60 * DAY_US, 200 * DAY_US)
    assert found.drawn == 300
    assert found.waiting == sum(one.drawn_at > 140 * DAY_US for one in subjects) == 159
    nothing = figures(subjects, HALF, 60 * DAY_US, 0)
    assert (nothing.effect, nothing.cost, nothing.outlook, nothing.families) == (None, None, None, [])
    alike = [replace(one, ordered=True) for one in subjects[:30]]
    found = figures(alike, HALF, 60 * DAY_US, 200 * DAY_US)
    assert found.outlook is None
    assert found.effect is not None
    assert found.effect.lower < found.effect.effect == 0.0 < found.effect.upper
    broken = [replace(one, arm=TREATED) for one in subjects]
    assert figures(broken, HALF, 60 * DAY_US, 10**15).mismatch > MISMATCH
