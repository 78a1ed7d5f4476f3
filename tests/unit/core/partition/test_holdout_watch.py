"""Who was drawn for the holdout, what becomes of their labels, and outcomes at the end of the window."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import pytest

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.model.labels import Pending
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM, TREATED, FirstDraw, Holdout
from tests.harness.shops import PLANNED, T0, order

HOLDOUT = Holdout(0.5, "spring", window=10 * DAY_US)
SHOP = msgspec.structs.replace(PLANNED, holdout=HOLDOUT)
LEFT, CALLED = (
    next(f"c{number}" for number in range(100) if HOLDOUT.drawn_arm(f"c{number}", 0.5) == arm)
    for arm in (HELD_OUT, TREATED)
)
AT = T0 + DAY_US
ENDED = AT + 10 * DAY_US + PLANNED.lateness + 1


def opened(name: str, arm: str | None = None, share: float = 0.5, at: int = AT) -> Alert:
    arm = HOLDOUT.drawn_arm(name, share) if arm is None else arm
    candidate = AlertCandidate(name, at, 1.0, 0.8, 10.0, 30.0, 8.0, 1, 1, act_by=at, arm=arm, share=share)
    return Alert(f"al_{name}_{at}", name, at, at + 30 * DAY_US, 1, 0.8, candidate)


def partition_of(*names: str) -> PartitionProcessor:
    partition = PartitionProcessor(SHOP)
    for name in names:
        partition.apply(order(name, T0), T0)
    return partition


def test_outcomes_are_counted_by_arm_once_the_window_has_ended() -> None:
    partition = partition_of(LEFT, CALLED)
    for name in (LEFT, CALLED):
        partition.alerts.open_alert(opened(name))
    counts = partition.aggregator.event_counts
    assert counts.drawn == Counter({("spring", HELD_OUT): 1, ("spring", TREATED): 1})
    partition.apply(order(CALLED, AT + 10 * DAY_US, "o2"), AT + 10 * DAY_US)
    partition.alerts.close_stale(ENDED - 1)
    assert not counts.trial_outcomes  # an order may still arrive
    partition.alerts.close_stale(ENDED)
    partition.alerts.close_stale(ENDED + DAY_US)
    expected = {("spring", HELD_OUT, "not_ordered"): 1, ("spring", TREATED, "ordered"): 1}
    assert counts.trial_outcomes == Counter(expected)


def test_an_order_after_the_window_does_not_count() -> None:
    partition = partition_of(LEFT)
    partition.alerts.open_alert(opened(LEFT))
    partition.apply(order(LEFT, AT + 10 * DAY_US + 1, "o2"), AT + 10 * DAY_US + 1)
    partition.alerts.close_stale(ENDED)
    assert set(partition.aggregator.event_counts.trial_outcomes) == {("spring", HELD_OUT, "not_ordered")}


def test_the_first_draw_of_an_experiment_is_kept_and_another_experiment_draws_again() -> None:
    partition = partition_of(LEFT)
    customer = partition.customers[LEFT]
    partition.alerts.open_alert(opened(LEFT))
    first = customer.draw
    assert first == FirstDraw(HOLDOUT.key, 0.5, AT)
    partition.alerts.close(customer, AT + DAY_US, "expired")
    partition.alerts.open_alert(opened(LEFT, at=AT + 2 * DAY_US))
    assert customer.draw == first
    customer.draw = replace_experiment(first)
    partition.alerts.close(customer, AT + 3 * DAY_US, "expired")
    partition.alerts.open_alert(opened(LEFT, at=AT + 4 * DAY_US))
    assert customer.draw == FirstDraw(HOLDOUT.key, 0.5, AT + 4 * DAY_US)
    assert partition.aggregator.event_counts.drawn["spring", HELD_OUT] == 2


def replace_experiment(one: FirstDraw) -> FirstDraw:
    return msgspec.structs.replace(one, experiment=Holdout(experiment="autumn").key)


def test_who_is_exempt_is_not_drawn() -> None:
    partition = partition_of(LEFT)
    partition.alerts.open_alert(opened(LEFT, NO_ARM, 0.0))
    assert partition.customers[LEFT].draw is None
    assert not partition.aggregator.event_counts.drawn


@pytest.mark.parametrize(("share", "copies"), [(0.5, 2), (0.2, 5), (0.0, 2)])
def test_labels_count_by_the_share_at_the_draw(share: float, copies: int) -> None:
    """Messages of earlier releases have no share: it was that of the settings."""
    partition = partition_of(LEFT)
    customer = partition.customers[LEFT]
    customer.waiting = [Pending(LEFT, T0)]
    partition.alerts.open_alert(opened(LEFT, HELD_OUT, share))
    assert customer.waiting[0].copies == copies


def test_a_draw_is_followed_after_a_restart() -> None:
    partition, again = partition_of(LEFT), partition_of(LEFT)
    partition.alerts.open_alert(opened(LEFT))
    again.customers[LEFT].draw = partition.customers[LEFT].draw
    again.finish_restore()
    again.alerts.close_stale(ENDED)
    draw = again.customers[LEFT].draw
    assert draw is not None
    assert draw.ended
    assert set(again.aggregator.event_counts.trial_outcomes) == {("spring", HELD_OUT, "not_ordered")}


def test_an_alert_that_arrives_after_a_change_of_the_experiment_belongs_to_the_one_it_was_drawn_in() -> None:
    partition = partition_of(LEFT)
    partition.use(msgspec.structs.replace(SHOP, holdout=Holdout(0.3, "summer")))
    partition.alerts.open_alert(replace(opened(LEFT), experiment="spring"))
    assert partition.customers[LEFT].draw == FirstDraw(HOLDOUT.key, 0.5, AT)
    assert partition.aggregator.event_counts.drawn == Counter({("spring", HELD_OUT): 1})
