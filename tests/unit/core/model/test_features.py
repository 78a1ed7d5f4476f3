"""State frame, features, prior and lifecycle stages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import CustomerEvent
from stream_app.core.model.bg_nbd import LIMIT as PRIOR_LIMIT, bg_nbd_log_odds
from stream_app.core.model.features import FEATURES, LIMIT, LINEAR, NAMES, features
from stream_app.core.segments import lifecycle_stage
from stream_app.core.state.frame import LONG_AGO, StateFrame
from stream_app.core.state.update import apply_event
from stream_app.core.state.vector import SLOTS, StateVector, new_vector
from stream_app.core.units import DAY_US
from tests.harness.shops import T0, browsing, cart, complaint, logs, order

HORIZON = 60.0
DAY0 = T0 / DAY_US


def facts_of(events: Sequence[CustomerEvent]) -> StateVector[float]:
    vector = new_vector()
    for event in events:
        apply_event(vector, event, event.at, event.at // DAY_US, event.__struct_config__.tag == "order")
    return vector


def bought(*days: float, amount: float = 10.0) -> StateVector[float]:
    return facts_of([order("c", T0 + round(day * DAY_US), amount=amount) for day in days])


def view_of(*vector: StateVector[float], now: float) -> StateFrame:
    """Return the frame of customers a number of days after T0."""
    return StateFrame(np.array(vector), np.full(len(vector), DAY0 + now), HORIZON)


def valued(vector: StateVector[float], now: float) -> dict[str, float]:
    return dict(zip(NAMES, features(view_of(vector, now=now))[0].astype(float).tolist(), strict=True))


# --- the view --------------------------------------------------------------------------------------------------------


def test_a_frame_has_days_and_gaps() -> None:
    view = view_of(bought(0, 10, 30, 70), now=100)
    found = [view.recency, view.age, view.span, view.order_days, view.repeats, view.mean_gap, view.last_gap]
    assert [float(column[0]) for column in found] == [30.0, 100.0, 70.0, 4.0, 3.0, 70 / 3, 40.0]
    assert view.gap_deviation[0] == pytest.approx(np.std([10, 20, 40]))
    assert view.log_gap[0] == pytest.approx((math.log(10) + math.log(20) + math.log(40) + math.log(60)) / 4)
    assert (view.longer_gaps[0], view.gaps_ending_within_horizon[0]) == (1.0, 1.0)
    assert view_of(bought(0, 10, 110), now=115).gaps_ending_within_horizon[0] == 1.0  # that of 10 days, not of 100


def test_silence_ends_with_any_event_and_never_counts_as_long_ago() -> None:
    view = view_of(facts_of([order("c", T0), browsing("c", T0 + 5 * DAY_US)]), now=9)
    assert (view.recency[0], view.silence[0]) == (9.0, 4.0)
    assert view.days_since("last_browsing")[0] == 4.0
    assert view.days_since("last_cart")[0] == LONG_AGO


def test_vectors_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        StateFrame(np.zeros((2, len(SLOTS) - 1)), np.zeros(2), HORIZON)


# --- features --------------------------------------------------------------------------------------------------------


@given(logs(customers=1, max_size=15), st.floats(0.0, 3000.0))
def test_features_are_finite_and_bounded_whatever_happened(events: list[CustomerEvent], later: float) -> None:
    view = StateFrame(np.array([facts_of(events)]), np.array([events[-1].at / DAY_US + later]), HORIZON)
    with np.errstate(all="raise", under="ignore"):
        table = features(view)
    assert table.dtype == np.float16
    assert np.isfinite(table).all()
    assert np.abs(table).max() <= LIMIT
    assert np.isfinite(bg_nbd_log_odds(view)).all()


def test_a_new_customer_has_features() -> None:
    assert np.isfinite(features(view_of(new_vector(), now=0))).all()


def test_features_reflect_a_customers_own_pace() -> None:
    found = valued(bought(0, 10, 20, 30), now=60)
    assert found["recency"] == pytest.approx(math.log1p(30), rel=1e-3)
    assert found["recency_to_gap"] == pytest.approx(math.log1p(3), rel=1e-3)
    assert found["mean_gap"] == pytest.approx(math.log1p(10), rel=1e-3)
    assert found["gap_deviation"] == 0.0
    assert (found["one_time"], found["second_order"]) == (0.0, 0.0)
    assert valued(bought(0), now=5)["one_time"] == 1.0
    assert valued(bought(0, 3), now=5)["second_order"] == 1.0
    overdue, on_time = valued(bought(0, 10, 20, 30), now=60), valued(bought(0, 10, 20, 30), now=31)
    for name in ("recency_to_gap", "expected_orders", "gap_score", "expected_repeats"):
        assert overdue[name] > on_time[name], name
    assert overdue["longer_gaps"] < on_time["longer_gaps"]


def test_features_reflect_trouble() -> None:
    calm = bought(0, 10)
    troubled = facts_of([
        order("c", T0, amount=10.0),
        order("c", T0 + 10 * DAY_US, amount=10.0),
        cart("c", T0 + 11 * DAY_US, action="payment_failed"),
        complaint("c", T0 + 11 * DAY_US, complaint_id="a"),
        complaint("c", T0 + 12 * DAY_US, complaint_id="b"),
        complaint("c", T0 + 13 * DAY_US, complaint_id="b", action=ComplaintAction.RESOLVED),
    ])  # fmt: skip
    quiet, loud = valued(calm, now=15), valued(troubled, now=15)
    assert (quiet["open_complaints"], loud["open_complaints"]) == (0.0, 1.0)
    assert quiet["open_complaint_age"] == 0.0
    assert loud["open_complaint_age"] == pytest.approx(math.log1p(5), rel=1e-3)
    assert loud["checkout_loss"] > quiet["checkout_loss"] == 0.0
    assert loud["complaint_90d"] > quiet["complaint_90d"] == 0.0


def test_features_of_the_linear_expert_do_not_depend_on_the_calendar() -> None:
    """The same events a thousand days later give the same row."""
    days = (0, 4, 9, 30)
    later = facts_of([order("c", T0 + (day + 1000) * DAY_US, amount=10.0) for day in days])
    first, second = features(view_of(bought(*days), now=40)), features(view_of(later, now=1040))
    np.testing.assert_array_equal(first, second)


def test_every_feature_has_a_name_a_unit_and_a_meaning_in_both_languages() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for feature in FEATURES:
        assert feature.unit
        assert feature.meaning
        assert feature.meaning_zh
        assert feature.needs.split(".")[0] in ("order", "browsing", "cart", "complaint")
    assert {NAMES[place] for place in range(len(NAMES))} - {NAMES[place] for place in LINEAR} == {"age", "order_days"}


@given(st.integers(1, 40), st.sampled_from([1, 2, 3, 7]))
def test_rows_are_independent(count: int, size: int) -> None:
    rng = np.random.default_rng(count)
    vector = [bought(*np.cumsum(rng.uniform(0.1, 40.0, rng.integers(1, 9)))) for _ in range(count)]
    together = features(view_of(*vector, now=400.0))
    priors = bg_nbd_log_odds(view_of(*vector, now=400.0))
    for start in range(0, count, size):
        part = view_of(*vector[start : start + size], now=400.0)
        assert np.array_equal(features(part), together[start : start + size])
        assert np.array_equal(bg_nbd_log_odds(part), priors[start : start + size])


# --- the prior -------------------------------------------------------------------------------------------------------


def mbg_nbd(repeats: float, last: float, age: float) -> float:
    """Return the log-odds of no order within the horizon, by the formula of the paper."""
    alpha, pace, stay = 2.0 * HORIZON, 1.0 + repeats, 2.5 + repeats
    alive = 1.0 / (1.0 + ((alpha + age) / (alpha + last)) ** pace / stay)
    none = ((alpha + age) / (alpha + age + HORIZON)) ** pace
    churn = 1.0 - alive * (1.0 - none)
    return math.log(churn / (1.0 - churn))


@pytest.mark.parametrize(("days", "now"), [((0,), 1), ((0,), 300), ((0, 5, 9), 12), ((0, 5, 9), 200)])
def test_the_prior_is_that_of_the_paper(days: tuple[float, ...], now: float) -> None:
    found = bg_nbd_log_odds(view_of(bought(*days), now=now))[0]
    assert found == pytest.approx(mbg_nbd(len(days) - 1, days[-1], now), rel=1e-9)


def test_the_prior_gives_one_time_buyers_real_probabilities() -> None:
    for now in (1.0, 30.0, 180.0):
        assert -2.0 < bg_nbd_log_odds(view_of(bought(0.0), now=now))[0] < 3.0


def test_the_prior_rises_with_silence_within_its_limits() -> None:
    vector = bought(*range(0, 80, 2))
    said = [float(bg_nbd_log_odds(view_of(vector, now=now))[0]) for now in (78, 90, 120, 200, 400, 4000)]
    assert said == sorted(said)
    assert said[-1] == PRIOR_LIMIT


# --- the stages of a life --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "now", "stage"),
    [
        ((0,), 10, "new"),
        ((0,), 29.9, "new"),
        ((0,), 30, "one_time"),
        ((0, 20), 25, "growing"),
        ((0, 20, 40, 50), 52, "growing"),  # the last gap is short
        ((0, 20, 40, 60), 65, "stable"),
        ((0, 20, 40, 60), 91, "declining"),  # silent for longer than usual
        ((0, 10, 20, 60), 65, "declining"),  # the last gap was long
        ((0, 20, 40, 60), 241, "lost"),
        ((0,), 181, "lost"),
    ],
)
def test_the_stage_follows_a_customers_own_gaps(days: tuple[float, ...], now: float, stage: str) -> None:
    found = lifecycle_stage.stages(view_of(bought(*days), now=now), lost_after_days=180.0)
    assert lifecycle_stage.STAGES[int(found[0])] == stage
