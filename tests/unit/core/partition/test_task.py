"""Lanes, trainer and desk against a replay: the same log must come to the same, whatever the interleaving."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from stream_app.core.alerts.contact_history import COOLDOWN
from stream_app.core.alerts.lifecycle import EXPIRED
from stream_app.core.allocation.allocator import MOMENTS_AHEAD, Allocator
from stream_app.core.customers.customer import Customer
from stream_app.core.events.enumerations import ContactAction
from stream_app.core.events.schema import Contact, Event, encode
from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertOpened, decode_alert
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import Outgoing, pack, unpack
from stream_app.core.messages.schema import (
    AlertAction,
    AlertOpening,
    AlertStep,
    AllocationDone,
    CandidateRecord,
    PolicyRecord,
    encode_message,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured, Pending
from stream_app.core.model.snapshot import fingerprint
from stream_app.core.partition.alert_records import closed_alerts, opening, urgent_alerts
from stream_app.core.partition.outbox import labelled
from stream_app.core.partition.progress import Hold, Summary
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.policy.policy import Benefit, Capacity, Cases, Contacts, Policy
from stream_app.core.settings import Settings
from stream_app.core.state.counters import COUNTER, contacts_per_week
from stream_app.core.training.trainer import DAYS_AHEAD, Trainer
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND, NEVER
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import UnusableState
from stream_app.publish.sender import ROLES as EVENT_ROLES
from stream_app.replay.runner import Replay
from tests.harness.in_memory import APPENDED_MS, TOPICS, MemorySystem, Record, Topics, publish, tick
from tests.harness.shops import PLANNED, SHOP, T0, browsing, logs, order


def as_read(events: list[Event]) -> list[Event]:
    """In the order in which a replay reads a log: by time, then kind."""
    return sorted(events, key=lambda event: (event.at, ROLES.index(EVENT_ROLES[type(event)])))


def replayed(events: Sequence[Event], shop: Settings, partitions: int, policies: Sequence[PolicyRecord] = ()) -> Replay:
    replay = Replay(shop, partitions, policies=policies)
    replay.run([list(events)])
    return replay


def decisions_of(replay: Replay) -> dict[tuple[str, int], tuple[int, float, int]]:
    """(customer, decided_at) -> label or -1, probability, version."""
    found = replay.outcome.columns.decisions()
    rows = zip(found.customer, found.decided_at, found.label, found.probability, found.version, strict=True)
    return {(found.customers[c], int(at)): (int(label), float(p), int(v)) for c, at, label, p, v in rows}


def waits_of(customer: Customer) -> list[tuple[object, ...]]:
    """What is kept of each decision that has no label yet."""
    return [(p.decided_at, p.features, p.log_odds, p.probability, p.returned, p.counted) for p in customer.waiting]


def assert_same(system: MemorySystem, replay: Replay) -> None:
    """States, decisions, features, labels, models and alerts."""
    # 1. States.
    for task, partition in zip(system.tasks.values(), replay.partitions, strict=True):
        assert set(task.processor.customers) == set(partition.customers)
        for name, customer in task.processor.customers.items():
            known = partition.customers[name]
            assert customer.vector == known.vector, name
            assert customer.counters == known.counters, name
            assert customer.ids == known.ids
            assert (customer.due, customer.fresh, customer.consent) == (known.due, known.fresh, known.consent)
            assert waits_of(customer) == waits_of(known)
            assert (customer.alert is None) == (known.alert is None)
            assert (customer.history, customer.draw) == (known.history, known.draw)
    # 2. Labels, with the probabilities that were given.
    told = {}
    for outgoing in system.sent_to("labelled"):
        for one in unpack(outgoing.payload, LabelledBatch).examples:
            told[one.customer, one.decided_at] = (one.label, one.probability, one.version)
    assert told == {key: row for key, row in decisions_of(replay).items() if row[0] >= 0}
    # 3. What was learned.
    assert fingerprint(system.training.churn_model) == fingerprint(replay.churn_model)
    # 4. Alerts, each once.
    outcome = replay.outcome
    records = [opening(0, alert, 0)[0] for alert in outcome.opened]
    records += [*urgent_alerts(0, outcome.breaches, outcome.ended), *closed_alerts(0, outcome.closed)]
    expected = [decode_alert(one.payload) for one in records]
    for kind in (AlertOpened, AlertHeldOut, AlertClosed):
        came = {one.alert_id: one for one in system.alerts if isinstance(one, kind)}
        assert came == {one.alert_id: one for one in expected if isinstance(one, kind)}


LOGS = logs(customers=6, max_size=40, contacts=True).map(as_read)
# Each example runs a whole system, for a quarter of a second.
COSTLY = settings(max_examples=settings().max_examples * 2 // 5)


@COSTLY
@given(LOGS, st.integers(1, 3), st.integers(0, 2**32))
def test_a_published_log_comes_to_what_its_replay_says(events: list[Event], partitions: int, seed: int) -> None:
    system = MemorySystem(publish(events, SHOP, partitions), SHOP, seed).run()
    assert_same(system, replayed(events, SHOP, partitions))


@COSTLY
@given(LOGS, st.integers(1, 3), st.integers(0, 2**32))
def test_lanes_trainer_and_desk_may_crash_at_any_moment(events: list[Event], partitions: int, seed: int) -> None:
    system = MemorySystem(publish(events, SHOP, partitions), SHOP, seed, crashes=0.1).run()
    assert_same(system, replayed(events, SHOP, partitions))


FOLLOWING = Limits(events=7, decisions=5, follows=True)
# A log, the number of partitions, a seed, and how often a process crashes.
RUNS = (
    logs(customers=6, max_size=40, contacts=True).map(as_read),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.sampled_from((0, 0.1)),
)


@COSTLY
@given(*RUNS)
def test_a_log_that_is_published_meanwhile_comes_to_what_its_replay_says(
    events: list[Event], partitions: int, seed: int, crashes: float
) -> None:
    system = MemorySystem(Topics(partitions), SHOP, seed, FOLLOWING, crashes).run_while_publishing(
        publish(events, SHOP, partitions)
    )
    assert_same(system, replayed(events, SHOP, partitions))
    assert not any(task.processor.counts.late or task.processor.counts.too_late for task in system.tasks.values())


def busy_log(seed: int) -> list[Event]:
    """Eight weeks of a shop in which something matures on every day."""
    rng = Random(seed)
    moments = sorted(rng.randrange(56 * 24) * HOUR_US for _ in range(150))
    return [order(f"c{rng.randrange(12)}", T0 + at, event_id=f"e{place}") for place, at in enumerate(moments)]


@pytest.mark.parametrize("seed", range(3))
def test_a_redis_that_was_set_back_is_caught_up_from_kafka(seed: int) -> None:
    """Void is also what the trainer has not learned yet, and what it has: both are told again."""
    events, rng = as_read(busy_log(seed)), Random(seed)
    replay = replayed(events, SHOP, 2)
    dropped = learned = 0
    for _ in range(4):
        system = MemorySystem(
            publish(events, SHOP, 2), SHOP, rng.randrange(1 << 30), Limits(events=3, decisions=5), 0.01
        )
        saved = system.run(rng.randrange(250)).save()  # of some 500 turns
        system.run(rng.randrange(250))
        dropped += sum(len(waiting) for waiting in system.training.waiting.values())
        system.rolled_back(saved)
        assert_same(system.run(), replay)
        learned += any(floor > NEVER for floor in system.training._floors.values())
    assert dropped
    assert learned


@COSTLY
@given(
    logs(customers=6, max_size=40, contacts=True).map(as_read),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.sampled_from((0, 0.1)),
)
def test_planned_calls_are_those_of_the_replay(events: list[Event], partitions: int, seed: int, crashes: float) -> None:
    system = MemorySystem(publish(events, PLANNED, partitions), PLANNED, seed, crashes=crashes).run()
    assert_same(system, replayed(events, PLANNED, partitions))


@pytest.mark.parametrize("rank_by", ["worth", "reach"])
def test_calls_are_planned_the_same_across_crashes_once_hazards_are_learned(rank_by: str) -> None:
    shop = msgspec.structs.replace(SHOP, rank_by=rank_by)
    events = as_read(busy_log(1))
    replay = replayed(events, shop, 2)
    assert replay.churn_model.lost is not None
    assert replay.churn_model.lost.coefficients.any()
    system = MemorySystem(publish(events, shop, 2), shop, 1, Limits(events=3, decisions=5), 0.05).run()
    assert_same(system, replay)
    opened = [one for one in system.alerts if isinstance(one, AlertOpened)]
    assert len(opened) > 5
    for one in opened:
        assert one.lost_probability is not None
        assert one.act_by is not None
        assert one.act_by >= one.opened_at
        assert one.expected_value is not None
        assert one.next_order_from is not None
        assert one.next_order_to is None or one.next_order_to >= one.next_order_from


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_policy_is_kept_the_same_across_crashes(partitions: int) -> None:
    policy = Policy(
        capacity=Capacity(per_day=3, reserve=1, one_time=1),
        cases=Cases(expire_after=3 * DAY_US, cooldown=2 * DAY_US),
        benefit=Benefit(by_cause={"price": 0.5}),
        contacts=Contacts(quiet_hours="21:00-09:00"),
    )
    shop = msgspec.structs.replace(PLANNED, rank_by="reach").with_policy(policy)
    events = as_read(busy_log(1))
    replay = replayed(events, shop, partitions)
    assert {one.reason for one in replay.outcome.closed} >= {EXPIRED}
    assert replay.outcome.suppressed[COOLDOWN]
    system = MemorySystem(publish(events, shop, partitions), shop, 1, Limits(events=3, decisions=5), 0.05).run()
    assert_same(system, replay)
    opened = [one for one in system.alerts if isinstance(one, AlertOpened)]
    assert opened
    assert {one.policy for one in opened} == {policy.version}
    assert {one.contact_rules for one in opened} == {ContactRules(("09:00-21:00",), shop.zone)}


HOLDOUT = msgspec.structs.replace(PLANNED, holdout=Holdout(0.4, "spring", later_share=0.4))
HOLDOUT_WITH_QUOTAS = HOLDOUT.with_policy(Policy(capacity=Capacity(one_time=1)))
FALLS = msgspec.structs.replace(PLANNED, holdout=Holdout(0.5, "spring", planned=6))


@COSTLY
@given(
    logs(customers=6, max_size=40).map(as_read),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.sampled_from((0, 0.1)),
    st.sampled_from((1, 3, 10**6)),
)
def test_who_is_held_out_is_as_in_the_replay(
    events: list[Event], partitions: int, seed: int, crashes: float, planned: int
) -> None:
    shop = msgspec.structs.replace(PLANNED, holdout=Holdout(0.5, "spring", planned=planned))
    system = MemorySystem(publish(events, shop, partitions), shop, seed, crashes=crashes).run()
    assert_same(system, replayed(events, shop, partitions))


@pytest.mark.parametrize("shop", [HOLDOUT, HOLDOUT_WITH_QUOTAS], ids=["holdout", "quotas"])
@pytest.mark.parametrize("partitions", [1, 4])
def test_both_arms_are_announced(partitions: int, shop: Settings) -> None:
    events = as_read(busy_log(2))
    system = MemorySystem(publish(events, shop, partitions), shop, 1, Limits(events=3, decisions=5), 0.05).run()
    assert_same(system, replayed(events, shop, partitions))
    opened = [one for one in system.alerts if isinstance(one, AlertOpened)]
    held_out = [one for one in system.alerts if isinstance(one, AlertHeldOut)]
    assert len(opened) > 5
    assert len(held_out) > 5
    assert {one.experiment for one in opened} == {one.experiment for one in held_out} == {"spring"}
    copies = [one.copies for out in system.sent_to("labelled") for one in unpack(out.payload, LabelledBatch).examples]
    assert set(copies) == {0, 1, 2, 3}  # called, not drawn, and held out: 2.5 on average
    assert not {one.customer_id for one in opened} & {one.customer_id for one in held_out}


@pytest.mark.parametrize("blind", [True, False])
def test_blind_alerts_have_no_cause_in_either_arm(blind: bool) -> None:
    shop = msgspec.structs.replace(HOLDOUT, blind_share=float(blind))
    system = MemorySystem(publish(as_read(busy_log(2)), shop, 4), shop, 1).run()
    opened = [one for one in system.alerts if isinstance(one, AlertOpened)]
    held_out = [one for one in system.alerts if isinstance(one, AlertHeldOut)]
    assert min(len(opened), len(held_out)) > 5
    assert {bool(one.explanation.causes) for one in opened} == {not blind}
    assert {bool(one.cause) for one in held_out} == {not blind}


@pytest.mark.parametrize("crashes", [0.0, 0.05])
def test_the_share_falls_once_enough_customers_are_drawn_and_nobody_changes_their_arm(crashes: float) -> None:
    events = as_read(busy_log(2))
    system = MemorySystem(publish(events, FALLS, 4), FALLS, 1, Limits(events=3, decisions=5), crashes).run()
    assert_same(system, replayed(events, FALLS, 4))
    drawn = [one for one in system.alerts if isinstance(one, AlertHeldOut | AlertOpened) and one.experiment]
    first: dict[str, AlertHeldOut | AlertOpened] = {}
    for one in sorted(drawn, key=lambda one: one.opened_at):
        first.setdefault(one.customer_id, one)
    shares = [one.holdout_share for one in first.values()]
    assert shares == sorted(shares, reverse=True)
    assert set(shares) == {0.5, 0.2}
    assert shares.count(0.5) >= FALLS.holdout.planned
    for one in drawn:
        assert isinstance(one, AlertHeldOut) == isinstance(first[one.customer_id], AlertHeldOut)
        assert one.holdout_share == first[one.customer_id].holdout_share


def test_a_trainer_that_was_upgraded_learns_steps_from_then_on() -> None:
    """Its checkpoint was written while alerts were ranked by risk."""
    events = as_read(busy_log(1))
    system = MemorySystem(publish(events, SHOP, 1), SHOP).run()
    again = Trainer.restored(system.checkpoint, 1, SHOP.horizon)
    again.churn_model.track_lost(PLANNED)
    (lost,) = [again.churn_model.lost]
    assert lost is not None
    day, last = again.through // DAY_US, system.training.fetched(0)
    batch = LabelledBatch(moment=(day + 1) * DAY_US, steps=[(0, 100, 99)])
    assert again.push(0, last, system.stored[0].sequence + 1, batch)
    version = again.churn_model.version
    assert again.learn() == batch.moment
    assert again.churn_model.version > version
    assert lost.coefficients.any()


# --- a single lane, step by step -------------------------------------------------------------------------------------

MODEL = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)


def task_with(limits: Limits | None = None, **records: Sequence[bytes | None]) -> PartitionTask:
    """A lane that has fetched these values, each topic to its end."""
    task = PartitionTask(0, TOPICS, SHOP, limits or Limits())
    task.begin(b"", b"")
    fetch(task, at=APPENDED_MS, **records)
    return task


def fetch(task: PartitionTask, *, at: int = APPENDED_MS, **records: Sequence[bytes | None]) -> None:
    """What came next, of all topics."""
    for role in ROLES:
        start = task.inputs.ends.get(role, 0)
        values = records.get(role, ())
        found = [Record(start + place, at, b"key", value, [("trace", b"1")]) for place, value in enumerate(values)]
        task.inputs.receive(role, start, found, start + len(found), start + len(found))


def steps_of(task: PartitionTask) -> list[Step]:
    """All commits that it makes now."""
    steps = []
    while (step := task.step(MODEL)) is not None:
        steps.append(step)
    return steps


def sent(steps: list[Step], topic: str) -> list[Outgoing]:
    return [one for step in steps for one in (unpack(o, Outgoing) for o in step.commit.outbox) if one.topic == topic]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b"{", ""),
        (None, ""),
        (b'{"type":"order","event_id":"1","customer_id":"c"}', "occurred_at"),
        (encode(order("c", T0)).replace(b"2024", b"1624"), "occurred_at"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_dead_message_and_stops_nothing(value: bytes | None, field: str) -> None:
    steps = steps_of(task_with(orders=[value, encode(order("c", T0))]))
    (message,) = sent(steps, "dead_letters")
    headers = dict(message.headers)
    assert (message.key, message.value, headers["trace"]) == (b"key", value, b"1")
    assert headers["kafka_dlt-original-topic"] == b"shop.orders"
    assert headers["kafka_dlt-original-offset"] == b"0"
    assert headers["kafka_dlt-exception-field"] == field.encode()
    assert headers["kafka_dlt-exception-message"]
    assert [list(step.commit.states) for step in steps] == [["c"]]


def test_a_dead_letter_may_have_headers_without_a_value_and_is_never_larger_than_a_broker_takes() -> None:
    record = Record(0, APPENDED_MS, None, b"x" * 2_000_000, [("empty", None)])
    task = task_with()
    task.inputs.receive("cart", 0, [record], 1, 1)
    (message,) = sent(steps_of(task), "dead_letters")
    headers = dict(message.headers)
    assert (headers["empty"], headers["kafka_dlt-original-bytes"]) == (None, b"2000000")
    assert 800_000 < len(pack(message)) < 1_000_000


def test_what_the_trainer_is_told_is_spread_over_records_that_a_broker_takes() -> None:
    pending = Pending("客" * 256, T0)
    pending.features, pending.log_odds = bytes(92), bytes(14)
    cohorts = Cohorts()
    cohorts.expected[1] = 2.0
    records = labelled(0, [Matured(pending, 1, T0)] * 1_500, cohorts, T0)
    told = [unpack(one.payload, LabelledBatch) for one in records]
    assert [len(one.examples) for one in told] == [600, 600, 300]
    assert [(one.moment, one.expected) for one in told] == [(0, {}), (0, {}), (T0, {1: 2.0})]
    assert max(len(pack(one)) for one in records) < 1_000_000


def test_a_task_that_holds_leaves_what_the_allocator_says_of_later_moments() -> None:
    moment = T0 + DAY_US
    ticks = [tick(at, nominates=True, waits=True) for at in (moment, moment + DAY_US)]
    task = task_with(orders=[encode(order("c", T0))], ticks=ticks)
    steps_of(task)
    done = [
        encode_message(AllocationDone(EPOCH + at * MICROSECOND, number))
        for number, at in enumerate((moment, moment + DAY_US), 1)
    ]
    fetch(task, control=done)  # the topic is read a second time, and has both
    steps_of(task)
    assert task.hold is None
    assert task.summary.ticked == moment + DAY_US


def test_an_event_from_the_future_of_the_broker_touches_no_clock() -> None:
    task = task_with()
    appended_ms = T0 // 1_000
    skew = Limits().skew
    fetch(task, at=appended_ms, orders=[encode(order("c", T0 + skew)), encode(order("d", T0 + skew + 1_000))])
    steps = steps_of(task)
    assert len(sent(steps, "dead_letters")) == 1
    assert task.processor.stream_time == T0 + skew
    assert list(task.processor.customers) == ["c"]


def test_what_a_tick_makes_due_is_worked_off_in_chunks() -> None:
    customers = [encode(order(f"c{number}", T0)) for number in range(40)]
    later = T0 + 5 * DAY_US
    task = task_with(Limits(decisions=7), orders=customers, ticks=[tick(later)])
    steps = steps_of(task)
    assert max(step.decisions for step in steps) == 7
    whole = task_with(Limits(decisions=10_000), orders=customers, ticks=[tick(later)])
    steps_of(whole)
    assert task.processor.decisions.made == whole.processor.decisions.made > 40
    assert task.processor.stream_time == whole.processor.stream_time == later
    positions = [step.commit.position for step in steps]
    assert len(set(positions)) == len(positions)  # the store compares them


def test_a_tick_that_comes_twice_or_late_changes_nothing() -> None:
    midnight = tick(T0 + DAY_US, learns=True, nominates=True, version=0)
    once = steps_of(task_with(orders=[encode(order("c", T0))], ticks=[midnight]))
    twice = steps_of(task_with(orders=[encode(order("c", T0))], ticks=[midnight, midnight, tick(T0, learns=True)]))
    assert [one.value for one in sent(twice, "nominations")] == [one.value for one in sent(once, "nominations")]
    markers = [unpack(one.payload, LabelledBatch).moment for one in sent(twice, "labelled")]
    assert [moment for moment in markers if moment] == [T0 + DAY_US]


def test_a_version_is_in_force_from_the_tick_that_names_it() -> None:
    task = task_with(orders=[encode(order("c", T0))], ticks=[tick(T0 + DAY_US, version=3)])
    assert task.version == 0
    steps_of(task)
    assert task.version == 3
    again = PartitionTask(0, TOPICS, SHOP, Limits())
    again.begin(task.base, msgspec.json.encode(task.summary))
    assert again.version == 3


def test_a_task_that_holds_takes_control_messages_alone_until_both_have_answered() -> None:
    moment = T0 + DAY_US
    after = encode(order("d", moment + 1))
    task = task_with(
        orders=[encode(order("c", T0)), after], ticks=[tick(moment, learns=True, nominates=True, waits=True)]
    )
    steps_of(task)
    assert task.hold == Hold(moment, trainer=True, allocator=True)
    assert "d" not in task.processor.customers
    task.end_trainer_hold(5)
    assert steps_of(task) == []
    fetch(task, control=[encode_message(AllocationDone(EPOCH + moment * MICROSECOND, sequence=1))])
    steps_of(task)
    assert task.hold is None
    assert task.version == 5
    assert "d" in task.processor.customers


def opening_of(customer: str, at: int, sequence: int) -> bytes:
    candidate = CandidateRecord(customer, 0.9, 0.9, 10.0, 3.0, None, 0, 0)
    return encode_message(
        AlertStep(
            event_id=f"al_{customer}",
            customer_id=customer,
            occurred_at=EPOCH + at * MICROSECOND,
            action=AlertAction.OPENED,
            sequence=sequence,
            opening=AlertOpening(f"al_{customer}", at, at + DAY_US, 1, 0.9, candidate),
        )
    )


def test_what_the_allocator_sends_again_is_applied_once() -> None:
    moment = T0 + DAY_US
    task = task_with(orders=[encode(order("c", T0))], ticks=[tick(moment)])
    steps_of(task)
    fetch(task, control=[opening_of("c", moment, 1), opening_of("nobody", moment, 2)])
    steps_of(task)
    assert task.processor.customers["c"].alert is not None
    fetch(task, orders=[encode(order("c", moment + 5))])
    (closed,) = sent(steps_of(task), "alerts")
    assert msgspec.json.decode(closed.payload)["reason"] == "returned"
    fetch(task, control=[opening_of("c", moment, 1)])
    steps_of(task)
    assert task.processor.customers["c"].alert is None


def test_what_version_0_1_0_has_applied_is_not_applied_again() -> None:
    moment = T0 + DAY_US
    task = task_with(orders=[encode(order("c", T0))], ticks=[tick(moment)])
    steps_of(task)
    task.summary.allocator_sequence = 1  # as 0.1.0 stored it: without a moment
    fetch(task, control=[opening_of("c", moment, 1)])
    steps_of(task)
    assert task.processor.customers["c"].alert is None
    fetch(task, control=[opening_of("c", moment, 2)])
    steps_of(task)
    assert task.processor.customers["c"].alert is not None


def test_who_orders_while_the_allocator_decides_has_returned() -> None:
    moment = T0 + DAY_US
    task = task_with(orders=[encode(order("c", T0)), encode(order("c", moment + 9))], ticks=[tick(moment)])
    steps_of(task)
    fetch(task, control=[opening_of("c", moment, 1)])
    (closed,) = sent(steps_of(task), "alerts")
    told = msgspec.json.decode(closed.payload, type=AlertClosed)
    assert (told.reason, told.closed_at) == ("returned", EPOCH + (moment + 9) * MICROSECOND)


def test_scores_are_told_for_all_who_changed_and_only_if_wanted() -> None:
    orders = [encode(order("c", T0)), encode(order("d", T0 + 1))]
    views = [encode(browsing("c", T0 + 2))]
    (told,) = sent(steps_of(task_with(orders=orders, browsing=views)), "scores")
    scores = msgspec.json.decode(told.payload)["scores"]
    assert [name for name, _ in scores] == ["c"]
    assert 0.0 < scores[0][1] < 1.0
    assert sent(steps_of(task_with(Limits(scores=False), orders=orders, browsing=views)), "scores") == []


def test_a_partition_of_another_program_is_refused() -> None:
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    with pytest.raises(UnusableState, match="other state fields, features or experts"):
        task.begin(b"", msgspec.json.encode(Summary(schema="strange")))
    with pytest.raises(UnusableState, match="summary cannot be read"):
        task.begin(b"", b"{")


def test_a_log_may_end_on_the_very_midnight_at_which_a_day_was_learned() -> None:
    events: list[Event] = [order("c", T0 + DAY_US), order("c", T0 + 26 * DAY_US)]
    assert_same(MemorySystem(publish(events, SHOP, 1), SHOP).run(), replayed(events, SHOP, 1))


def test_who_is_far_ahead_of_the_slowest_partition_waits_in_kafka() -> None:
    training = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, 1), 2, SHOP.horizon)
    allocator = Allocator(2, SHOP, lambda _: 0)
    days = iter(range(1, 1_000))
    while training.wants(0):
        training.push(0, day := next(days), day, LabelledBatch(moment=day * DAY_US))
    moments = iter(range(1, 1_000))
    while allocator.wants(0):
        allocator.push(0, moment := next(moments), moment, CandidateBatch(moment * DAY_US, []))
    assert (next(days), next(moments)) == (DAYS_AHEAD + 1, MOMENTS_AHEAD + 1)
    # The slow one is always wanted, and when it has told of the first day, the fast one is wanted again.
    assert training.wants(1)
    assert allocator.wants(1)
    training.push(1, 1, 1, LabelledBatch(moment=DAY_US))
    allocator.push(1, 1, 1, CandidateBatch(DAY_US, []))
    assert training.learn() == DAY_US
    assert allocator.decide() is not None
    assert training.wants(0)
    assert allocator.wants(0)


def test_messages_of_the_shop_count_and_those_of_the_allocator_do_not() -> None:
    moment = T0 + DAY_US

    def message(name: str, action: str = "sent") -> bytes:
        at = EPOCH + moment * MICROSECOND
        return encode(Contact(event_id=name, customer_id="c", occurred_at=at, action=ContactAction(action)))

    contacts = [message("m1"), message("m1"), message("m2"), message("m3", "opened")]
    task = task_with(orders=[encode(order("c", T0))], contacts=contacts, ticks=[tick(T0 + 2 * DAY_US)])
    steps_of(task)
    customer = task.processor.customers["c"]
    assert contacts_per_week(customer.counters, moment / DAY_US) > 0.0
    assert customer.counters[COUNTER["contacts"]] == 2
    assert task.processor.explainer.shop_of(customer).sends("contact")
    again = PartitionTask(0, TOPICS, SHOP, Limits())
    again.begin(task.base, msgspec.json.encode(task.summary))
    assert again.processor.explainer.shops.known == task.processor.explainer.shops.known
