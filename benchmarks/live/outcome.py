"""What a live system has come to: states, labels, models and alerts, read from Redis and Kafka."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.live.system import LiveSystem
from stream_app.config import confluent_options
from stream_app.core.alerts import Ranking
from stream_app.core.codec import decode_customers
from stream_app.core.customer import Customer
from stream_app.core.lane import Summary
from stream_app.core.messages import AlertClosed, AlertOpened, Labelled, unpack
from stream_app.core.snapshot import fingerprint, restore
from stream_app.core.training import Checkpoint
from stream_app.service.relay import sequence_of
from stream_app.service.stores import open_stores


@dataclass
class Outcome:
    """Everything that must be the same whenever the same log was worked off; two of them are compared with `==`."""

    states: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)  # latest probability, of customers who have one
    stream_times: dict[int, int] = field(default_factory=dict)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    labels: dict[tuple[str, int], tuple[int, float, int]] = field(default_factory=dict)  # label, probability, version
    opened: dict[str, str] = field(default_factory=dict)  # alert id -> customer
    closed: dict[str, str] = field(default_factory=dict)  # alert id -> reason
    model: str = ""  # fingerprint of the trainer's model
    versions: dict[int, str] = field(default_factory=dict)  # kept: number -> fingerprint
    doubled: list[str] = field(default_factory=list, compare=False)  # ids that an internal receiver would have twice


def told(customer: Customer) -> tuple[Any, ...]:
    """A state as plain values."""
    return (
        tuple(customer.facts),
        tuple(customer.ids),
        customer.due,
        customer.fresh,
        tuple((p.decided_at, p.features, p.log_odds, p.probability, p.returned, p.version) for p in customer.waiting),
        customer.episode.alert_id if customer.episode else None,
    )


def outcome_of(live: LiveSystem) -> Outcome:
    """Read everything; the services may have ended."""
    outcome = Outcome()
    asyncio.run(_read_redis(live, outcome))
    for partition, records in records_of(live, "labelled").items():
        for labelled in _once(records, f"labelled {partition}", outcome):
            for one in unpack(labelled, Labelled).examples:
                key = (one.customer, one.decided_at)
                if key in outcome.labels:
                    outcome.doubled.append(f"label {key}")
                outcome.labels[key] = (one.label, one.probability, one.version)
    for records in records_of(live, "alerts").values():
        # The desk and the partition's worker write here, each with a sequence of its own.
        for _, value in records:
            alert = msgspec.json.decode(value, type=AlertOpened | AlertClosed)
            if isinstance(alert, AlertOpened):
                outcome.opened[alert.alert_id] = alert.customer_id
            else:
                outcome.closed[alert.alert_id] = alert.reason
    return outcome


async def _read_redis(live: LiveSystem, outcome: Outcome) -> None:
    config = live.config
    settings, stores = config.shop.settings(), open_stores(config)
    try:
        for number in range(live.partitions):
            stored = (await stores.states.summaries([number]))[number]
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
                latest = {one.name: ranking.latest(one.index) for one in restored.customers}
                outcome.scores |= {name: score for name, score in latest.items() if score == score}  # noqa: PLR0124 - NaN
        latest_checkpoint = await stores.models.latest()
        if latest_checkpoint is not None:
            checkpoint = msgspec.msgpack.decode(latest_checkpoint[1], type=Checkpoint)
            outcome.model = fingerprint(restore(checkpoint.learner))
        outcome.versions = {one.number: one.fingerprint for one in await stores.models.versions()}
    finally:
        await stores.close()


def _once(records: list[tuple[int, bytes]], what: str, outcome: Outcome) -> list[bytes]:
    """The values of records as an internal receiver takes them: a sequence number that is not larger was there before."""
    last, kept = 0, []
    for sequence, value in records:
        if sequence > last:
            kept.append(value)
            last = sequence
    return kept


def records_of(live: LiveSystem, role: str) -> dict[int, list[tuple[int, bytes]]]:
    """All records of a topic by partition, as (sequence number of the outbox, value)."""
    config = live.config
    topic = getattr(config.kafka.topics, role)
    consumer = Consumer({**confluent_options(config.kafka), "group.id": "outcome", "enable.auto.commit": False})
    found: dict[int, list[tuple[int, bytes]]] = {}
    try:
        for number in range(live.partitions):
            place = TopicPartition(topic, number, 0)
            end = consumer.get_watermark_offsets(place, timeout=10)[1]
            consumer.assign([place])
            records = found.setdefault(number, [])
            while len(records) < end:
                for message in consumer.consume(1_000, timeout=5.0):
                    assert message.error() is None, message.error()
                    records.append((sequence_of(message.headers() or []), message.value() or b""))
    finally:
        consumer.close()
    return found
