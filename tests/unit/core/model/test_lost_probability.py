"""The lost probability: hazards are learned from steps that are counted once each, wherever batches are cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.arrays import Floats
from stream_app.core.events.schema import Event
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Pending
from stream_app.core.model.lost_probability import BINS, Ended, LostModel, StepCounts, StepGrid
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.quiet_customers import phase_of
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from tests.harness.shops import PLANNED, T0, browsing, logs, order, planning_model, run_log

SETTINGS = Settings(horizon=60 * DAY_US, decide_every=7 * DAY_US, lost_after=180 * DAY_US, rank_by="worth")
GRID = StepGrid.of(SETTINGS)


def decision(silent_days: float, probability: float, returned: bool = False) -> Pending:
    """A scored decision that has no features but the recency."""
    features = np.zeros(len(NAMES), dtype=np.float16)
    features[NAMES.index("recency")] = np.log1p(silent_days)
    return Pending("c", 0, features.tobytes(), b"", probability, returned=returned)


# --- the grid --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 90), st.integers(0, 90), st.integers(1, 800))
def test_steps_are_whole_periods_and_reach_from_the_decision_into_the_horizon(
    decide_every: int, longer: int, lost_after: int
) -> None:
    settings = msgspec.structs.replace(
        SETTINGS,
        decide_every=decide_every * DAY_US,
        horizon=(decide_every + longer) * DAY_US,
        lost_after=lost_after * DAY_US,
    )
    grid = StepGrid.of(settings)
    assert grid.step % settings.decide_every == 0
    assert 0 < grid.step <= grid.horizon
    assert grid.leads >= 1
    assert (grid.steps - 1) * grid.step < grid.lost_after <= grid.steps * grid.step


def test_steps_that_begin_after_the_customer_is_lost_are_ignored() -> None:
    counts = StepCounts()
    counts.record(GRID, [Ended(decision(170.0, 0.9), lead, returned=True) for lead in range(8)])
    assert sum(counts.ended.values()) == 2  # of 26 steps, the 25th and the 26th
    assert all(0 <= cell < GRID.cells for cell in counts.ended)


@pytest.mark.parametrize("probability", [0.0, 1e-9, 0.5, 1.0])
def test_any_probability_has_a_cell(probability: float) -> None:
    counts = StepCounts()
    counts.record(GRID, [Ended(decision(0.0, probability), 0, returned=False)])
    ((cell, ended, returned),) = counts.rows()
    assert 0 <= cell < BINS
    assert (ended, returned) == (1, 0)


# --- what is learned -------------------------------------------------------------------------------------------------


def test_an_untrained_model_returns_the_power_of_the_horizons_probability() -> None:
    silent_days, probability = np.array([0.0, 33.3, 120.0, 179.0, 180.0, 300.0]), np.full(6, 0.7)
    expected = 0.7 ** (np.maximum(180.0 - silent_days, 0.0) / 60.0)
    assert LostModel(GRID).probability(silent_days, probability) == pytest.approx(expected)


def survival(since: Floats, until: Floats) -> Floats:
    """Probability of no order between two times of silence, in days, if hazards fall with silence."""
    return np.exp(-1.2 * (np.exp(-since / 60.0) - np.exp(-until / 60.0)))


def simulated(customers: int, rng: np.random.Generator) -> StepCounts:
    """Count the steps of customers who were decided on every week until they returned."""
    weeks = 7.0 * np.arange(26.0)
    returns = rng.random((customers, 26)) > survival(weeks, weeks + 7.0)
    ended = []
    for returned_in in np.where(returns.any(axis=1), 7.0 * np.argmax(returns, axis=1), 1e9).tolist():
        for silent in weeks[weeks <= returned_in].tolist():
            pending = decision(silent, math.exp(-1.2 * (math.exp(-silent / 60.0) - math.exp(-(silent + 60.0) / 60.0))))
            leads = range(min(GRID.leads, 26 - round(silent / 7)))
            ended += [
                Ended(pending, lead, silent + 7 * lead == returned_in)
                for lead in leads
                if silent + 7 * lead <= returned_in
            ]
    counts = StepCounts()
    counts.record(GRID, ended)
    return counts


def test_hazards_that_fall_with_silence_are_learned() -> None:
    rng, model = np.random.default_rng(1), LostModel(GRID)
    silent_days = np.array([14.0, 42.0, 70.0, 105.0, 140.0])
    horizon = survival(silent_days, silent_days + 60.0)
    truth = survival(silent_days, np.full(5, 180.0))
    assert np.abs(model.probability(silent_days, horizon) - truth).max() > 0.1
    for day in range(1, 11):
        model.learn_day(simulated(150, rng), day * DAY_US)
    assert np.abs(model.probability(silent_days, horizon) - truth).max() < 0.05


def test_what_was_counted_is_forgotten() -> None:
    """Ten times lost_after later, a thousandth of the counts is left."""
    early, late = StepCounts(), StepCounts()
    early.record(GRID, [Ended(decision(10.0, 0.5), 0, returned=True)] * 200)
    late.record(GRID, [Ended(decision(10.0, 0.5), 0, returned=False)] * 200)
    changed, other = LostModel(GRID), LostModel(GRID)
    changed.learn_day(early, DAY_US)
    silent_days, probability = np.array([10.0]), np.array([0.5])
    before = changed.probability(silent_days, probability)
    for day in range(1_801, 1_821):
        for model in (changed, other):
            model.learn_day(late, day * DAY_US)
    assert before < 0.05
    assert changed.probability(silent_days, probability) == pytest.approx(
        other.probability(silent_days, probability), abs=0.01
    )


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_a_probability_does_not_depend_on_the_other_customers(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    model = LostModel(StepGrid.of(PLANNED))
    model.coefficients = generator.normal(0.0, 0.2, len(model.coefficients))
    silent, probability = generator.uniform(0.0, PLANNED.lost_after / DAY_US, 64), generator.uniform(0.0, 1.0, 64)
    together = model.probability(silent, probability)
    assert model.probability(silent[:size], probability[:size]).tolist() == together[:size].tolist()


def test_a_day_without_steps_changes_nothing() -> None:
    model = LostModel(GRID)
    assert not model.learn_day(StepCounts(), DAY_US)
    assert not model.coefficients.any()


def test_rows_of_another_grid_do_no_harm() -> None:
    model, counts = LostModel(GRID), StepCounts()
    counts.merge([(GRID.cells, 5, 1), (10**12, 5, 1)])
    model.learn_day(counts, DAY_US)
    assert np.isfinite(model.coefficients).all()


# --- what is counted -------------------------------------------------------------------------------------------------


@given(logs(max_size=40), st.lists(st.booleans(), max_size=40), st.integers(1, 4))
def test_steps_do_not_depend_on_partitions_or_batches(events: list[Event], cuts: list[bool], partitions: int) -> None:
    """Nor do the planned calls."""
    whole, cut = run_log(events, PLANNED), run_log(events, PLANNED, cuts, partitions)
    assert cut.steps == whole.steps
    assert cut.texts == whole.texts


def steps_of(events: Sequence[Event], until: int, *, every_event: bool = False) -> list[tuple[int, int, int]]:
    """Silence, lead and return of all steps of one customer."""
    partition, found = PartitionProcessor(PLANNED), list[tuple[int, int, int]]()
    grid = StepGrid.of(PLANNED)

    def finish() -> None:
        for cell, ended, returned in partition.finish(planning_model()).steps.rows():
            silence, lead = divmod(cell // BINS, grid.leads)
            found.extend([(silence, lead, 1)] * returned + [(silence, lead, 0)] * (ended - returned))

    for event in events:
        partition.apply(event, event.at)
        if every_event:
            finish()
    partition.advance(until)
    finish()
    return found


# The first decision on a customer who orders at T0.
FIRST = T0 + 1 + (phase_of("c", PLANNED.decide_every) - T0 - 1) % PLANNED.decide_every


def test_each_step_of_a_silence_is_counted_for_each_decision_within_the_horizon() -> None:
    found = steps_of([order("c", T0)], T0 + 10 * DAY_US)
    decisions = -(-(T0 + 10 * DAY_US - FIRST) // PLANNED.decide_every)
    assert sorted(lead for _, lead, _ in found) == sorted(
        lead for number in range(decisions) for lead in range(decisions - 1 - number)
    )
    assert not any(returned for *_, returned in found)


def test_a_return_is_counted_once_and_when_its_step_ends() -> None:
    returned_at = FIRST + PLANNED.decide_every + DAY_US // 2  # in the second step of the first decision
    events = [order("c", T0), order("c", returned_at)]
    found = steps_of(events, FIRST + 3 * PLANNED.decide_every + 1, every_event=True)
    # The first step of the first decision, two returns, and the first step of the decision after the return.
    assert sorted((lead, returned) for _, lead, returned in found) == [(0, 0), (0, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("every_event", [False, True])
def test_an_order_after_the_end_of_a_step_belongs_to_the_next_one(every_event: bool) -> None:
    """Even if both are in the same batch."""
    after = FIRST + PLANNED.decide_every + 1
    events: list[Event] = [order("c", T0), browsing("c", FIRST + 1), order("c", after)]
    found = steps_of(events, FIRST + 2 * PLANNED.decide_every + 1, every_event=every_event)
    assert sorted((lead, returned) for _, lead, returned in found) == [(0, 0), (0, 1), (1, 1)]


def test_a_probability_does_not_depend_on_who_else_is_asked_for() -> None:
    model = LostModel(StepGrid.of(SETTINGS))
    random = np.random.default_rng(1)
    model.coefficients = random.normal(0.0, 0.3, len(model.coefficients))
    silent, churn = random.uniform(0.0, 180.0, 500), random.uniform(0.05, 0.95, 500)
    expected = model.probability(silent, churn)
    for size in (1, 2, 3, 7, 33, 250):
        assert (model.probability(silent[-size:], churn[-size:]) == expected[-size:]).all(), size
