"""Causes of customers who left simulated shops: the product's explanations against the hidden truth."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.replay.cause_accuracy import accuracy, explained_leavers
from stream_app.simulate import ShopSettings

FLOOR_1, FLOOR_3 = 0.55, 0.80
SEEDS = range(1, 21)  # the evidence rules were tuned on seeds from 103 on


def test_a_small_shop_is_explained_better_than_by_the_priors() -> None:
    shares = accuracy(explained_leavers(21, ShopSettings(customers=300, days=300)))
    assert shares.customers > 80
    assert shares.top_1 > shares.prior_1
    assert shares.top_3 > shares.prior_3


@pytest.mark.slow
def test_causes_are_found_in_twenty_shops() -> None:
    shops = [accuracy(explained_leavers(seed)) for seed in SEEDS]
    assert min(shop.customers for shop in shops) > 500
    assert np.mean([shop.top_1 for shop in shops]) >= FLOOR_1
    assert np.mean([shop.top_3 for shop in shops]) >= FLOOR_3
    for shop in shops:
        assert shop.top_1 > shop.prior_1
        assert shop.top_3 > shop.prior_3
