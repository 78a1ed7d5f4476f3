"""The interval of the next order: it holds as many of the next orders as it says, and ends only where it can."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stream_app.core.model.lost_probability import LostModel, StepGrid
from stream_app.core.model.next_order import COVERAGE, LIMIT, next_order_days
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US

GRID = StepGrid.of(Settings(horizon=60 * DAY_US, decide_every=7 * DAY_US, lost_after=180 * DAY_US))
MODEL = LostModel(GRID)  # untrained: the hazard is the horizon's throughout


def interval(probability: float, silent_days: float = 10.0, model: LostModel = MODEL) -> tuple[float, float]:
    first, last = next_order_days(model, np.array([silent_days]), np.array([probability]))
    return float(first[0]), float(last[0])


def test_with_a_constant_hazard_the_ends_are_quantiles_of_the_exponential_distribution() -> None:
    hazard = -math.log(0.3) / 60.0
    assert interval(0.3) == (round(-math.log(0.9) / hazard), round(-math.log(0.1) / hazard))


def test_an_interval_without_an_end_leaves_out_the_earliest_fifth() -> None:
    hazard = -math.log(0.8) / 60.0
    assert interval(0.8) == (round(-math.log(0.8) / hazard), math.inf)
    assert interval(0.999) == (LIMIT * GRID.steps * GRID.step / DAY_US, math.inf)


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.7, 0.9])
def test_the_interval_holds_four_of_five_next_orders(probability: float) -> None:
    times = np.random.default_rng(1).exponential(-60.0 / math.log(probability), 20_000)
    first, last = interval(probability)
    assert np.mean((times >= first) & (times <= last)) == pytest.approx(COVERAGE, abs=0.02)


def test_whoever_is_likelier_to_order_has_an_earlier_interval() -> None:
    starts = [interval(probability)[0] for probability in (0.05, 0.3, 0.6, 0.9)]
    assert starts == sorted(starts)


def test_hazards_beyond_lost_after_are_those_at_lost_after() -> None:
    model = LostModel(GRID)
    model.coefficients[2:4] = -1.0, -2.0  # hazards fall with silence
    hazards = model.hazards(np.array([170.0]), np.array([0.9]), 10)[:, 0]
    assert hazards[0] > hazards[2]
    assert hazards[2:] == pytest.approx(hazards[2])


def test_an_interval_does_not_depend_on_the_customers_that_are_computed_with_it() -> None:
    silent, churns = np.linspace(0.0, 200.0, 41), np.linspace(0.02, 0.98, 41)
    model = LostModel(GRID)
    model.coefficients[:] = np.linspace(-0.2, 0.2, len(model.coefficients))
    together = model.hazards(silent, churns, 30)
    for place in range(len(silent)):
        assert (
            model.hazards(silent[place : place + 1], churns[place : place + 1], 30)[:, 0] == together[:, place]
        ).all()


def test_nobody_has_no_interval() -> None:
    first, last = next_order_days(MODEL, np.zeros(0), np.zeros(0))
    assert len(first) == len(last) == 0
