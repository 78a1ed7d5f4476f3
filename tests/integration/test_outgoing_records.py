"""Outgoing records on real servers: the broker accepts them, or they are dropped and counted."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka.admin import ConfigResource, KafkaAdminClient

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.placement import check_placement
from stream_app.config import INPUTS, OUTPUTS, PORT_OFFSETS, confluent_options
from stream_app.core.events.schema import encode
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outgoing import Outgoing, pack
from stream_app.core.partition.commit import Commit
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.producer import start_producer
from tests.fakes import MemoryServer, MemoryStateStore
from tests.harness.processes import LiveSystem
from tests.harness.processes.outcome import messages_of
from tests.harness.servers.process import free_port
from tests.harness.shops import browsing
from tests.integration.test_worker import (
    PARTITIONS,
    SECONDS,
    Make,
    accepted,
    get,
    make,
    orders_at,
    produce,
    with_stores,
)

__all__ = ["make"]
Produced = tuple[bytes, bytes, list[tuple[str, bytes]]]
UNKNOWN_TYPE = b'{"type":"%s","event_id":"1","customer_id":"c0000","occurred_at":"2026-01-01T00:00:00Z"}'


def number_of(metrics: str, name: str, **labels: str) -> float:
    """Return a value of /metrics; 0 if it is missing."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}\{{{re.escape(told)}\}} (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def limit(live: LiveSystem, role: str, **configs: int | str) -> None:
    """Change the configuration of a topic."""
    name = getattr(live.config.kafka.topics, role)
    wanted = {key.replace("_", "."): str(value) for key, value in configs.items()}
    with KafkaAdminClient(bootstrap_servers=live.config.kafka.bootstrap) as admin:
        admin.alter_configs([ConfigResource("TOPIC", name, configs=wanted)])


def relayed(live: LiveSystem) -> bool:
    """Whether all records are processed and all outboxes are empty."""

    async def waiting(stores: Any) -> int:
        found = [await stores.states.outbox(number, 0, 10) for number in range(PARTITIONS)]
        return sum(map(len, found))

    return live.done() and with_stores(live, waiting) == 0


def large(live: LiveSystem, records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]) -> None:
    """Send orders larger than the client's default limit to the first partition."""
    options: dict[str, Any] = {**confluent_options(live.config.kafka), "message.max.bytes": 5_000_000}
    producer = Producer(options)
    failures: list[Any] = []
    for key, value, headers in records:
        producer.produce(
            live.config.kafka.topics.orders,
            value,
            key,
            0,
            headers=list(headers),
            on_delivery=lambda error, _: failures.append(error) if error is not None else None,
        )
    assert producer.flush(30) == 0
    assert failures == []


def test_no_record_makes_a_dead_letter_that_the_broker_refuses(make: Make) -> None:
    live = make({"health.port": str(free_port())})
    limit(live, "orders", max_message_bytes=4_000_000)
    good = orders_at(datetime.now(UTC) - timedelta(days=3), 20)
    bad: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
        (b"c0000", UNKNOWN_TYPE % (b"t" * 530_000), []),
        (b"k" * 1_040_000, b"{", []),
        (b"k" * 500_000, b"v" * 800_000, [("n" * 200_000, b"h" * 200_000)]),
        (None, b"{", [("", b"")] * 100_000),
        (b"c0000", b"{", [("名" * 300_000, None)]),
        (b"c0000", b'{"' + b"f" * 500_000 + b'":1}', []),
        (None, None, []),
        (b"", b"", []),
    ]
    produce(live, "orders", good)
    large(live, bad)
    worker = live.start("worker")
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    assert accepted(live) == len(good)
    messages = [dict(one.headers()) for of in messages_of(live, "dead_letters").values() for one in of]
    assert len(messages) == len(bad)
    found = {int(one["kafka_dlt-original-offset"]): one for one in messages}
    assert all(one["kafka_dlt-exception-message"] for one in found.values())
    first = min(found)
    assert found[first + 1]["kafka_dlt-original-key-bytes"] == b"1040000"
    assert found[first + 2]["kafka_dlt-original-bytes"] == b"800000"
    assert found[first + 3]["kafka_dlt-original-headers"] == b"100000"
    assert found[first + 6]["kafka_dlt-original-bytes"] == b"-1"
    assert get(live, "/readyz")[0] == 200
    assert worker.stop() == 0


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_topic_with_a_small_limit_gets_shorter_dead_letters(make: Make, when: str) -> None:
    """Batches of small records are refused too, although each record would be accepted."""
    live = make({"health.port": str(free_port()), "worker.publish_scores": "true"})
    start = datetime.now(UTC) - timedelta(days=3)
    # The scores of a commit of 300 customers take 8 KB.
    good = orders_at(start, 600)
    at = _micros(start) + 10_000_000_000
    views: list[Produced] = [
        (key, encode(browsing(key.decode(), at + place)), []) for place, (key, *_) in enumerate(good)
    ]
    sizes = [100, 300, 50_000, 9_000, 200] * 40
    bad: list[Produced] = [(f"c{number:04d}".encode(), b"x" * size, []) for number, size in enumerate(sizes)]
    limits = {"dead_letters": 10_000, "scores": 5_000}
    if when == "before":
        for role, largest in limits.items():
            limit(live, role, max_message_bytes=largest)
    worker = live.start("worker")
    if when == "while":
        produce(live, "orders", bad[:50])
        live.wait("the first are relayed", lambda: relayed(live), SECONDS)
        for role, largest in limits.items():
            limit(live, role, max_message_bytes=largest)
        bad = bad[50:]
    produce(live, "orders", [*good, *bad])
    produce(live, "browsing", views)
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    assert accepted(live) == len(good) + len(views)
    messages = [one for of in messages_of(live, "dead_letters").values() for one in of]
    assert len(messages) == 200  # all of them once
    cut = [one for one in messages if "kafka_dlt-original-bytes" in dict(one.headers())]
    assert {dict(one.headers())["kafka_dlt-original-bytes"] for one in cut} == {b"50000", b"9000"} or when == "while"
    assert min(len(one.value()) for one in cut) > 3_000
    sequences = [
        [int(dict(one.headers())["sequence"]) for one in of] for of in messages_of(live, "dead_letters").values()
    ]
    assert all(sorted(one) == one for one in sequences)
    metrics = get(live, "/metrics")[1]
    assert number_of(metrics, "churn_dropped_records_total", topic="scores") > 0
    assert number_of(metrics, "churn_dropped_records_total", topic="dead_letters") == 0
    assert "Rejected record dropped" in worker.tail()
    # Afterwards the work continues: the producer's numbers have no gap.
    for role in limits:
        limit(live, role, max_message_bytes=1_048_588)
    produce(live, "orders", [(b"c0001", b"y", [])])
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    assert sum(map(len, messages_of(live, "dead_letters").values())) == 201
    assert worker.stop() == 0


def checks(live: LiveSystem, service: str = "worker") -> dict[str, Any]:
    """Return the checks of /readyz; empty while it is not listening."""
    port = live.config.health.port + PORT_OFFSETS[service]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read()
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(said)["checks"]
    return found


def refused(live: LiveSystem, service: str) -> bool:
    return checks(live, service).get("relayed", {}).get("ok") is False


def test_a_worker_keeps_refused_records_and_continues_once_the_topic_is_fixed(make: Make) -> None:
    live = make({"health.port": str(free_port()), "kafka.check_topics": "false", "health.watchdog_after": "3s"})
    limit(live, "nominations", max_message_bytes=50)
    start = datetime.now(UTC) - timedelta(days=3)
    produce(live, "orders", orders_at(start, 2))
    tick = {"type": "tick", "occurred_at": (start + timedelta(days=2)).isoformat(), "nominates": True}
    produce_ticks(live, tick)
    worker = live.start("worker")
    live.wait("it is told", lambda: refused(live, "worker"), SECONDS)
    reason = checks(live)["relayed"]["reason"]
    assert live.config.kafka.topics.nominations in reason
    assert "stream-app topics check" in reason
    worker.kill()  # and the same holds for the next one
    worker = live.start("worker")
    live.wait("it is told again", lambda: refused(live, "worker"), SECONDS)
    time.sleep(10.0)  # three times as long as the watchdog waits
    assert worker.running
    assert 1 <= worker.log.read_text().count("Record rejected, retrying") <= PARTITIONS
    limit(live, "nominations", max_message_bytes=1_048_588)
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    live.wait("it is told", lambda: checks(live)["relayed"]["ok"], SECONDS)
    assert [len(of) for of in messages_of(live, "nominations").values()] == [1] * PARTITIONS
    assert worker.stop() == 0


def test_an_allocator_keeps_its_control_messages_and_continues_once_the_topic_is_fixed(make: Make) -> None:
    live = make({"health.port": str(free_port()), "kafka.check_topics": "false", "health.watchdog_after": "3s"})
    limit(live, "control", max_message_bytes=50)
    moments = [_micros(datetime.now(UTC) - timedelta(days=days)) for days in (3, 2)]
    producer = Producer(confluent_options(live.config.kafka))

    def nominate(sequence: int, moment: int) -> None:
        for number in range(PARTITIONS):
            headers: list[tuple[str, bytes]] = [("sequence", b"%d" % sequence)]
            topic = live.config.kafka.topics.nominations
            producer.produce(topic, pack(CandidateBatch(moment, [])), None, number, headers=list(headers))
        assert producer.flush(30) == 0

    nominate(1, moments[0])
    allocator = live.start("allocator")
    live.wait("it is told", lambda: refused(live, "allocator"), SECONDS)
    assert live.config.kafka.topics.control in checks(live, "allocator")["relayed"]["reason"]
    assert allocator.stop() == 0  # it stops without delay
    allocator = live.start("allocator")
    live.wait("it is told again", lambda: refused(live, "allocator"), SECONDS)
    nominate(2, moments[1])
    time.sleep(10.0)  # three times as long as the watchdog waits
    assert allocator.running
    limit(live, "control", max_message_bytes=1_048_588)
    live.wait("both are told", lambda: [len(of) for of in messages_of(live, "control").values()] == [2, 2], SECONDS)
    live.wait("it is well", lambda: checks(live, "allocator")["relayed"]["ok"], SECONDS)
    assert allocator.stop() == 0


async def relaying(live: LiveSystem, role: str, mended: Callable[[OutboxRelay], Awaitable[None]]) -> None:
    """Relay a large record and a small one by a producer that the broker does not know yet."""
    records = [pack(Outgoing(role, 0, None, value)) for value in (b"large" * 5_000, b"small")]
    store = MemoryStateStore(MemoryServer())
    await store.claim("w")
    await store.open(0)
    _, first = await store.commit(Commit(0, b"", b"1", {}, b"", records), "1", 0)
    producer = await start_producer(live.config)
    try:
        relay = OutboxRelay(0, store, producer, live.config.kafka.topics.of(*INPUTS, *OUTPUTS))
        relay.add(first, records)
        draining = asyncio.create_task(relay.drain())
        await mended(relay)
        await asyncio.wait_for(draining, SECONDS)
    finally:
        await producer.stop()


def test_nothing_overtakes_a_refused_record(make: Make) -> None:
    """A broker accepts any first number of a producer, including one behind a refused record."""
    live = make()
    limit(live, "labelled", max_message_bytes=2_000)

    async def mended(relay: OutboxRelay) -> None:
        while not relay.refused:  # noqa: ASYNC110 - the relay has no event for it
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(messages_of, live, "labelled") == {0: [], 1: []}
        await asyncio.to_thread(limit, live, "labelled", max_message_bytes=1_048_588)

    asyncio.run(relaying(live, "labelled", mended))
    assert [len(one.value()) for one in messages_of(live, "labelled")[0]] == [25_000, 5]


@pytest.mark.parametrize(("role", "kept"), [("alerts", 1), ("dead_letters", 2)])
def test_a_refused_record_may_be_the_first_of_a_producer(make: Make, role: str, kept: int) -> None:
    live = make()
    limit(live, role, max_message_bytes=10_000)

    async def mended(_: OutboxRelay) -> None:
        """It is not the partitioner of Kafka's own clients."""

    asyncio.run(relaying(live, role, mended))
    sizes = [len(one.value()) for one in messages_of(live, role)[0]]
    assert len(sizes) == kept
    assert 5 in sizes


def produce_ticks(live: LiveSystem, tick: Mapping[str, Any]) -> None:
    producer = Producer(confluent_options(live.config.kafka))
    for number in range(PARTITIONS):
        producer.produce(live.config.kafka.topics.ticks, json.dumps(tick).encode(), None, number)
    assert producer.flush(30) == 0


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


# --- partitions ------------------------------------------------------------------------------------------------------


def produced_by(live: LiveSystem, partitioner: str | None, key: str = "customer") -> int:
    """Send orders of 300 customers with librdkafka's partitioner, and return the number of misplaced ones."""
    options: dict[str, Any] = dict(confluent_options(live.config.kafka))
    if partitioner is not None:
        options["partitioner"] = partitioner
    producer = Producer(options)
    for customer, value, _ in orders_at(datetime.now(UTC) - timedelta(days=3), 300):
        producer.produce(live.config.kafka.topics.orders, value, customer if key == "customer" else value[-40:])
    assert producer.flush(30) == 0
    found = messages_of(live, "orders")
    return sum(
        partition_of(json.loads(one.value())["customer_id"], PARTITIONS) != number
        for number, of in found.items()
        for one in of
    )


@pytest.mark.parametrize("misplaced", ["count", "dead_letter"])
def test_the_default_partitioner_of_librdkafka_is_detected(make: Make, misplaced: str) -> None:
    live = make({"health.port": str(free_port()), "kafka.misplaced": misplaced})
    wrong = produced_by(live, None)
    assert 100 < wrong < 200
    worker = live.start("worker")
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    live.wait("it is told", lambda: "murmur2_random" in get(live, "/readyz")[1], SECONDS)
    status, text = get(live, "/readyz")
    assert status == 503
    assert f"{wrong} of the last 300 records of {live.config.kafka.topics.orders}" in text
    assert number_of(get(live, "/metrics")[1], "churn_records_misplaced_total", topic="orders") == wrong
    assert accepted(live) == (300 if misplaced == "count" else 300 - wrong)
    messages = [one for of in messages_of(live, "dead_letters").values() for one in of]
    assert len(messages) == (0 if misplaced == "count" else wrong)
    assert all(dict(one.headers())["kafka_dlt-exception-field"] == b"customer_id" for one in messages)
    assert worker.stop() == 0
    # A worker that finds these customers in its states checks them again.
    if misplaced == "count":
        worker.restart()
        produced_by(live, None)
        live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
        live.wait("it is told", lambda: "murmur2_random" in get(live, "/readyz")[1], SECONDS)
        assert number_of(get(live, "/metrics")[1], "churn_records_misplaced_total", topic="orders") == wrong


def test_murmur2_random_is_correct(make: Make) -> None:
    live = make({"health.port": str(free_port())})
    assert produced_by(live, "murmur2_random") == 0
    live.start("worker")
    live.wait("all is worked off and relayed", lambda: relayed(live), SECONDS)
    live.wait("it is ready", lambda: get(live, "/readyz")[0] == 200, SECONDS)
    assert number_of(get(live, "/metrics")[1], "churn_records_misplaced_total", topic="orders") == 0
    assert "All 12 topics" in live.run("topics", "check")


@pytest.mark.parametrize(
    ("key", "remedies"),
    [("customer", ["not murmur2", "murmur2_random", "Sarama"]), ("row", ["not customer_id", "message.key.columns"])],
)
def test_the_check_of_the_topics_names_the_remedy(make: Make, key: str, remedies: list[str]) -> None:
    live = make()
    assert produced_by(live, None, key) > 50
    with pytest.raises(AssertionError) as told:
        live.run("topics", "check")
    assert "ended with 1" in str(told.value)
    (mismatch,) = check_placement(live.config)
    assert mismatch.topic == live.config.kafka.topics.orders
    assert all(one in mismatch.problem + mismatch.remedy for one in remedies)
