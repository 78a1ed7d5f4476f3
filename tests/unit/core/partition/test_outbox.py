"""What leaves is never larger than a broker takes, whatever came in; and what is split is whole again at its reader."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, strategies as st
from kafka.partitioner.default import murmur2 as reference

from stream_app.adapters.kafka.partitioner import murmur2, partition_of
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.alerts.staff_actions import AlertNote, notes_of
from stream_app.core.allocation.allocator import MOMENTS_AHEAD, Allocator
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.events.schema import Contact, Rejected, encode
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, ScoreRecords
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.dead_letters import (
    MAX_DEAD_BYTES,
    MAX_HEADERS,
    MIN_DEAD_BYTES,
    DeadLetter,
    cut,
    dead_letter,
)
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, Outgoing, unpack
from stream_app.core.messages.schema import AlertStep, decode_control
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured, Pending
from stream_app.core.partition import alert_records, outbox
from stream_app.core.partition.task import MAX_DEAD_LETTER_BYTES, Limits, PartitionTask
from stream_app.core.training.trainer import Trainer
from tests.harness.in_memory import APPENDED_MS, TOPICS, Record, tick
from tests.harness.shops import SHOP, T0, order
from tests.unit.core.partition.test_task import MODEL, fetch, opening_of, sent, steps_of

HEADERS = st.lists(st.tuples(st.sampled_from(["a", "名" * 400, "kafka_dlt-original-topic"]), st.binary(max_size=900)))


# --- dead letters ----------------------------------------------------------------------------------------------------


@given(
    st.none() | st.binary(max_size=5_000),
    st.none() | st.binary(max_size=9_000),
    HEADERS,
    st.text(max_size=300),
    st.integers(MIN_DEAD_BYTES, 20_000),
)
def test_a_dead_message_fits_and_says_what_it_lacks(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], text: str, limit: int
) -> None:
    dead = DeadLetter("orders", Record(7, 9, key, value, headers), Rejected(text, text))
    whole = dead_letter(dead, "t" * 249, 3)
    message = cut(whole, limit)
    assert message.size <= limit
    assert message.key is not None or message.value is not None  # no client sends one without both
    told = dict(message.headers)
    assert told["kafka_dlt-original-offset"] == b"7"
    for part, before, name in ((message.key, key, "key-bytes"), (message.value, value, "bytes")):
        if part != before and before is not None:
            assert part is not None
            assert before.startswith(part)
            assert told[f"kafka_dlt-original-{name}"] == b"%d" % len(before)
    theirs = [one for one in headers if one[0] != "kafka_dlt-original-topic"]
    kept = [one for one in message.headers if not one[0].startswith("kafka_dlt-")]
    assert kept == theirs[: len(kept)]
    if len(kept) < len(theirs):
        assert told["kafka_dlt-original-headers"] == b"%d" % len(theirs)
    assert cut(message, limit) == message


def test_a_dead_message_of_a_record_that_is_large_in_each_part() -> None:
    headers = [("h" * 300_000, b"h" * 300_000)] * 3 + [("", b"")] * 100_000
    record = Record(0, 0, b"k" * 2_000_000, b"v" * 2_000_000, headers)
    message = dead_letter(DeadLetter("orders", record, Rejected("r" * 600_000, "f" * 600_000)), "shop.orders", 0)
    assert MAX_DEAD_BYTES * 0.9 < message.size <= MAX_DEAD_BYTES
    assert len(message.headers) <= MAX_HEADERS
    told = dict(message.headers)
    assert told["kafka_dlt-original-key-bytes"] == told["kafka_dlt-original-bytes"] == b"2000000"
    assert told["kafka_dlt-original-headers"] == b"100003"


def test_a_commit_holds_few_large_dead_messages_and_loses_none() -> None:
    task = PartitionTask(0, TOPICS, SHOP, Limits(), buffer_bytes=1 << 40)
    task.begin(b"", b"")
    records = [Record(offset, APPENDED_MS, None, b"x" * 900_000) for offset in range(40)]
    fetch(task)
    task.inputs.receive("orders", 0, records, 40, 40)
    steps = steps_of(task)
    sizes = [sum(map(len, step.commit.outbox)) for step in steps]
    assert max(sizes) < MAX_DEAD_LETTER_BYTES + MAX_DEAD_BYTES
    messages = sent(steps, "dead_letters")
    assert [dict(one.headers)["kafka_dlt-original-offset"] for one in messages] == [b"%d" % n for n in range(40)]


def test_keys_and_headers_count_as_buffered_bytes() -> None:
    task = PartitionTask(0, TOPICS, SHOP, Limits(), buffer_bytes=600_000)
    task.begin(b"", b"")
    assert task.inputs.wants("orders")
    task.inputs.receive("orders", 0, [Record(0, APPENDED_MS, b"k" * 60_000, b"{", [("n", b"v" * 60_000)])], 1, 9)
    assert task.inputs.buffered_bytes > 120_000
    assert not task.inputs.wants("orders")
    task.inputs.receive("cart", 0, [Record(0, APPENDED_MS, b"", b"{", [("", None)] * 10_000)], 1, 9)
    assert not task.inputs.wants("cart")


# --- records of many entries -----------------------------------------------------------------------------------------


def a_nomination(customer: str, rank_value: float = 0.5, text: str = "price") -> AlertCandidate:
    explanation = Explanation("one_time", (Cause(text, 0.5),) * 5, (Evidence(text, {"days": 3.0}),) * 5)
    return AlertCandidate(customer, T0, rank_value, 0.5, 10.0, 3.0, 2.0, 0, 0, explanation=explanation)


def test_a_long_list_of_candidates_takes_several_records_which_the_allocator_puts_together() -> None:
    settings = msgspec.structs.replace(SHOP, capacity=10_000)
    names = ["\x01" * 250 + f"{number:05d}" for number in range(10_000)]
    ours = [a_nomination(name, rank_value=1.0 - number / 20_000) for number, name in enumerate(names)]
    records = outbox.candidate_batches(0, T0, ours)
    assert len(records) > 5
    assert max(one.size for one in records) <= MAX_RECORD_BYTES
    allocator = Allocator(2, settings, lambda _: 0)
    allocator.push(1, 0, 1, CandidateBatch(T0, []))
    for offset, record in enumerate(records):
        assert allocator.lacking == [0]
        assert allocator.decide() is None
        assert allocator.push(0, offset, offset + 1, unpack(record.payload, CandidateBatch))
    decided = allocator.decide()
    assert decided is not None
    assert (decided.nominated, decided.opened) == (10_000, 10_000)
    alerts = [unpack(one, Outgoing) for one in decided.commit.outbox]
    opened = [msgspec.json.decode(one.payload, type=AlertOpened) for one in alerts if one.topic == "alerts"]
    assert [one.customer_id for one in opened] == names
    assert allocator.position.read[0].offset == len(records)
    assert max(one.size for one in alerts) <= MAX_RECORD_BYTES


def test_a_allocator_that_starts_again_between_two_parts_reads_all_of_them() -> None:
    parts = [
        CandidateBatch(T0, [alert_records.record_of_candidate(a_nomination(f"c{n}"))], more=n < 2) for n in range(3)
    ]
    allocator = Allocator(1, SHOP, lambda _: 0)
    for place, part in enumerate(parts[:2]):
        allocator.push(0, place, place + 1, part)
    assert allocator.position.read[0].offset == 0  # what a restart begins at
    # A store that was set back tells the second part again, and the first one is not void.
    allocator.push(0, 2, 10, CandidateBatch(0, [], voids=1))
    for place, part in enumerate(parts[1:]):
        allocator.push(0, 3 + place, 11 + place, part)
    decided = allocator.decide()
    assert decided is not None
    assert decided.nominated == 3


def test_a_allocator_goes_on_reading_a_moment_of_many_parts() -> None:
    allocator = Allocator(1, SHOP, lambda _: 0)
    for place in range(2 * MOMENTS_AHEAD):
        assert allocator.wants(0)
        allocator.push(0, place, place + 1, CandidateBatch(T0, [], more=True))
    allocator.push(0, 2 * MOMENTS_AHEAD, 2 * MOMENTS_AHEAD + 1, CandidateBatch(T0, []))
    assert allocator.lacking == []


def test_the_trainer_learns_the_same_from_split_records() -> None:
    cohorts = Cohorts()
    cohorts.expected = {day: day / 8 for day in range(20_000)}
    cohorts.returns.update({(day, age): 1 + day for day in range(20_000, 20_400) for age in range(300)})
    cohorts.steps.merge([(cell, 10**6 + cell, cell) for cell in range(5_000)])
    matured = []
    for number in range(1_300):
        pending = Pending("客" * 250 + f"{number:04d}", T0 + number)
        pending.features, pending.log_odds = bytes(92), bytes(14)
        matured.append(Matured(pending, 1, T0))
    records = outbox.labelled(0, matured, cohorts, T0)
    assert max(one.size for one in records) <= MAX_RECORD_BYTES
    told = [unpack(one.payload, LabelledBatch) for one in records]
    assert [one.moment for one in told] == [0] * (len(told) - 1) + [T0]
    assert [one.customer for of in told for one in of.examples] == [one.pending.customer for one in matured]
    merged = Cohorts()
    for labelled in told:
        merged.expected.update(labelled.expected)
        merged.returns.update({(day, age): count for day, age, count in labelled.returns})
        merged.steps.merge(labelled.steps)
    assert merged.steps.rows() == cohorts.steps.rows()
    assert (merged.expected, merged.returns) == (cohorts.expected, cohorts.returns)
    training = Trainer(MODEL, 1, SHOP.horizon)
    for place, labelled in enumerate(told):
        assert training.lacking == [0]
        training.push(0, place, place + 1, labelled)
    assert training.lacking == []


def test_scores_of_ids_that_json_writes_long_fit() -> None:
    told = [("\x01" * 250 + f"{number:05d}", 0.5) for number in range(2_000)]
    records = outbox.scores(3, T0, 1, told)
    assert max(one.size for one in records) <= MAX_RECORD_BYTES
    scored = [msgspec.json.decode(one.payload, type=ScoreRecords) for one in records]
    assert [(one.customer, one.probability) for of in scored for one in of.scores] == told
    assert {(one.partition, one.version) for one in scored} == {(3, 1)}


def test_the_partition_learns_the_contact_hours_with_the_alert() -> None:
    """They are those of the policy under which the alert opened, and are not stored."""
    rules = ContactRules(("09:00-18:00",), "Asia/Shanghai")
    alert = Alert("al_1", "c1", T0, T0 + 1, 1, 0.5, a_nomination("c1"), contact_rules=rules)
    opened, record = alert_records.opening(0, alert, 7)
    assert msgspec.json.decode(opened.payload, type=AlertOpened).contact_rules == rules
    step = decode_control(record.payload)
    assert isinstance(step, AlertStep)
    assert step.opening is not None
    arrived = alert_records.alert_of(step.opening, "c1")
    note = msgspec.json.decode(notes_of(arrived)["al_1"], type=AlertNote)
    assert note.contact_rules == arrived.contact_rules == rules
    assert arrived.without_explanation().contact_rules is None
    assert b"contact_rules" not in alert_records.opening(0, replace(alert, contact_rules=None), 7)[1].payload
    assert b"holdout_share" not in opened.payload, "it was not drawn"


def test_an_explanation_that_is_too_long_is_left_out() -> None:
    candidate = a_nomination("c1", text="x" * 300_000)
    alert = Alert("al_1", "c1", T0, T0 + 1, 1, 0.5, candidate)
    opened, step = alert_records.opening(0, alert, 7)
    assert max(opened.size, step.size) < 10_000
    assert msgspec.json.decode(opened.payload, type=AlertOpened).customer_id == "c1"


# --- records in another partition than their customer's --------------------------------------------------------------


@given(st.binary(max_size=300))
def test_the_hash_is_that_of_kafkas_own_clients(data: bytes) -> None:
    assert murmur2(data) == reference(data) & 0xFFFFFFFF


def placed_lane(limits: Limits) -> PartitionTask:
    task = PartitionTask(0, TOPICS, SHOP, limits, partition_of=lambda name: partition_of(name, 2))
    task.begin(b"", b"")
    return task


BUILT_IN, THEIRS = ([f"c{n}" for n in range(20) if partition_of(f"c{n}", 2) == number] for number in (0, 1))


def test_misplaced_records_are_counted_and_applied() -> None:
    task = placed_lane(Limits())
    fetch(task, orders=[encode(order(name, T0)) for name in (BUILT_IN[0], THEIRS[0], THEIRS[0], BUILT_IN[0])])
    (step,) = steps_of(task)
    assert (step.misplaced, step.events["orders"]) == ({"orders": 2}, 4)
    assert set(step.commit.states) == {BUILT_IN[0], THEIRS[0]}
    # After a start the customers are in the states: they are looked at all the same.
    again = PartitionTask(0, TOPICS, SHOP, Limits(), partition_of=lambda name: partition_of(name, 2))
    again.restore(list(step.commit.states.items()))
    again.begin(task.base, step.commit.summary)
    fetch(again, orders=[encode(order(name, T0 + 1)) for name in (BUILT_IN[0], THEIRS[0], THEIRS[0])])
    (step,) = steps_of(again)
    assert step.misplaced == {"orders": 2}


def test_misplaced_records_may_become_dead_messages_as_they_came() -> None:
    task = placed_lane(Limits(dead_letter_misplaced=True))
    values = [encode(order(name, T0)) for name in (BUILT_IN[0], THEIRS[0], BUILT_IN[1])]
    fetch(task, orders=values)
    steps = steps_of(task)
    (message,) = sent(steps, "dead_letters")
    assert (message.key, message.value, dict(message.headers)["trace"]) == (b"key", values[1], b"1")
    assert dict(message.headers)["kafka_dlt-exception-field"] == b"customer_id"
    assert b"murmur2" in (dict(message.headers)["kafka_dlt-exception-message"] or b"")
    assert set(task.processor.customers) == {BUILT_IN[0], BUILT_IN[1]}
    assert steps[0].rejected == {"customer_id": 1}


def contact(customer: str) -> bytes:
    at = order("c", T0).occurred_at
    return encode(Contact(event_id=f"e{customer}", customer_id=customer, occurred_at=at))


@pytest.mark.parametrize("bury", [False, True])
def test_misplaced_contacts_count_too_and_ticks_and_the_allocator_never(bury: bool) -> None:
    task = placed_lane(Limits(dead_letter_misplaced=bury))
    contacts = [contact(BUILT_IN[0]), contact(THEIRS[0])]
    fetch(task, contacts=contacts, control=[opening_of(THEIRS[1], T0, 1)], ticks=[tick(T0 + 1)])
    steps = steps_of(task)
    assert sum(step.misplaced.total() for step in steps) == 1
    assert len(sent(steps, "dead_letters")) == bury
    assert task.summary.allocator_sequence == 1


def test_the_result_is_the_same_wherever_a_chunk_ends() -> None:
    names = [*BUILT_IN[:3], *THEIRS[:3]] * 4
    values = [encode(order(name, T0 + place, event_id=f"e{place}")) for place, name in enumerate(names)]
    found = []
    for events in (1, 5, 1_000):
        task = placed_lane(Limits(events=events, dead_letter_misplaced=True))
        fetch(task, orders=values)
        steps = steps_of(task)
        found.append((sum(s.misplaced["orders"] for s in steps), len(sent(steps, "dead_letters")), task.base[:60]))
        assert set(task.processor.customers) == set(BUILT_IN[:3])
    assert {one[:2] for one in found} == {(12, 12)}


def test_a_forged_number_silences_no_partition() -> None:
    """Whoever may write to these topics can number a valid message at will; the next real one counts all the same."""
    training = Trainer(MODEL, 1, SHOP.horizon)
    allocator = Allocator(1, SHOP, lambda _: 0)
    forged = 999_999_999_999_999
    assert training.push(0, 0, 7, LabelledBatch())
    assert training.push(0, 1, forged, LabelledBatch())
    assert training.push(0, 2, 8, LabelledBatch())
    assert not training.push(0, 3, 8, LabelledBatch())  # a relay that repeats itself
    assert training.push(0, 4, 9, LabelledBatch(moment=T0))
    assert training.lacking == []
    assert allocator.push(0, 0, forged, CandidateBatch(T0 - 1, []))
    assert allocator.push(0, 1, 7, CandidateBatch(T0, []))
    assert not allocator.push(0, 2, 7, CandidateBatch(T0, []))
