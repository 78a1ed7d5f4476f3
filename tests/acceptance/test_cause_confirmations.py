"""What explanations gain from confirmed causes in simulated shops whose causes are not those of the surveys."""

from __future__ import annotations

import pytest

from benchmarks.replay.cause_accuracy import explained_leavers
from benchmarks.replay.cause_confirmations import gain, joined, shop_of

FLOOR = 0.01
LEAST_JUDGED = 2_000


@pytest.mark.slow
def test_two_hundred_confirmations_improve_the_first_cause() -> None:
    found = joined([gain(explained_leavers(seed, shop_of(seed)), seed) for seed in range(1, 6)])
    assert len(found.before) >= LEAST_JUDGED
    first, three = found.after.mean(axis=0) - found.before.mean(axis=0)
    assert first >= FLOOR
    assert three >= FLOOR
