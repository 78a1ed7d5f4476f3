"""Segments over columns and for one customer, against the rule in plain words."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import find, given, settings, strategies as st

from stream_app.core.customers.customer import Customer
from stream_app.core.segments.lifecycle_stage import stages
from stream_app.core.segments.segments import NEVER_LOST, SEGMENTS, price_sensitive, segments_of
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.counters import COUNTER
from stream_app.core.state.profile import CustomerProfile
from stream_app.core.state.vector import CASES, NEVER, RING_END, SLOT

TODAY = 20_000.0  # days
HORIZON = 60.0
MANY = settings(max_examples=20_000, database=None)


@st.composite
def profile(draw: st.DrawFn) -> CustomerProfile:
    """Return a customer whose values are on or between the thresholds of the rule."""
    one = Customer("c", 0)
    vector = one.vector
    days = draw(st.integers(0, 10))
    if days:
        vector[SLOT["order_days"]] = days
        vector[SLOT["orders"]] = days + draw(st.integers(0, 2))
        vector[SLOT["last_order"]] = TODAY - draw(st.sampled_from([0, 5, 10, 15, 20, 40, 80, 81, 400]))
        gap = draw(st.sampled_from([1, 5, 10, 20]))
        vector[SLOT["first_order"]] = vector[SLOT["last_order"]] - gap * (days - 1)
        last_gap = round(gap * draw(st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0])))
        vector[RING_END - 1] = int(vector[SLOT["last_order"]])
        vector[RING_END - 2] = vector[RING_END - 1] - last_gap if days > 1 else NEVER
        vector[SLOT["money"]] = 100.0 * draw(st.sampled_from([0.0, 1.0, 1.5, 3.0, 5.9, 6.0, 12.0, 50.0]))
        vector[SLOT["discounted"]] = draw(st.integers(0, int(vector[SLOT["orders"]])))
        vector[SLOT["discount"]] = vector[SLOT["money"]] * draw(st.sampled_from([0.0, 0.05, 1 / 9, 0.25, 0.3]))
    one.counters[COUNTER[draw(st.sampled_from(["complaints", "complaints_before"]))]] = draw(st.integers(0, 1))
    if draw(st.booleans()):
        case = draw(st.integers(0, CASES - 1))
        vector[SLOT[f"complaint_{case}_key"]] = 1
        vector[SLOT[f"complaint_{case}_opened"]] = TODAY - 9
        vector[SLOT[f"complaint_{case}_resolved"]] = draw(st.sampled_from([NEVER, TODAY - 10, TODAY - 8]))
    shop = KnownShop()
    for _ in range(draw(st.integers(0, 1))):
        shop.record_order(100.0)
    return CustomerProfile(vector, one.counters, TODAY, HORIZON, shop, 3.0)


def by_hand(about: CustomerProfile) -> tuple[str, ...]:
    """Return the segments by the rule of docs/reference/causes.md."""
    found = []
    if about.counter("complaints") or about.open_days:
        found.append("complaining")
    if is_vip(about):
        found.append("vip")
    if is_price_sensitive(about):
        found.append("price_sensitive")
    stage = stages(about.frame, NEVER_LOST)[0]
    return (*found, ("one_time", "one_time", "growing", "loyal", "declining", "declining")[stage])


def is_vip(about: CustomerProfile) -> bool:
    usual, silent = about.shop.usual_amount, about.silent_days / max(float(about.frame.mean_gap[0]), 0.5)
    return bool(about.slot("order_days") >= 5 and usual and about.slot("money") >= 6 * usual and silent <= 8)


def is_price_sensitive(about: CustomerProfile) -> bool:
    orders, money, saved = about.orders, about.slot("money"), about.slot("discount")
    if not orders or about.slot("discounted") / orders < 0.75:
        return False
    depth = saved / (money + saved) if money + saved else 0.0
    return depth >= (0.1 if orders > 1 else 0.2)


@given(profile())
def test_segments_equal_the_rule_in_words(about: CustomerProfile) -> None:
    assert segments_of(about) == by_hand(about)


@pytest.mark.parametrize("segment", SEGMENTS)
def test_every_segment_occurs(segment: str) -> None:
    one = find(profile(), lambda about: segments_of(about)[0] == segment, settings=MANY, random=Random(1))
    assert by_hand(one)[0] == segment


def test_a_customer_without_money_is_not_price_sensitive() -> None:
    nothing = np.zeros(1)
    assert price_sensitive(np.ones(1), np.ones(1), nothing, nothing).tolist() == [False]
