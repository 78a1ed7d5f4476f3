"""Service targets: who misses one is told of at once, once, whatever the batches, the partitions and the crashes."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from stream_app.core.alerts.sla import breach_id
from stream_app.core.alerts.staff_actions import AlertNote
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm
from stream_app.core.events.schema import Complaint, Event
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.partition.alert_records import urgent_alerts
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.score_batch import Effects
from stream_app.core.policy.policy import Contacts, Policy
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from tests.harness.shops import T0, browsing, complaint, order, planning_model

SHOP: Final = Settings(rank_by="risk", alert_above=0.99)
MODEL: Final = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)
# The shop is known to say when complaints are answered and solved.
BEFORE: Final = [
    complaint("zoe", T0 - 9 * DAY_US),
    complaint("zoe", T0 - 9 * DAY_US + 1, action=ComplaintAction.ANSWERED),
    complaint("zoe", T0 - 9 * DAY_US + 2, action=ComplaintAction.RESOLVED),
]


def step(hours: float, action: ComplaintAction = ComplaintAction.OPENED, case: str = "k", **fields: Any) -> Event:
    return complaint("ann", T0 + round(hours * HOUR_US), action=action, complaint_id=case, **fields)


def partition_with(*events: Event, settings: Settings = SHOP) -> PartitionProcessor:
    partition = PartitionProcessor(settings)
    for one in (*BEFORE, *events):
        partition.apply(one, one.at)
    return partition


def told(*effects: Effects) -> list[tuple[str, float]]:
    """Urgent alerts as (kind, hours after T0), and those that have ended."""
    opened = [(one.kind, (one.candidate.at - T0) / HOUR_US) for each in effects for one in each.breaches]
    return sorted(opened) + [("met", (one.at - T0) / HOUR_US) for each in effects for one in each.ended]


def after(partition: PartitionProcessor, hours: float) -> Effects:
    partition.advance(T0 + round(hours * HOUR_US))
    return partition.finish(MODEL)


ANSWERED, RESOLVED, REOPENED = ComplaintAction.ANSWERED, ComplaintAction.RESOLVED, ComplaintAction.REOPENED
MINUTE: Final = 1 / 60


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([step(0)], [("unanswered", 24.0), ("unsolved", 72.0)]),
        ([step(0), step(24, ANSWERED)], [("unsolved", 72.0)]),
        ([step(0), step(23, ANSWERED), step(72, RESOLVED)], []),
        ([step(0), step(30, ANSWERED)], [("unanswered", 24.0), ("unsolved", 72.0), ("met", 30.0)]),
        ([step(0), step(30, RESOLVED)], [("unanswered", 24.0), ("met", 30.0)]),
        ([step(0), step(1, RESOLVED), step(9, REOPENED)], [("unanswered", 33.0), ("unsolved", 81.0)]),
        ([step(0), step(0, case="other")], [("unanswered", 24.0), ("unsolved", 72.0)]),
        ([step(0), step(0, case="other"), step(80, RESOLVED)], [("unanswered", 24.0), ("unsolved", 72.0)]),
        ([step(0, form=ComplaintForm.LOW_REVIEW)], []),
    ],
)
def test_a_target_is_missed_when_nothing_was_done_in_time(
    steps: list[Event], expected: list[tuple[str, float]]
) -> None:
    assert told(after(partition_with(order("ann", T0 - DAY_US), *steps), 100)) == expected


@pytest.mark.parametrize(
    "complaints",
    [
        [step(6 * place, case=str(place)) for place in range(20)],
        [step(6 * place, case=str(place), order_id="o") for place in range(20)],
        [step(6 * place) for place in range(20)],
        [step(6 * place, case="") for place in range(20)],
        [step(0), *(step(6 * place, REOPENED) for place in range(1, 20))],
    ],
    ids=["ids", "ids and order", "one id", "no id", "reopened"],
)
def test_who_complains_every_six_hours_becomes_urgent_and_an_answer_to_the_first_ends_it(
    complaints: list[Event],
) -> None:
    partition = partition_with(*complaints[:5])
    assert told(after(partition, 24 + MINUTE)) == [("unanswered", 24.0)]
    for one in complaints[5:]:
        partition.apply(one, one.at)
    until = after(partition, 19 * 6 + 1)
    assert ("unsolved", 72.0) in told(until)
    assert until.ended == []
    first = complaints[0]
    assert isinstance(first, Complaint)
    answer = step(120, ANSWERED, case=first.complaint_id or "", order_id=first.order_id)
    partition.apply(answer, answer.at)
    assert breach_id("ann", (T0 + DAY_US, "unanswered")) in {one.alert_id for one in partition.finish(MODEL).ended}


def test_time_alone_tells_and_not_before_it_has_passed_the_target() -> None:
    partition = partition_with(step(0))
    assert told(after(partition, 24)) == []
    assert told(after(partition, 24 + MINUTE)) == [("unanswered", 24.0)]
    assert told(after(partition, 200)) == [("unsolved", 72.0)]


def test_an_event_of_somebody_else_moves_time_past_the_target() -> None:
    partition = partition_with(step(0), browsing("bob", T0 + 25 * HOUR_US))
    assert told(partition.finish(MODEL)) == [("unanswered", 24.0)]


def test_a_complaint_that_comes_late_is_told_of_when_it_comes() -> None:
    partition = partition_with(browsing("bob", T0 + 30 * HOUR_US), step(0))
    assert told(partition.finish(MODEL)) == [("unanswered", 24.0)]
    late = step(20, ANSWERED)  # it was answered in time after all
    partition.apply(late, late.at)
    assert told(partition.finish(MODEL)) == [("met", 20.0)]


def test_a_shop_that_never_says_what_becomes_of_complaints_hears_of_none() -> None:
    partition = PartitionProcessor(SHOP)
    for one in (order("ann", T0), step(1)):
        partition.apply(one, one.at)
    assert told(after(partition, 500)) == []


def test_targets_are_settings_and_nought_turns_them_off() -> None:
    own = msgspec.structs.replace(SHOP, answer_within=2 * HOUR_US, solve_within=0)
    assert told(after(partition_with(step(0), settings=own), 500)) == [("unanswered", 2.0)]


@pytest.mark.parametrize("cuts", [(), (10,), (23, 24, 25, 71, 73), tuple(range(1, 100))])
def test_batches_and_restarts_change_nothing(cuts: tuple[int, ...]) -> None:
    whole = after(partition_with(order("ann", T0 - DAY_US), step(0), step(5, case="b")), 100)
    partition, effects = partition_with(order("ann", T0 - DAY_US), step(0), step(5, case="b")), []
    for hours in (*cuts, 100):
        effects.append(after(partition, hours))
        partition = restarted(partition)
    parts = [record for each in effects for record in urgent_alerts(0, each.breaches, each.ended)]
    assert parts == urgent_alerts(0, whole.breaches, whole.ended)
    assert len(parts) == 4


def restarted(old: PartitionProcessor) -> PartitionProcessor:
    """A partition that knows nothing but what is stored."""
    new = PartitionProcessor(old.settings)
    customers = list(old.customers.values())
    values = encode_customers(customers, old.ranking)
    stored = [(one.name, value) for one, value in zip(customers, values, strict=True)]
    restored = decode_customers(stored, old.settings.horizon)
    new.working_set.add(restored.customers)
    restored.rank(new.ranking)
    new.stream_time, new.explainer.shops = old.stream_time, Shops(old.explainer.shops.known)
    new.finish_restore()
    return new


def test_an_urgent_alert_says_all_that_an_alert_says_at_any_risk() -> None:
    known = complaint("yan", T0 - 2 * DAY_US, action=ComplaintAction.ANSWERED, shop_id="north")
    ordered = order("ann", T0 - DAY_US, amount=30.0, shop_id="north")
    effects = after(partition_with(known, ordered, step(0, shop_id="north")), 25)
    (record,) = urgent_alerts(3, effects.breaches, effects.ended)
    alert = msgspec.json.decode(record.payload, type=AlertOpened)
    assert (record.topic, record.partition, record.key) == ("alerts", 3, b"ann")
    assert (alert.urgent, alert.rank, alert.shop_id, alert.customer_id) == (True, 0, "north", "ann")
    assert alert.opened_at == EPOCH + (T0 + DAY_US) * MICROSECOND
    assert alert.expires_at == EPOCH + (T0 + DAY_US + SHOP.alert_lifetime) * MICROSECOND
    assert 0.0 < alert.probability < SHOP.alert_above
    assert alert.explanation.evidence[0].rule == "unanswered"
    assert alert.explanation.evidence[0].numbers == {"hours": 24.0}
    assert alert.explanation.segment == "complaining"
    assert alert.explanation.causes


def test_an_urgent_alert_carries_the_contact_hours_of_the_policy() -> None:
    shop = SHOP.with_policy(Policy(contacts=Contacts(working_hours="09:00-18:00")))
    partition = partition_with(order("ann", T0 - DAY_US), step(0), settings=shop)
    effects = after(partition, 25)
    (alert,) = [msgspec.json.decode(one.payload, type=AlertOpened) for one in urgent_alerts(0, effects.breaches, [])]
    note = msgspec.json.decode(partition.alerts.take_notes()[alert.alert_id], type=AlertNote)
    assert alert.contact_rules == note.contact_rules == ContactRules(("09:00-18:00",), SHOP.zone)


def test_who_has_never_ordered_has_no_risk_and_is_told_of_all_the_same() -> None:
    effects = after(partition_with(step(0)), 25)
    (alert,) = [msgspec.json.decode(one.payload, type=AlertOpened) for one in urgent_alerts(0, effects.breaches, [])]
    assert (alert.probability, alert.silent_days, alert.usual_gap_days) == (0.0, 1.0, None)


def test_the_end_has_the_id_of_the_beginning() -> None:
    effects = after(partition_with(order("ann", T0), step(0), step(30, ANSWERED)), 40)
    opened, closed = (record.payload for record in urgent_alerts(0, effects.breaches, effects.ended))
    first, last = msgspec.json.decode(opened, type=AlertOpened), msgspec.json.decode(closed, type=AlertClosed)
    assert first.alert_id == last.alert_id
    assert (last.reason, last.customer_id) == ("met", "ann")


def test_the_ranking_hears_nothing_of_it() -> None:
    quiet = msgspec.structs.replace(SHOP, answer_within=0, solve_within=0)
    events = [order("ann", T0 - DAY_US), step(0)]
    partitions = [partition_with(*events), partition_with(*events, settings=quiet)]
    for partition in partitions:
        after(partition, 100)
    with_targets, without = (partition.ranking.latest(partition.customers["ann"].index) for partition in partitions)
    assert with_targets == without


# --- one case per complaint ------------------------------------------------------------------------------------------

ONE_CASE: Final = msgspec.structs.replace(SHOP, rank_by="worth")
PLANNING: Final = planning_model()


def test_an_answer_ends_a_case_in_a_shop_that_never_says_when_complaints_are_solved() -> None:
    partition, effects = PartitionProcessor(ONE_CASE), []
    for one in (*BEFORE[:2], order("ann", T0 - DAY_US), step(0), step(30, ANSWERED)):
        partition.apply(one, one.at)
        effects.append(partition.finish(PLANNING))
    effects.append(cases_after(partition, 100))
    assert told(*effects) == [("unanswered", 24.0), ("met", 30.0)]


def cases_after(partition: PartitionProcessor, hours: float) -> Effects:
    partition.advance(T0 + round(hours * HOUR_US))
    return partition.finish(PLANNING)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([step(0)], [("unanswered", 24.0)]),
        ([step(0), step(24, ANSWERED)], [("unsolved", 72.0)]),
        ([step(0), step(23, ANSWERED), step(72, RESOLVED)], []),
        ([step(0), step(30, ANSWERED)], [("unanswered", 24.0)]),  # an answer does not solve it
        ([step(0), step(30, ANSWERED), step(31, ANSWERED), step(90, RESOLVED)], [("unanswered", 24.0), ("met", 90.0)]),
        ([step(0), step(20, ANSWERED), step(30, ANSWERED)], [("unsolved", 72.0)]),
        ([step(0), step(30, RESOLVED)], [("unanswered", 24.0), ("met", 30.0)]),
        ([step(0), step(1, RESOLVED), step(9, REOPENED)], [("unanswered", 33.0)]),
        ([step(0), step(30, ANSWERED), step(40, REOPENED)], [("unanswered", 24.0)]),
        ([step(0), step(30, ANSWERED), step(40, REOPENED), step(90, RESOLVED)], [("unanswered", 24.0), ("met", 90.0)]),
        ([step(0), step(0, case="other")], [("unanswered", 24.0)]),
        ([step(0), step(5, case="other")], [("unanswered", 24.0), ("unanswered", 29.0)]),
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_a_complaint_opens_one_case_that_lasts_until_it_is_solved(
    steps: list[Event], expected: list[tuple[str, float]], restarts: bool
) -> None:
    partition, effects = partition_with(order("ann", T0 - DAY_US), settings=ONE_CASE), []
    for hour in range(1, 101):
        for one in steps:
            if T0 + (hour - 1) * HOUR_US <= one.at < T0 + hour * HOUR_US:
                partition.apply(one, one.at)
        effects.append(cases_after(partition, hour))
        partition = restarted(partition) if restarts else partition
    assert told(*effects) == expected
    ids = [one.alert_id for each in effects for one in each.breaches]
    assert len(set(ids)) == len(ids)
    assert {one.alert_id for each in effects for one in each.ended} <= set(ids)


def test_a_case_that_expires_opens_no_other() -> None:
    partition = partition_with(order("ann", T0 - DAY_US), step(0), settings=ONE_CASE)
    (breach,) = cases_after(partition, 25).breaches
    customer, watch, shop = partition.customers["ann"], partition.alerts.sla, KnownShop()
    found = watch.open_case(customer, breach.alert_id, T0 + 2 * DAY_US, shop)
    assert found is not None
    assert found[1].expires_at == breach.expires_at
    assert cases_after(partition, 24 * (2 + ONE_CASE.alert_lifetime // DAY_US)).breaches == []
    assert partition.alerts.take_notes()[breach.alert_id] == b""
    assert watch.open_case(customer, breach.alert_id, partition.stream_time, shop) is None


def review(hours: float, rating: int = 1) -> Event:
    return complaint("ann", T0 + round(hours * HOUR_US), form=ComplaintForm.LOW_REVIEW, rating=rating)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([review(1)], [("low_review", 1.0)]),
        ([review(1), review(2)], [("low_review", 1.0)]),
        ([review(1, rating=5)], []),
        ([review(1), review(20 * 24)], [("low_review", 1.0), ("low_review", 480.0)]),  # the first has expired
        ([review(1), step(2)], [("low_review", 1.0), ("unanswered", 26.0)]),
    ],
)
def test_a_low_review_opens_a_case_at_once(steps: list[Event], expected: list[tuple[str, float]]) -> None:
    partition, effects = partition_with(order("ann", T0 - DAY_US), settings=ONE_CASE), []
    for one in steps:
        partition.apply(one, one.at)
        effects.append(partition.finish(PLANNING))
        partition = restarted(partition)
    effects.append(cases_after(partition, (steps[-1].at - T0) / HOUR_US + 25))
    assert told(*effects) == expected
    for kind, breach in ((one.kind, one) for each in effects for one in each.breaches):
        assert breach.candidate.explanation.evidence[0].rule == kind
    cases_after(partition, (steps[-1].at - T0) / HOUR_US + 24 * 20)
    assert not any(partition.alerts.take_notes().values())  # expired cases are removed


def switched(old: PartitionProcessor, settings: Settings) -> PartitionProcessor:
    """The stored partition, started with other settings."""
    old.settings = settings
    return restarted(old)


def test_an_alert_for_a_target_becomes_the_case_of_its_complaint_when_calls_are_planned() -> None:
    by_risk = msgspec.structs.replace(ONE_CASE, rank_by="risk")
    partition = partition_with(order("ann", T0 - DAY_US), step(0), settings=by_risk)
    (breach,) = after(partition, 25).breaches
    partition = switched(partition, ONE_CASE)
    customer, shop = partition.customers["ann"], partition.explainer.shop_of(partition.customers["ann"])
    found = partition.alerts.sla.open_case(customer, breach.alert_id, T0 + 30 * HOUR_US, shop)
    assert found is not None
    assert found[1].expires_at == breach.expires_at
    assert cases_after(partition, 80).breaches == []  # the other target opens no second one
    solved = step(90, RESOLVED)
    partition.apply(solved, solved.at)
    assert [one.alert_id for one in partition.finish(PLANNING).ended] == [breach.alert_id]


def test_a_case_can_be_worked_on_and_expires_when_alerts_are_ranked_by_risk_again() -> None:
    partition = partition_with(order("ann", T0 - DAY_US), step(0), settings=ONE_CASE)
    (breach,) = cases_after(partition, 25).breaches
    partition = switched(partition, msgspec.structs.replace(ONE_CASE, rank_by="risk"))
    customer, shop = partition.customers["ann"], partition.explainer.shop_of(partition.customers["ann"])
    assert partition.alerts.sla.open_case(customer, breach.alert_id, T0 + 30 * HOUR_US, shop) is not None
    after(partition, 24 * 17)
    assert partition.alerts.take_notes()[breach.alert_id] == b""


@pytest.mark.parametrize("steps", [[step(0), step(30, ANSWERED)], [step(0), step(30, ANSWERED), step(40, REOPENED)]])
def test_a_case_expires_in_time_also_after_a_restart(steps: list[Event]) -> None:
    partition = partition_with(order("ann", T0 - DAY_US), settings=ONE_CASE)
    for hour in range(1, 50):
        for one in steps:
            if T0 + (hour - 1) * HOUR_US <= one.at < T0 + hour * HOUR_US:
                partition.apply(one, one.at)
        cases_after(partition, hour)
    (case,) = partition.customers["ann"].cases.values()
    partition = restarted(partition)
    cases_after(partition, (case.expires_at - T0) / HOUR_US)
    assert case.alert_id not in partition.alerts.take_notes()
    cases_after(partition, (case.expires_at - T0) / HOUR_US + MINUTE)
    assert partition.alerts.take_notes()[case.alert_id] == b""
    history = partition.customers["ann"].history
    assert history is not None
    assert history.ended_at == case.expires_at
