"""Intervals of the uplift: how often they exclude the truth at some look, and how wide they are."""

from __future__ import annotations

import pytest

from benchmarks.uplift_coverage import EFFECTS, PLANNED, SHARES, measure
from stream_app.core.uplift.holdout import Holdout

SEEDS = 2_000
COVERED = 0.94
WIDTHS = {False: 1.65, True: 1.3}


@pytest.mark.slow
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("effect", EFFECTS)
def test_the_truth_is_never_excluded_at_any_look(effect: float, shares: tuple[float, float], ends: bool) -> None:
    holdout = Holdout(shares[0], planned=PLANNED, ends=ends, later_share=shares[1])
    found = measure(holdout, effect, SEEDS)
    assert found.covered >= COVERED
    assert found.width <= WIDTHS[ends]
    assert found.mean_effect == pytest.approx(effect, abs=0.005)
