"""What a live system has come to: states, labels, models and alerts, read from Redis and Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stream_app.config import reader_options
from stream_app.config.kafka import OUTPUTS
from stream_app.core.alerts.lifecycle import Ranking
from stream_app.core.allocation.allocator import NUMBER as DESK
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.customers.customer import Customer
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.messages.outgoing import sequence_of, unpack
from stream_app.core.messages.schema import AllocationDone, Contact, decode_message
from stream_app.core.model.snapshot import fingerprint, restore
from stream_app.core.partition.progress import Summary
from stream_app.core.training.trainer import Checkpoint
from stream_app.services.runtime.stores import open_stores
from tests.harness.live.system import LiveSystem

CONTACTS: Final = "contacts"
Decision = tuple[str, int]  # customer, decided_at in microseconds
Label = tuple[int, bytes, bytes, float, int]  # label, features, experts' log-odds, probability, version


@dataclass
class Outcome:
    """Everything that must be the same whenever the same log was worked off; two of them are compared with `==`."""

    states: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)  # latest probability, of customers who have one
    stream_times: dict[int, int] = field(default_factory=dict)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    labels: dict[Decision, Label] = field(default_factory=dict)
    opened: dict[str, AlertOpened] = field(default_factory=dict)  # by alert id
    closed: dict[str, AlertClosed] = field(default_factory=dict)
    model: str = ""  # fingerprint of the trainer's model
    versions: dict[int, str] = field(default_factory=dict)  # kept: number -> fingerprint
    # What a replay knows nothing of: how the outboxes came out, as an internal receiver takes them.
    doubled: list[str] = field(default_factory=list, compare=False)  # ids that it has twice
    lost: list[str] = field(default_factory=list, compare=False)  # sequence numbers that it lacks
    sent_again: Counter[str] = field(default_factory=Counter, compare=False)  # by topic: what it knew by its number

    def differences(self, other: Outcome) -> list[str]:
        """What differs, in words: at most three examples of each kind. Empty if the two are equal."""
        return [told for name in ("model", *_COMPARED) for told in _differences(name, self, other)]


_COMPARED: Final = ("states", "scores", "stream_times", "counts", "labels", "opened", "closed", "versions")


def _differences(name: str, one: Outcome, other: Outcome) -> Iterator[str]:
    mine, theirs = getattr(one, name), getattr(other, name)
    if mine == theirs:
        return
    if not isinstance(mine, dict):
        yield f"{name}: {mine} != {theirs}"
        return
    differing = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    yield f"{name}: {len(differing)} of {len(mine)} and {len(theirs)} differ"
    for key in differing[:3]:
        yield f"  {key}: {mine.get(key)}\n  != {theirs.get(key)}"


def told(customer: Customer) -> tuple[Any, ...]:
    """A state as plain values."""
    return (
        tuple(customer.vector),
        tuple(customer.counters),
        tuple(customer.ids),
        customer.due,
        customer.fresh,
        tuple((p.decided_at, p.features, p.log_odds, p.probability, p.returned, p.version) for p in customer.waiting),
        customer.alert.alert_id if customer.alert else None,
    )


def scores_of(customers: list[Customer], ranking: Ranking) -> dict[str, float]:
    """The latest score of all who have one."""
    latest = {one.name: ranking.latest(one.index) for one in customers}
    return {name: score for name, score in latest.items() if score == score}  # noqa: PLR0124 - NaN: no score


def outcome_of(live: LiveSystem) -> Outcome:
    """Read everything; the services may have ended."""
    outcome = Outcome()
    last = asyncio.run(_read_redis(live, outcome))
    received = _Received(outcome)
    for role in (*OUTPUTS, CONTACTS):
        for partition, records in records_of(live, role).items():
            for sequence, value in records:
                received.take(role, partition, sequence, value)
    received.check(last)
    return outcome


def outcome_in_redis(live: LiveSystem) -> Outcome:
    """Read what Redis has: states, scores and models, without labels and alerts."""
    outcome = Outcome()
    asyncio.run(_read_redis(live, outcome))
    return outcome


async def _read_redis(live: LiveSystem, outcome: Outcome) -> dict[int, int]:
    """Fill in what Redis has; returns the last sequence number of every outbox, the desk's too."""
    config = live.config
    settings, stores = config.shop.settings(), open_stores(config)
    try:
        for number, stored in (await stores.states.summaries(range(live.partitions))).items():
            summary = msgspec.json.decode(stored, type=Summary)
            outcome.stream_times[number], outcome.counts[number] = summary.stream_time, summary.counts
            async for chunk in stores.states.states(number):
                restored = decode_customers(chunk, settings.horizon)
                ranking = Ranking(settings.agreement)
                ranking.reserve(len(restored.customers))
                for index, customer in enumerate(restored.customers):
                    customer.index = index
                    outcome.states[customer.name] = told(customer)
                restored.rank(ranking)
                outcome.scores |= scores_of(restored.customers, ranking)
        latest = await stores.models.latest()
        if latest is not None:
            checkpoint = msgspec.msgpack.decode(latest[1], type=Checkpoint)
            outcome.model = fingerprint(restore(checkpoint.churn_model))
        outcome.versions = {one.number: one.fingerprint for one in await stores.models.versions()}
    finally:
        await stores.close()
    return {number: live.outbox_sequence(number) for number in (*range(live.partitions), DESK)}


class _Received:
    """What an internal receiver makes of all output topics: a sequence number that is not larger was there before."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._last: dict[tuple[str, int, int], int] = {}  # topic, partition, outbox -> sequence number
        self._sequences: dict[int, set[int]] = {}  # of each outbox
        self._ids: set[str] = set()

    def take(self, role: str, partition: int, sequence: int, value: bytes) -> None:
        """The next record of a topic partition."""
        if not sequence:
            return  # produced by somebody else
        message = _message(role, value)
        of_desk = isinstance(message, Contact | AllocationDone) or (
            isinstance(message, AlertOpened) and not message.urgent
        )
        outbox = DESK if of_desk else partition
        if sequence <= self._last.get((role, partition, outbox), 0):
            self._outcome.sent_again[role] += 1
            return
        self._last[role, partition, outbox] = sequence
        self._sequences.setdefault(outbox, set()).add(sequence)
        if isinstance(message, LabelledBatch):
            self._learn(message)
        elif isinstance(message, AlertOpened):
            self._note(f"opened {message.alert_id}")
            self._outcome.opened[message.alert_id] = message
        elif isinstance(message, AlertClosed):
            self._note(f"closed {message.alert_id}")
            self._outcome.closed[message.alert_id] = message

    def check(self, last: dict[int, int]) -> None:
        """The sequence of an outbox has no gaps, over all topics that it goes to."""
        for outbox, end in last.items():
            missing = set(range(1, end + 1)) ^ self._sequences.get(outbox, set())
            self._outcome.lost += [f"outbox {outbox}: {number}" for number in sorted(missing)]

    def _learn(self, labelled: LabelledBatch) -> None:
        for one in labelled.examples:
            self._note(f"label {one.customer} {one.decided_at}")
            label = (one.label, one.features, one.log_odds, one.probability, one.version)
            self._outcome.labels[one.customer, one.decided_at] = label

    def _note(self, identity: str) -> None:
        if identity in self._ids:
            self._outcome.doubled.append(identity)
        self._ids.add(identity)


def _message(role: str, value: bytes) -> object:
    if role == "labelled":
        return unpack(value, LabelledBatch)
    if role == "alerts":
        return msgspec.json.decode(value, type=AlertOpened | AlertClosed)
    return decode_message(value) if role == CONTACTS else None


def records_of(live: LiveSystem, role: str) -> dict[int, list[tuple[int, bytes]]]:
    """All records of a topic by partition, as (sequence number of the outbox, value)."""
    return {
        number: [(sequence_of(message.headers() or []), message.value() or b"") for message in messages]
        for number, messages in messages_of(live, role).items()
    }


def messages_of(live: LiveSystem, role: str) -> dict[int, list[Any]]:
    """All messages of a topic by partition, as confluent-kafka has them."""
    config = live.config
    topic = getattr(config.kafka.topics, role)
    consumer = Consumer(reader_options(config.kafka, "outcome"))
    found: dict[int, list[Any]] = {}
    try:
        for number in range(live.partitions):
            place = TopicPartition(topic, number, 0)
            end = consumer.get_watermark_offsets(place, timeout=10)[1]
            consumer.assign([place])
            messages = found.setdefault(number, [])
            while len(messages) < end:
                for message in consumer.consume(min(1_000, end - len(messages)), timeout=5.0):
                    assert message.error() is None, message.error()
                    messages.append(message)
    finally:
        consumer.close()
    return found
