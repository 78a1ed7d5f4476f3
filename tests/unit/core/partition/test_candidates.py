"""Candidates if calls are planned: whom to call, and in which order."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from stream_app.core.alerts.arms import Draws
from stream_app.core.alerts.call_plan import active_worth
from stream_app.core.alerts.contact_history import NO_HISTORY, ContactHistory
from stream_app.core.alerts.lifecycle import RETURNED, UNEXPLAINED, AlertCandidate, open_alerts
from stream_app.core.messages.schema import AlertAction, AlertStep
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.policy.policy import Benefit, Policy, SilenceChance
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM, TREATED, Holdout
from stream_app.errors import ContradictorySettings
from tests.harness.shops import PLANNED, SHOP, T0, complaint, order, planning_model

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


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_candidates_do_not_depend_on_how_many_states_are_copied_at_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    orders = {name: (float(day), 10.0 + day) for day, name in enumerate("abcde")}
    at = T0 + PLANNED.lost_after - PLANNED.act_before_or_default + 2 * DAY_US
    whole = candidates(orders, at)
    monkeypatch.setattr("stream_app.core.partition.candidates._AT_ONCE", at_once)
    assert repr(candidates(orders, at)) == repr(whole)  # a usual gap is NaN
    assert sorted(names(whole)) == ["c", "d", "e"]


def test_the_margin_scales_the_expected_value_and_nothing_else() -> None:
    orders = {"c": (0.0, 10.0), "d": (1.0, 70.0)}
    whole, half = (candidates(orders, MONDAY, msgspec.structs.replace(PLANNED, margin=margin)) for margin in (1.0, 0.5))
    halved = [replace(one, expected_value=one.expected_value / 2, usual_gap_days=0.0) for one in whole]
    assert halved == [replace(one, usual_gap_days=0.0) for one in half]  # NaN is not equal to itself


def test_a_given_time_to_act_moves_the_deadline() -> None:
    early = msgspec.structs.replace(PLANNED, act_before=10 * DAY_US)
    assert names(candidates({"c": (0, 10.0)}, T0 + 5 * DAY_US, early)) == ["c"]
    assert candidates({"c": (0, 10.0)}, T0 + 5 * DAY_US + 1, early) == []


def test_nobody_is_called_within_their_usual_gap() -> None:
    """Two orders five days apart; the minimum of one-time buyers is a twelfth of `lost_after`."""
    regular = {"c": (0.0, 10.0)}
    settings = msgspec.structs.replace(PLANNED, lost_after=24 * DAY_US)
    assert candidates(regular, T0 + 2 * DAY_US - 1, settings) == []
    assert names(candidates(regular, T0 + 2 * DAY_US, settings)) == ["c"]
    partition = PartitionProcessor(settings)
    for day in (0, 5):
        partition.apply(order("c", T0 + day * DAY_US), T0 + day * DAY_US)
    found = []
    for at in (T0 + 10 * DAY_US - 1, T0 + 10 * DAY_US):
        partition.advance(at)
        partition.finish(planning_model())
        found.append(names(partition.alerts.candidates.best(at, planning_model())))
    assert found == [[], ["c"]]


def test_candidates_come_by_deadline() -> None:
    found = candidates({"late": (4, 900.0), "early": (0, 1.0), "middle": (1, 300.0)}, MONDAY)
    assert names(found) == ["early", "middle", "late"]
    assert [one.act_by for one in found] == sorted(one.act_by for one in found)


@pytest.mark.parametrize("rank_by", ["worth", "reach"])
def test_revenue_counts_only_if_calls_are_planned_by_worth(rank_by: str) -> None:
    """The deadlines of all are within the same day, so that only one of them can be called."""
    settings = msgspec.structs.replace(PLANNED, rank_by=rank_by, capacity=1, act_before=11 * DAY_US)
    amounts = {f"c{place}": 10.0 + 500.0 * (place == 1) for place in range(6)}
    orders = {name: (0.01 * place, amount) for place, (name, amount) in enumerate(amounts.items())}
    (found,) = candidates(orders, T0 + 4 * DAY_US, settings)
    everyone = candidates(orders, T0 + 4 * DAY_US, msgspec.structs.replace(settings, capacity=9))
    assert len(everyone) == 6
    spent = np.array([amounts[one.customer] for one in everyone])
    worth = active_worth(spent, np.zeros(6), SHOP.horizon / DAY_US) if rank_by == "worth" else np.ones(6)
    lost = np.array([one.lost_probability for one in everyone])
    wanted = dict(zip(names(everyone), (lost * worth).tolist(), strict=True))
    assert found.rank_value == pytest.approx(wanted[found.customer])
    assert wanted[found.customer] == max(wanted.values())
    assert (found.customer == "c1") or rank_by == "reach"


def test_an_alert_is_no_matter_of_the_bar_for_risks() -> None:
    """A plan has room for whoever can be reached, and the probability is in their weight."""
    assert names(candidates({"c": (0, 10.0)}, MONDAY, msgspec.structs.replace(PLANNED, alert_above=0.99))) == ["c"]


def test_a_partition_without_customers_has_no_candidates() -> None:
    assert candidates({}, MONDAY) == []


def with_history(history: ContactHistory | None) -> AlertCandidate:
    """The candidate of a customer who ordered on the first day, a week later."""
    partition = PartitionProcessor(PLANNED)
    partition.apply(order("c", T0, amount=10.0), T0)
    partition.customers["c"].history = history
    partition.advance(MONDAY + DAY_US)
    partition.finish(planning_model())
    (found,) = partition.alerts.candidates.best(MONDAY + DAY_US, planning_model())
    return found


def test_another_call_in_the_same_silence_weighs_less() -> None:
    first, again = with_history(None), with_history(NO_HISTORY.after_call(T0 + 1))
    assert again.rank_value == pytest.approx(first.rank_value * PLANNED.policy.benefit.again)
    assert again.rank_value < first.rank_value
    assert with_history(NO_HISTORY.after_call(T0 - 1)).rank_value == first.rank_value


def test_a_case_about_a_complaint_is_no_call() -> None:
    assert with_history(NO_HISTORY.after_contact(T0 + 1)).rank_value == with_history(None).rank_value


def test_the_chance_to_help_weighs_the_calls() -> None:
    benefit = Benefit(
        by_silence=(SilenceChance(8 * DAY_US, 3.0),), by_cause={"forgot_shop": 0.0}, by_channel={"phone": 0.5}
    )
    (plain,) = candidates({"c": (0, 10.0)}, MONDAY)
    (changed,) = candidates({"c": (0, 10.0)}, MONDAY, PLANNED.with_policy(Policy(benefit=benefit)))
    assert 0.5 * plain.rank_value < changed.rank_value < 1.4 * plain.rank_value  # 3 × .5, less the share of forgot_shop


# --- the holdout ------------------------------------------------------------------------------------------------------

HOLDOUT = msgspec.structs.replace(PLANNED, holdout=Holdout(0.5, "spring", exempt_worth_above=500.0, later_share=0.5))
MANY = {f"c{place}": (0.01 * place, 10.0 + place) for place in range(40)}


def arms(found: list[AlertCandidate]) -> dict[str, str]:
    return {one.customer: one.arm for one in found}


def test_held_out_customers_are_sent_beside_the_plan_and_take_no_calls() -> None:
    found = candidates(MANY, MONDAY, HOLDOUT)
    expected = {name: HOLDOUT.holdout.arm(name, 1.0, complains=False) for name in MANY}
    assert all(expected[name] == arm for name, arm in arms(found).items())
    called = [name for name, arm in arms(found).items() if arm == TREATED]
    treated = {name: order for name, order in MANY.items() if expected[name] == TREATED}
    assert called == names(candidates(treated, MONDAY, HOLDOUT))
    assert called == names(found)[: len(called)]
    assert HELD_OUT in arms(found).values()


def test_the_walk_goes_on_until_enough_customers_are_called() -> None:
    found = candidates(MANY, MONDAY, HOLDOUT)
    alerts = open_alerts(found, HOLDOUT)
    called, held_out = ([one for one in alerts if one.is_held_out == left] for left in (False, True))
    assert [one.rank for one in called] == [1, 2]
    assert held_out
    assert {one.rank for one in held_out} <= {1, 2}
    shuffled = open_alerts(found[::-1], HOLDOUT)
    assert shuffled == alerts


@pytest.mark.parametrize(("drawn", "share"), [(0, 0.5), (100, 0.2)])
def test_partitions_send_who_would_be_planned_under_either_share(drawn: int, share: float) -> None:
    """They do not know which of the two applies; the result is as if they did."""
    falls = msgspec.structs.replace(PLANNED, holdout=Holdout(0.5, "spring", planned=100))
    constant = msgspec.structs.replace(PLANNED, holdout=Holdout(share, "spring", later_share=share))
    found = open_alerts(Draws("spring", drawn).assign(candidates(MANY, MONDAY, falls), falls.holdout), falls)
    wanted = open_alerts(Draws().assign(candidates(MANY, MONDAY, constant), constant.holdout), constant)
    assert [(one.customer, one.rank, one.bar, one.candidate.arm) for one in found] == [
        (one.customer, one.rank, one.bar, one.candidate.arm) for one in wanted
    ]
    assert {one.candidate.share for one in found} == {share}


def test_complaints_and_the_best_customers_are_called_whatever_their_arm() -> None:
    partition = PartitionProcessor(HOLDOUT)
    left = [name for name in MANY if HOLDOUT.holdout.arm(name, 1.0, complains=False) == HELD_OUT][:3]
    for place, (name, amount) in enumerate(zip(left, (10.0, 10.0, 90_000.0), strict=True)):
        partition.apply(order(name, T0 + place, amount=amount), T0 + place)
    partition.apply(complaint(left[0], T0 + DAY_US), T0 + DAY_US)
    partition.advance(MONDAY)
    partition.finish(planning_model())
    found = partition.alerts.candidates.best(MONDAY, planning_model())
    assert arms(found) == {left[0]: NO_ARM, left[1]: HELD_OUT, left[2]: NO_ARM}


def test_a_held_out_customer_is_locked_like_one_who_is_called_and_staff_do_not_learn_of_it() -> None:
    partition = PartitionProcessor(HOLDOUT)
    name = next(name for name in MANY if HOLDOUT.holdout.arm(name, 1.0, complains=False) == HELD_OUT)
    partition.apply(order(name, T0, amount=10.0), T0)
    partition.advance(MONDAY)
    partition.finish(planning_model())
    (alert,) = open_alerts(partition.alerts.candidates.best(MONDAY, planning_model()), HOLDOUT)
    partition.alerts.open_alert(alert)
    assert partition.alerts.candidates.best(MONDAY + DAY_US, planning_model()) == []
    opened = EPOCH + MONDAY * MICROSECOND
    resolved = AlertStep("r", name, opened, AlertAction.RESOLVED, staff="li", alert_id=alert.alert_id)
    partition.apply_alert_step(resolved, MONDAY)
    assert partition.customers[name].alert is not None
    assert partition.alerts.take_notes() == {}
    assert not partition.aggregator.count_open(partition.alerts.open.values())
    assert not partition.aggregator.event_counts.opened
    at = MONDAY + DAY_US
    partition.apply(order(name, at), at)
    (closing,) = partition.finish(planning_model()).closed
    assert (closing.reason, closing.alert.is_held_out) == (RETURNED, True)
    assert partition.alerts.take_notes() == {}
    assert not partition.aggregator.event_counts.closed


def test_a_holdout_needs_planned_calls() -> None:
    with pytest.raises(ContradictorySettings, match="rank_by"):
        msgspec.structs.replace(SHOP, holdout=Holdout(0.2))
