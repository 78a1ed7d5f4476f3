"""The MBG/NBD model against its definition by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.core.model.estimators import MBGNBDClassifier


def test_probabilities_are_the_shares_of_simulated_customers() -> None:
    """Of simulated customers with the same repeats and about the same recency, as many leave as predicted."""
    rng, horizon, age = np.random.default_rng(1), 1.0, 3.0
    r, alpha, a, b = 1.5, 2.0, 1.0, 2.5
    rates, leaving = rng.gamma(r, 1.0 / alpha, 200_000), rng.beta(a, b, 200_000)
    groups: dict[tuple[int, int], list[bool]] = {}
    for rate, chance in zip(rates.tolist(), leaving.tolist(), strict=True):
        orders, now, active = [0.0], 0.0, rng.random() >= chance
        while active and now < age + horizon:
            now += rng.exponential(1.0 / rate)
            orders.append(now)
            active = rng.random() >= chance
        seen = [order for order in orders if order <= age]
        returned = any(age < order <= age + horizon for order in orders)
        groups.setdefault((len(seen) - 1, round(seen[-1] / 0.25)), []).append(not returned)
    model, checked = MBGNBDClassifier(r=r, alpha=alpha, a=a, b=b), 0
    for (repeats, recency), outcomes in groups.items():
        if len(outcomes) > 1500:
            found = model.predict_proba_one({"repeats": repeats, "recency": recency * 0.25, "age": age})[True]
            assert found == pytest.approx(np.mean(outcomes), abs=0.04)
            checked += 1
    assert checked > 10


def test_times_may_have_any_unit() -> None:
    horizons, days = MBGNBDClassifier(), MBGNBDClassifier(horizon=60.0, alpha=120.0)
    for repeats, recency, age in [(0, 0.0, 0.0), (3, 1.5, 2.0), (8, 4.0, 9.0)]:
        one = horizons.predict_proba_one({"repeats": repeats, "recency": recency, "age": age})[True]
        other = days.predict_proba_one({"repeats": repeats, "recency": 60 * recency, "age": 60 * age})[True]
        assert one == pytest.approx(other)


def test_a_row_without_features_is_a_first_order_now() -> None:
    model = MBGNBDClassifier()
    first = model.predict_proba_one({"repeats": 0, "recency": 0.0, "age": 0.0})
    assert model.predict_proba_one({}) == model.predict_proba_one({"city": "Bern"}) == first
