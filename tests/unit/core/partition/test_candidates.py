"""Candidates if calls are planned: whom to call, and in which order."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from stream_app.core.alerts.lifecycle import UNEXPLAINED, AlertCandidate
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from tests.harness.shops import PLANNED, T0, order, planning_model

MONDAY = T0 + 7 * DAY_US


def candidates(orders: dict[str, tuple[float, float]], at: int, settings: Settings = PLANNED) -> list[AlertCandidate]:
    """The candidates at a time, of customers who ordered on a day, for an amount."""
    partition = PartitionProcessor(settings)
    for name, (day, amount) in sorted(orders.items(), key=lambda one: one[1]):
        at_order = T0 + round(day * DAY_US)
        partition.apply(order(name, at_order, amount=amount), at_order)
    partition.advance(at)
    partition.finish(planning_model())
    return partition.alerts.candidates.best(at, planning_model())


def names(found: list[AlertCandidate]) -> list[str]:
    return [one.customer for one in found]


def test_a_customer_is_a_candidate_until_their_deadline() -> None:
    act_by = T0 + PLANNED.lost_after - PLANNED.act_before_or_default
    (one,) = candidates({"c": (0, 10.0)}, act_by)
    assert one.act_by == act_by
    assert 0.0 < one.lost_probability <= 1.0
    assert one.expected_value > 0.0
    assert one.at <= one.next_order_from
    assert one.next_order_to == 0 or one.next_order_to >= one.next_order_from
    assert one.explanation is UNEXPLAINED
    assert candidates({"c": (0, 10.0)}, act_by + 1) == []


def test_the_margin_scales_the_expected_value_and_nothing_else() -> None:
    orders = {"c": (0.0, 10.0), "d": (1.0, 70.0)}
    whole, half = (candidates(orders, MONDAY, msgspec.structs.replace(PLANNED, margin=margin)) for margin in (1.0, 0.5))
    halved = [replace(one, expected_value=one.expected_value / 2, usual_gap_days=0.0) for one in whole]
    assert halved == [replace(one, usual_gap_days=0.0) for one in half]  # NaN is not equal to itself


def test_a_given_time_to_act_moves_the_deadline() -> None:
    early = msgspec.structs.replace(PLANNED, act_before=10 * DAY_US)
    assert names(candidates({"c": (0, 10.0)}, T0 + 5 * DAY_US, early)) == ["c"]
    assert candidates({"c": (0, 10.0)}, T0 + 5 * DAY_US + 1, early) == []


def test_candidates_come_by_deadline() -> None:
    found = candidates({"late": (4, 900.0), "early": (0, 1.0), "middle": (1, 300.0)}, MONDAY)
    assert names(found) == ["early", "middle", "late"]
    assert [one.act_by for one in found] == sorted(one.act_by for one in found)


@pytest.mark.parametrize("rank_by", ["worth", "reach"])
def test_revenue_counts_only_if_calls_are_planned_by_worth(rank_by: str) -> None:
    """The deadlines of all are within the same day, so that only one of them can be called."""
    settings = msgspec.structs.replace(PLANNED, rank_by=rank_by, capacity=1, act_before=11 * DAY_US)
    orders = {f"c{place}": (0.01 * place, 10.0 + 500.0 * (place == 1)) for place in range(6)}
    (found,) = candidates(orders, T0 + 4 * DAY_US, settings)
    everyone = candidates(orders, T0 + 4 * DAY_US, msgspec.structs.replace(settings, capacity=9))
    assert len(everyone) == 6
    wanted = {
        one.customer: one.lost_probability**2 * (one.monthly_worth if rank_by == "worth" else 1.0) for one in everyone
    }
    assert found.rank_value == pytest.approx(wanted[found.customer])
    assert wanted[found.customer] == max(wanted.values())
    assert (found.customer == "c1") or rank_by == "reach"


def test_an_alert_is_no_matter_of_the_bar_for_risks() -> None:
    """A plan has room for whoever can be reached, and the probability is in their weight."""
    assert names(candidates({"c": (0, 10.0)}, MONDAY, msgspec.structs.replace(PLANNED, alert_above=0.99))) == ["c"]


def test_a_partition_without_customers_has_no_candidates() -> None:
    assert candidates({}, MONDAY) == []
