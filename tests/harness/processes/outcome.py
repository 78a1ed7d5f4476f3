"""Outcome of a live system: states, labels, models and alerts, read from Redis and Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stream_app.config import reader_options
from stream_app.config.kafka import OUTPUTS
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.allocation.allocator import NUMBER as DESK
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.messages.outgoing import sequence_of, unpack
from stream_app.core.messages.schema import AlertStep, AllocationDone, decode_control
from stream_app.core.model.snapshot import fingerprint, restore
from stream_app.core.partition.progress import Summary
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Checkpoint
from stream_app.services.runtime.stores import opened_stores
from tests.harness.processes.live_system import LiveSystem

CONTROL: Final = "control"
Decision = tuple[str, int]  # customer, decided_at in microseconds
Label = tuple[int, bytes, bytes, float, int]  # label, features, experts' log-odds, probability, version


@dataclass
class Outcome:
    """All results that must be equal after processing the same log."""

    states: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)  # latest probability, of customers who have one
    stream_times: dict[int, int] = field(default_factory=dict)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    labels: dict[Decision, Label] = field(default_factory=dict)
    opened: dict[str, AlertOpened] = field(default_factory=dict)  # by alert id
    closed: dict[str, AlertClosed] = field(default_factory=dict)
    model: str = ""  # fingerprint of the trainer's model
    versions: dict[int, str] = field(default_factory=dict)  # kept: number -> fingerprint
    # How the outboxes were relayed, as an internal consumer sees it. A replay has no such thing.
    doubled: list[str] = field(default_factory=list, compare=False)  # ids that were received twice
    lost: list[str] = field(default_factory=list, compare=False)  # sequence numbers that were not received
    sent_again: Counter[str] = field(default_factory=Counter, compare=False)  # duplicates by topic

    def differences(self, other: Outcome) -> list[str]:
        """Describe the differences, with at most three examples of each kind; empty if both are equal."""
        return [line for name in ("model", *_COMPARED) for line in _differences(name, self, other)]


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


def ids_of(customer: Customer) -> list[int]:
    """Return the hashes of a customer's recent event ids."""
    ids = customer.ids
    return [int.from_bytes(ids[at : at + ID_BYTES], "little") for at in range(0, len(ids), ID_BYTES)]


def plain_state(customer: Customer) -> tuple[Any, ...]:
    return (
        tuple(customer.vector),
        tuple(customer.counters),
        tuple(ids_of(customer)),
        customer.due,
        customer.fresh,
        tuple(
            (p.decided_at, p.features, p.log_odds, p.probability, p.returned, p.version, *([True] if p.counted else []))
            for p in customer.waiting  # 0.1.1, whose outcomes are stored, counted no steps
        ),
        customer.alert.alert_id if customer.alert else None,
    )


def ranked_customers(stored: Sequence[tuple[str, bytes]], settings: Settings) -> tuple[list[Customer], Ranking]:
    """Decode stored customers and rank them."""
    restored, ranking = decode_customers(stored, settings.horizon), Ranking(settings.agreement)
    ranking.reserve(len(restored.customers))
    for index, customer in enumerate(restored.customers):
        customer.index = index
    restored.rank(ranking)
    return restored.customers, ranking


def scores_of(customers: list[Customer], ranking: Ranking) -> dict[str, float]:
    """Return the latest score of each customer who has one."""
    latest = {one.name: ranking.latest(one.index) for one in customers}
    return {name: score for name, score in latest.items() if score == score}  # noqa: PLR0124 - NaN: no score


def outcome_of(live: LiveSystem) -> Outcome:
    """Read the outcome from Redis and Kafka. The services need not run."""
    outcome = Outcome()
    last = asyncio.run(_read_redis(live, outcome))
    received = _Received(outcome)
    for role in (*OUTPUTS, CONTROL):
        for partition, records in records_of(live, role).items():
            for sequence, value in records:
                received.take(role, partition, sequence, value)
    received.check(last)
    return outcome


def outcome_in_redis(live: LiveSystem) -> Outcome:
    """Read states, scores and models from Redis, without labels and alerts."""
    outcome = Outcome()
    asyncio.run(_read_redis(live, outcome))
    return outcome


async def _read_redis(live: LiveSystem, outcome: Outcome) -> dict[int, int]:
    """Read states and models. Return the last sequence number of each outbox, including the allocator's."""
    config = live.config
    settings = config.shop.settings()
    async with opened_stores(config) as stores:
        for number, stored in (await stores.states.summaries(range(live.partitions))).items():
            summary = msgspec.json.decode(stored, type=Summary)
            outcome.stream_times[number], outcome.counts[number] = summary.stream_time, summary.counts
            async for chunk in stores.states.states(number):
                customers, ranking = ranked_customers(chunk, settings)
                outcome.states |= {customer.name: plain_state(customer) for customer in customers}
                outcome.scores |= scores_of(customers, ranking)
        latest = await stores.models.latest()
        if latest is not None:
            checkpoint = msgspec.msgpack.decode(latest[1], type=Checkpoint)
            outcome.model = fingerprint(restore(checkpoint.churn_model, "here", config.settings().experts))
        outcome.versions = {one.number: one.fingerprint for one in await stores.models.versions()}
    return {number: live.outbox_sequence(number) for number in (*range(live.partitions), DESK)}


class _Received:
    """Consumer of all output topics. A sequence number that does not increase marks a duplicate."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._last: dict[tuple[str, int, int], int] = {}  # topic, partition, outbox -> sequence number
        self._sequences: dict[int, set[int]] = {}  # of each outbox
        self._ids: set[str] = set()

    def take(self, role: str, partition: int, sequence: int, value: bytes) -> None:
        """Add the next record of a topic partition."""
        if not sequence:
            return  # not from an outbox
        message = _message(role, value)
        of_allocator = isinstance(message, AlertStep | AllocationDone) or (
            isinstance(message, AlertOpened) and not message.urgent
        )
        outbox = DESK if of_allocator else partition
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
        """Record gaps in the sequence of each outbox, over all of its topics."""
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
    return decode_control(value) if role == CONTROL else None


def records_of(live: LiveSystem, role: str) -> dict[int, list[tuple[int, bytes]]]:
    """Return all records of a topic by partition, as (sequence number of the outbox, value)."""
    return {
        number: [(sequence_of(message.headers() or []), message.value() or b"") for message in messages]
        for number, messages in messages_of(live, role).items()
    }


def messages_of(live: LiveSystem, role: str) -> dict[int, list[Any]]:
    """Return all messages of a topic by partition, as confluent-kafka returns them."""
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
