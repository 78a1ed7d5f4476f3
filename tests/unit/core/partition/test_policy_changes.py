"""A policy that changes while the shop runs: at the tick that names it, on all partitions, as in a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.alerts.sla import breach_id
from stream_app.core.allocation.allocator import Allocator
from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import Event, encode
from stream_app.core.messages.alerts import AlertHeldOut, AlertOpened
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outgoing import unpack
from stream_app.core.messages.schema import PolicyRecord, encode_message
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.policy import Capacity, Cases, Contacts, Currency, Policy
from stream_app.core.policy.published import content_of, obstacle
from stream_app.core.settings import Settings
from stream_app.core.state.vector import SLOT
from stream_app.core.units import DAY_US, HOUR_US, from_micros
from stream_app.core.uplift.holdout import Holdout
from tests.harness.in_memory import TOPICS, MemorySystem, publish, tick
from tests.harness.shops import PLANNED, SHOP, T0, complaint, order, trained_model
from tests.unit.core.partition.test_task import (
    COSTLY,
    RUNS,
    as_read,
    assert_same,
    busy_log,
    fetch,
    replayed,
    sent,
    steps_of,
)

FEW = Policy(capacity=Capacity(per_day=1), cases=Cases(expire_after=2 * DAY_US, cooldown=0), contacts=Contacts(7))
MANY = Policy(capacity=Capacity(per_day=4), cases=Cases(expire_after=5 * DAY_US, cooldown=0), contacts=Contacts(7))
SPRING, SUMMER = (Policy(holdout=Holdout(0.4, name)) for name in ("spring", "summer"))
NOON = T0 + 20 * DAY_US + 12 * HOUR_US
ROUND = T0 + 28 * DAY_US + 9 * HOUR_US  # an allocation on a Monday


def record(at: int, policy: Policy) -> PolicyRecord:
    return PolicyRecord(from_micros(at), policy.version, msgspec.Raw(content_of(policy)))


CHANGES = [record(NOON, FEW), record(ROUND, MANY)]


def run(
    events: Sequence[Event], shop: Settings, partitions: int, seed: int, crashes: float, changes: Sequence[PolicyRecord]
) -> MemorySystem:
    topics = publish(events, shop, partitions, changes)
    return MemorySystem(topics, shop, seed, Limits(events=3, decisions=5), crashes, changes).run()


# --- live as in a replay ----------------------------------------------------------------------------------------------


@COSTLY
@given(
    *RUNS,
    st.sampled_from((SHOP, PLANNED)),
    st.lists(st.tuples(st.integers(0, 40 * 24), st.sampled_from((FEW, MANY, SUMMER))), max_size=4),
)
def test_a_policy_changes_as_in_the_replay(
    events: list[Event],
    partitions: int,
    seed: int,
    crashes: float,
    shop: Settings,
    changes: list[tuple[int, Policy]],
) -> None:
    records = [
        record(T0 + hour * HOUR_US, policy if shop.plans_calls or policy.holdout is None else FEW)
        for hour, policy in sorted(changes, key=lambda one: one[0])
    ]
    system = run(events, shop, partitions, seed, crashes, records)
    assert_same(system, replayed(events, shop, partitions, records))


@pytest.mark.parametrize("crashes", [0.0, 0.05])
def test_alerts_change_at_the_tick_whatever_the_partitions(crashes: float) -> None:
    events, found = as_read(busy_log(1)), []
    for partitions in (1, 3):
        system = run(events, PLANNED, partitions, 1, crashes, CHANGES)
        assert_same(system, replayed(events, PLANNED, partitions, CHANGES))
        opened = {one.alert_id: one for one in system.alerts if isinstance(one, AlertOpened)}
        found.append(sorted((one.opened_at, one.customer_id, one.expires_at, one.policy) for one in opened.values()))
        assert {task.summary.policy for task in system.tasks.values()} == {MANY.version}
    assert found[0] == found[1]
    before, few, many = (
        [one for one in found[0] if one[3] == policy.version] for policy in (PLANNED.policy, FEW, MANY)
    )
    assert max(one[0] for one in before) < from_micros(NOON) < min(one[0] for one in few)
    assert min(one[0] for one in many) == from_micros(ROUND)  # the round of a tick follows the policy that it names
    assert max(Counter(one[0] for one in few).values()) == 1
    assert max(Counter(one[0] for one in many).values()) > 2


def test_a_redis_that_was_set_back_follows_the_policies_again() -> None:
    events = as_read(busy_log(2))
    topics = publish(events, PLANNED, 2, CHANGES)
    system = MemorySystem(topics, PLANNED, 1, Limits(events=3, decisions=5), policies=CHANGES)
    saved = system.run(150).save()
    system.run(300)
    system.rolled_back(saved)
    assert_same(system.run(), replayed(events, PLANNED, 2, CHANGES))


def test_an_experiment_begins_and_is_followed_by_another_one() -> None:
    events, changes = as_read(busy_log(2)), [record(T0 + 5 * DAY_US, SPRING), record(ROUND, SUMMER)]
    system = run(events, PLANNED, 2, 1, 0.05, changes)
    replay = replayed(events, PLANNED, 2, changes)
    assert_same(system, replay)
    drawn = [one for one in system.alerts if isinstance(one, AlertHeldOut)]
    assert {(one.experiment, one.policy) for one in drawn} == {
        ("spring", SPRING.version),
        ("summer", SUMMER.version),
    }
    assert replay.outcome.measured is not None
    assert replay.outcome.measured.holdout == SUMMER.holdout


# --- one partition ----------------------------------------------------------------------------------------------------


def test_a_tick_whose_policy_is_unknown_waits_and_the_records_after_it_too() -> None:
    model, shop = ChurnModel.of(PLANNED), PLANNED.with_policy(MANY)
    task = PartitionTask(0, TOPICS, PLANNED, Limits())
    task.begin(b"", b"")
    orders = [encode(order("c", T0)), encode(order("d", T0 + 2 * DAY_US))]
    fetch(task, orders=orders, ticks=[tick(T0 + DAY_US, policy=MANY.version, nominates=True)])
    step = task.step(model)
    assert step is not None
    assert step.events["orders"] == 1
    assert (task.step(model), task.policies.missing) == (None, MANY.version)
    task.policies.add(shop)
    step = task.step(model)
    assert step is not None
    (batch,) = sent([step], "nominations")
    assert unpack(batch.payload, CandidateBatch).policy == MANY.version
    assert (task.summary.policy, task.processor.settings, task.policies.missing) == (MANY.version, shop, "")
    steps_of(task)
    assert set(task.processor.customers) == {"c", "d"}
    # After a restart, ticks that were applied before name policies that need not be known.
    again = PartitionTask(0, TOPICS, shop, Limits())
    again.begin(task.base, msgspec.json.encode(task.summary))
    fetch(again, ticks=[tick(T0 + HOUR_US, policy="gone")])
    steps_of(again)
    assert (again.policies.missing, again.summary.policy) == ("", MANY.version)


def test_a_policy_on_the_control_topic_holds_nothing_back() -> None:
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.begin(b"", b"")
    far = encode_message(record(T0 + 90 * DAY_US, FEW)).replace(b'"capacity"', b'"a_later_rule"')
    fetch(task, control=[far], orders=[encode(order("c", T0))])
    (step,) = steps_of(task)
    assert (step.events["control"], step.events["orders"], sent([step], "dead_letters")) == (1, 1, [])
    assert task.processor.stream_time == T0


def test_an_amount_is_converted_by_the_rates_of_its_time() -> None:
    shops = [PLANNED.with_policy(Policy(currency=Currency("CNY", {"EUR": rate}))) for rate in (8.0, 9.0)]
    processor = PartitionProcessor(shops[0])
    processor.apply(order("c", T0, amount=1.0, currency="EUR"), T0)
    processor.use(shops[1])
    processor.apply(order("c", T0 + 1, amount=1.0, currency="EUR"), T0 + 1)
    assert processor.customers["c"].vector[SLOT["money"]] == 17.0


@pytest.mark.parametrize("shop", [SHOP, PLANNED])
@pytest.mark.parametrize("days", [1, 30])
def test_urgent_cases_end_as_after_a_restart_with_the_new_policy(shop: Settings, days: int) -> None:
    changed = shop.with_policy(Policy(cases=Cases(expire_after=days * DAY_US)))
    answered = ComplaintAction.ANSWERED
    events: list[Event] = [
        order("c", T0),
        complaint("d", T0, complaint_id="1"),
        complaint("d", T0 + HOUR_US, action=answered, complaint_id="1"),
        complaint("c", T0 + 2 * HOUR_US, complaint_id="2"),
    ]
    processor, model = PartitionProcessor(shop), trained_model()
    for event in events:
        processor.apply(event, event.at)
    processor.advance(T0 + 4 * DAY_US)
    processor.finish(model)
    case = next(name for name, note in processor.alerts.take_notes().items() if note)
    processor.use(changed)
    processor.finish(model)
    open_now = processor.alerts.take_notes().get(case, b"open")
    # Cases of shops that rank by risk have no end of their own; others keep the end that they were opened with.
    assert bool(open_now) == (shop.plans_calls or days == 30)
    if shop.plans_calls:
        assert processor.customers["c"].cases
        processor.advance(T0 + 16 * DAY_US)
        processor.finish(model)
        assert processor.alerts.take_notes()[case] == b""
    elif days == 30:
        assert case == breach_id("c", (T0 + 2 * HOUR_US + DAY_US, "unanswered"))
        processor.advance(T0 + 30 * DAY_US)
        processor.finish(model)
        assert case not in processor.alerts.take_notes()
        processor.advance(T0 + 32 * DAY_US)
        processor.finish(model)
        assert processor.alerts.take_notes()[case] == b""


# --- allocator --------------------------------------------------------------------------------------------------------


def test_the_allocator_waits_for_the_policy_of_the_partitions() -> None:
    allocator = Allocator(2, PLANNED, lambda _: 0)
    for number, policy in enumerate((MANY, FEW)):
        allocator.push(number, 0, 1, CandidateBatch(ROUND, [], policy=policy.version))
    assert (allocator.decide(), allocator.missing_policy) == (None, MANY.version)
    allocator.policies.add(PLANNED.with_policy(MANY))
    decided = allocator.decide()
    assert decided is not None
    assert decided.policies == [MANY.version, FEW.version]
    assert allocator.missing_policy == ""


def test_a_batch_of_an_earlier_release_names_no_policy() -> None:
    allocator = Allocator(1, PLANNED, lambda _: 0)
    allocator.push(0, 0, 1, CandidateBatch(ROUND, []))
    decided = allocator.decide()
    assert decided is not None
    assert decided.policies == [""]


# --- settings and refused changes -------------------------------------------------------------------------------------


def test_a_policy_replaces_the_one_before_it_entirely() -> None:
    lull = Policy(campaigns=(Campaign("lull", from_micros(T0).date(), from_micros(T0).date()),))
    assert PLANNED.with_policy(MANY).with_policy(lull) == PLANNED.with_policy(lull)
    assert PLANNED.with_policy(lull).with_policy(lull).campaigns == lull.campaigns


def test_what_a_running_shop_cannot_change_is_refused() -> None:
    euros = Policy(currency=Currency("EUR"))
    yuan = Policy(currency=Currency("CNY", {"EUR": 8.0}))
    none, spring = Holdout(), Holdout(0.4, "spring")
    assert obstacle(yuan, none, euros, [])[0] == "currency.base"
    assert obstacle(MANY, none, euros, [])[0] == "currency.base"
    assert obstacle(yuan, none, MANY, []) == ("", "", "")
    assert obstacle(Policy(currency=Currency("CNY", {"EUR": 9.0})), none, yuan, []) == ("", "", "")
    for after in (Holdout(0.4, "spring", planned=9), Holdout(0.4, "spring", window=DAY_US)):
        field, problem, _ = obstacle(MANY, after, MANY, [spring, Holdout(0.2, "summer")])
        assert field == "holdout"
        assert "'spring'" in problem
    for allowed in (spring, Holdout(0.2, "spring"), Holdout(0.2, "autumn"), none):
        assert obstacle(MANY, allowed, MANY, [spring]) == ("", "", "")
