"""A partition: the same events give the same facts, decisions, labels and closings, however they come."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.customers.codec.states import encode_customers, max_bytes
from stream_app.core.events.enumerations import OrderAction
from stream_app.core.events.schema import Event, Order
from stream_app.core.model.labels import CHURNED, RETAINED
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.quiet_customers import phase_of
from stream_app.core.settings import Settings
from stream_app.core.state.vector import ID_RING, LAST_ORDER, ORDERS, SLOT
from stream_app.core.units import DAY_US
from tests.harness.shops import SECOND, SHOP, T0, Shell, ShopOutcome, browsing, logs, order, run_log, trained_model

PERIOD, HORIZON, ACTIVE, LATENESS = SHOP.decide_every, SHOP.horizon, SHOP.active_window, SHOP.lateness


def without_counts(outcome: ShopOutcome) -> ShopOutcome:
    return replace(outcome, counts=replace(outcome.counts, duplicates=0, late=0))


# --- whatever the batches --------------------------------------------------------------------------------------------


@given(logs(), st.lists(st.booleans(), max_size=25))
def test_batches_may_be_cut_anywhere(events: list[Event], cuts: list[bool]) -> None:
    assert run_log(events, cuts=cuts) == run_log(events)


@given(logs(), st.lists(st.booleans(), max_size=25), st.data())
def test_late_events_in_batches_that_are_cut_anywhere(
    events: list[Event], cuts: list[bool], data: st.DataObject
) -> None:
    shuffled = delayed(events, data)
    assert run_log(shuffled, cuts=cuts) == run_log(shuffled)


CAUSE = re.compile(r"\bcauses=\([^)]*\)")


@given(logs(), st.integers(2, 4))
def test_customers_may_be_spread_over_partitions(events: list[Event], partitions: int) -> None:
    one, many = run_log(events), run_log(events, partitions=partitions)
    assert many.decisions == one.decisions
    assert many.labels == one.labels
    assert many.vector == one.vector
    # The likeliest causes may differ: a partition knows what it has seen of the shop.
    assert [CAUSE.sub("", text) for text in many.texts] == [CAUSE.sub("", text) for text in one.texts]


@given(logs(), st.data())
def test_what_a_producer_sends_twice_counts_once(events: list[Event], data: st.DataObject) -> None:
    repeated: list[Event] = list(events)
    for event in data.draw(st.lists(st.sampled_from(events), max_size=6, unique_by=id)):
        first = next(place for place, one in enumerate(repeated) if one is event)
        room = min(first + ID_RING, len(repeated))
        repeated.insert(data.draw(st.integers(first + 1, room)), event)
    again = run_log(repeated)
    assert again.counts.duplicates == len(repeated) - len(events)
    assert without_counts(again) == without_counts(run_log(events))


def test_an_event_that_was_forgotten_counts_again() -> None:
    shell = Shell()
    events = [order("c", T0 + i * SECOND, amount=1.0) for i in range(ID_RING + 1)]
    for event in [*events, events[0], events[-1]]:
        shell.take(event)
    outcome = shell.end(events[-1].at)
    assert outcome.counts.duplicates == 1  # the last one; the first is out of the ring
    assert outcome.vector["c"][ORDERS] == ID_RING + 2


# --- late events -----------------------------------------------------------------------------------------------------


def delayed(events: list[Event], data: st.DataObject) -> list[Event]:
    """The events in another order of arrival, none further behind than the lateness."""
    delays = data.draw(st.lists(st.integers(0, LATENESS), min_size=len(events), max_size=len(events)))
    return [event for _, event in sorted(zip(delays, events, strict=True), key=lambda one: one[0] + one[1].at)]


@given(logs(), st.data())
def test_lateness_within_the_allowance_changes_no_fact_and_no_label(events: list[Event], data: st.DataObject) -> None:
    straight, late = run_log(events), run_log(delayed(events, data))
    assert late.counts.too_late == 0
    assert set(late.vector) == set(straight.vector)
    for name, vector in straight.vector.items():
        assert late.vector[name] == pytest.approx(vector, rel=1e-9, abs=1e-9)
    for decision in set(straight.labels) & set(late.labels):
        assert late.labels[decision] == straight.labels[decision]


def test_an_order_exactly_as_late_as_allowed_keeps_a_label_open_till_then() -> None:
    """Its decision's horizon ends at the very microsecond of the watermark, where an event may still come."""
    shell = Shell()
    shell.take(order("c", T0))
    due = first_due("c", T0)
    late = order("c", due + HORIZON)
    shell.take(browsing("d", late.at + LATENESS))
    shell.finish()
    assert ("c", due) not in shell.outcome.labels
    shell.take(late)
    shell.take(browsing("d", late.at + LATENESS + 1))
    shell.finish()
    assert shell.outcome.labels["c", due] == (RETAINED, due + HORIZON)


def test_a_later_order_is_counted_and_opens_no_label_again() -> None:
    shell = Shell()
    shell.take(order("c", T0))
    due = first_due("c", T0)
    shell.take(browsing("d", due + HORIZON + LATENESS + 1))
    shell.take(order("c", due + HORIZON - 1, amount=5.0))
    outcome = shell.end(due + HORIZON + LATENESS + 1)
    assert outcome.counts.too_late == 1
    assert outcome.vector["c"][ORDERS] == 2
    assert outcome.labels["c", due] == (CHURNED, due + HORIZON)


def test_an_order_beyond_the_lateness_still_counts_for_labels_that_are_open() -> None:
    shell = Shell()
    shell.take(order("c", T0))
    due = first_due("c", T0)
    shell.take(browsing("d", due + LATENESS + DAY_US))
    shell.take(order("c", due + 1))
    outcome = shell.end(due + HORIZON + LATENESS + 1)
    assert outcome.counts.too_late == 1
    assert outcome.labels["c", due] == (RETAINED, due + HORIZON)


# --- decisions -------------------------------------------------------------------------------------------------------


def first_due(customer: str, at: int, period: int = PERIOD) -> int:
    """The first moment later than `at` on a customer's own grid of decisions."""
    return at + 1 + (phase_of(customer, period) - at - 1) % period


def expected_decisions(events: list[Event], end: int) -> set[tuple[str, int]]:
    """All moments on the customers' grids at which they had ordered within the active window."""
    orders: dict[str, list[int]] = {}
    for event in events:
        if isinstance(event, Order) and event.action is OrderAction.PAID:
            orders.setdefault(event.customer_id, []).append(event.at)
    found = set()
    for customer, times in orders.items():
        for due in range(first_due(customer, times[0]), end + 1, PERIOD):
            if due - max(at for at in times if at <= due) <= ACTIVE:
                found.add((customer, due))
    return found


def expected_label(events: list[Event], customer: str, due: int) -> int:
    returned = any(
        isinstance(e, Order)
        and e.action is OrderAction.PAID
        and e.customer_id == customer
        and due < e.at <= due + HORIZON
        for e in events
    )
    return RETAINED if returned else CHURNED


@given(logs(start=T0 + 1))  # no event at a whole second, where the decisions are
def test_one_decision_a_period_for_whoever_is_active_and_its_label_when_the_horizon_has_passed(
    events: list[Event],
) -> None:
    events = [event for event in events if event.at % SECOND]
    if not events:
        return
    outcome, end = run_log(events), events[-1].at
    assert set(outcome.decisions) == expected_decisions(events, end)
    assert outcome.labels == {
        (customer, due): (expected_label(events, customer, due), due + HORIZON)
        for customer, due in expected_decisions(events, end)
        if due + HORIZON <= end
    }


@given(logs(), st.data())
def test_no_decision_sees_its_future(events: list[Event], data: st.DataObject) -> None:
    known = events[: data.draw(st.integers(1, len(events)))]
    now = known[-1].at
    at_the_time, later = run_log(known), run_log(events)
    if len(known) < len(events) and events[len(known)].at == now:
        return  # the future holds an event of this very instant
    assert at_the_time.decisions == {key: said for key, said in later.decisions.items() if key[1] <= now}
    assert at_the_time.labels == {key: label for key, label in later.labels.items() if label[1] <= now}
    assert repr(at_the_time.opened) == repr([alert for alert in later.opened if alert.opened_at <= now])


@pytest.mark.parametrize("touch", [False, True])
def test_after_a_long_pause_every_decision_is_made_before_the_event_that_ends_it(touch: bool) -> None:
    partition = PartitionProcessor(SHOP)
    first, last = order("c", T0, amount=1.0), order("c", T0 + 9 * PERIOD, amount=1.0)
    for event in [first, last]:
        partition.apply(event, event.at)
    decisions = partition.finish(trained_model()).decisions
    assert [one.decided_at for one in decisions] == list(range(first_due("c", T0), last.at, PERIOD))
    silent = PartitionProcessor(SHOP)
    silent.apply(first, first.at)
    if touch:
        silent.apply(browsing("x", last.at), last.at)
    else:
        silent.advance(last.at)
    assert [one.features for one in silent.finish(trained_model()).decisions] == [one.features for one in decisions]


def test_decisions_come_in_order_of_time_and_name() -> None:
    partition = PartitionProcessor(SHOP)
    for i in range(50):
        partition.apply(order(f"c{i}", T0), T0)
    partition.advance(T0 + 20 * DAY_US)
    made = [(one.decided_at, one.customer) for one in partition.finish(trained_model()).decisions]
    assert len(made) == 50 * 10
    assert made == sorted(made)


def test_an_event_at_the_moment_of_a_decision_is_seen_by_it() -> None:
    due = first_due("c", T0)
    seen = run_log([order("c", T0), browsing("c", due), browsing("d", due + 1)]).decisions["c", due]
    unseen = run_log([order("c", T0), browsing("c", due + 1)]).decisions["c", due]
    assert seen[1] != unseen[1]


def test_whoever_is_inactive_gets_none_until_he_orders_again() -> None:
    back = T0 + ACTIVE + 7 * DAY_US
    outcome = run_log([order("c", T0), browsing("c", back - DAY_US), order("c", back), browsing("x", back + PERIOD)])
    made = sorted(due for _, due in outcome.decisions)
    assert made == [
        *range(first_due("c", T0), T0 + ACTIVE + 1, PERIOD),
        *range(first_due("c", back), back + PERIOD + 1, PERIOD),
    ]


def test_a_first_order_that_comes_late_brings_no_decision_in_the_past() -> None:
    partition, now = PartitionProcessor(SHOP), T0 + 10 * DAY_US
    partition.apply(browsing("x", now), now)
    for i in range(20):
        partition.apply(order(f"c{i}", now - LATENESS), now - LATENESS)
    partition.advance(now + PERIOD + 1)
    made = partition.finish(trained_model()).decisions
    assert len(made) == 20
    assert min(one.decided_at for one in made) > now


def test_the_active_window_ends_to_the_microsecond() -> None:
    due = first_due("c", T0)
    for early, wanted in [(0, True), (1, False)]:  # the last order lies a window, or a window and a microsecond, before
        at = due - ACTIVE - early + (ACTIVE // PERIOD + 1) * PERIOD
        last = due + (ACTIVE // PERIOD + 1) * PERIOD
        outcome = run_log([order("c", at), browsing("x", last + 1)])
        assert (("c", last) in outcome.decisions) is wanted


def test_phases_are_spread_evenly_over_the_period() -> None:
    tenths = Counter(phase_of(f"customer-{i}", PERIOD) * 10 // PERIOD for i in range(10_000))
    assert sorted(tenths) == list(range(10))
    assert max(abs(number - 1000) for number in tenths.values()) < 150  # five standard deviations


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "label"),
    [(0, CHURNED), (1, RETAINED), (HORIZON, RETAINED), (HORIZON + 1, CHURNED)],
)
def test_a_label_looks_at_what_is_later_than_the_decision_and_within_the_horizon(after: int, label: int) -> None:
    due = first_due("c", T0)
    assert due > T0
    outcome = run_log([order("c", T0), order("c", due + after), browsing("x", due + HORIZON + 2)])
    assert outcome.labels["c", due] == (label, due + HORIZON)


@pytest.mark.parametrize("returns", [False, True])
def test_both_labels_are_released_at_the_same_moment_when_the_watermark_has_passed(returns: bool) -> None:
    shell, due = Shell(), first_due("c", T0)
    shell.take(order("c", T0))
    if returns:
        shell.take(order("c", due + DAY_US))
    shell.take(browsing("x", due + HORIZON + LATENESS))
    shell.finish()
    assert shell.outcome.labels == {}
    shell.take(browsing("x", due + HORIZON + LATENESS + 1))
    shell.finish()
    assert shell.outcome.labels == {("c", due): (RETAINED if returns else CHURNED, due + HORIZON)}


@pytest.mark.parametrize(("after", "label"), [(0, CHURNED), (1, RETAINED)])
def test_an_order_that_comes_late_is_held_to_its_own_time(after: int, label: int) -> None:
    due = first_due("c", T0)
    events: list[Event] = [order("c", T0), browsing("x", due + DAY_US // 2), order("c", due + after)]
    assert run_log([*events, browsing("x", due + HORIZON + 2)]).labels["c", due] == (label, due + HORIZON)


def test_a_return_is_told_once_and_at_once() -> None:
    shell, due = Shell(), first_due("c", T0)
    for event in [order("c", T0), order("c", due + 5), order("c", due + 9)]:
        shell.take(event)
    shell.finish()
    assert [(one.decided_at, one.returned_at) for one in shell.outcome.returned] == [(due, due + 5)]


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counted", ["placed", "paid"])
def test_the_shop_says_which_step_of_an_order_counts(counted: str) -> None:
    settings = msgspec.structs.replace(SHOP, order_action=counted)
    for action in OrderAction:
        outcome = run_log([order("c", T0, action=action, amount=7.0), browsing("c", T0 + 3 * PERIOD)], settings)
        assert bool(outcome.decisions) is (action == counted)
        assert outcome.vector["c"][SLOT["money"]] == (7.0 if action == counted else 0.0)


def test_a_later_refund_rewrites_no_label() -> None:
    due = first_due("c", T0)
    events: list[Event] = [order("c", T0), order("c", due + 1), order("c", due + 2, action=OrderAction.REFUNDED)]
    assert run_log([*events, browsing("x", due + HORIZON)]).labels["c", due][0] == RETAINED


def test_the_excluded_leave_no_trace_and_move_no_clock() -> None:
    settings = msgspec.structs.replace(SHOP, excluded=frozenset({"staff"}))
    events: list[Event] = [order("c", T0), order("staff", T0 + DAY_US), browsing("c", T0 + 2)]
    partition = PartitionProcessor(settings)
    assert [partition.apply(event, event.at) for event in events] == [True, False, False]
    assert set(partition.customers) == {"c"}
    assert partition.stream_time == T0 + 2
    assert (partition.counts.excluded, partition.counts.accepted, partition.counts.late) == (1, 2, 0)


def test_counts_tell_late_from_too_late() -> None:
    partition = PartitionProcessor(SHOP)
    for at in [T0, T0 - 1, T0 - LATENESS, T0 - LATENESS - 1]:
        partition.apply(browsing("c", at), at)
    assert (partition.counts.accepted, partition.counts.late, partition.counts.too_late) == (4, 2, 1)


def test_events_that_stir_are_scored() -> None:
    partition = PartitionProcessor(SHOP)
    partition.apply(order("c", T0, "first"), T0)
    for at in range(T0 + 1, T0 + 41):
        partition.apply(browsing("c", at), at)
    partition.finish(trained_model())
    assert partition.counts.scored == 40


def test_the_last_order_is_kept_to_the_microsecond() -> None:
    for at in range(T0 + 123_456_789, T0 + 123_456_789 + 50):
        partition = PartitionProcessor(Settings())
        partition.apply(order("c", at), at)
        assert round(partition.customers["c"].vector[LAST_ORDER] * DAY_US) == at


def test_a_customer_is_bounded_whatever_he_does() -> None:
    partition, sizes = PartitionProcessor(SHOP), []
    kinds: list[Any] = [order, browsing]
    for i in range(600):
        at = T0 + i * DAY_US // 8
        partition.apply(kinds[i % 2]("c", at, category=f"g{i}"), at)
        partition.finish(trained_model())
        customer = partition.customers["c"]
        (stored,) = encode_customers([customer], partition.ranking)
        assert len(stored) <= max_bytes(len(customer.waiting))
        sizes.append(len(customer.vector) + len(customer.ids) + len(customer.waiting))
        assert len(customer.waiting) <= (HORIZON + LATENESS) // PERIOD + 2
    assert len(set(sizes[300:])) <= 2  # nothing grows any more: decisions come and go
