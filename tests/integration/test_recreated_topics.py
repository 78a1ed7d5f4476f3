"""Topics that are deleted and created again, under each service that keeps positions."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from stream_app.adapters.kafka.admin import TopicIds
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import Kafka, Topics, confluent_options
from stream_app.core.allocation.allocator import AllocatorPosition
from stream_app.core.events.schema import encode
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch
from stream_app.core.messages.outgoing import pack
from stream_app.core.model.signature import verify
from stream_app.core.training.trainer import Checkpoint
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import NoBroker, OtherTopic, SplitPartition
from tests.harness.processes import LiveSystem, Process
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.servers.process import free_port
from tests.harness.shops import order

pytestmark = pytest.mark.slow
PARTITIONS: Final = 2
SECONDS: Final = 40.0
START: Final = (datetime.now(UTC) - timedelta(days=3) - EPOCH) // MICROSECOND
OTHER_TOPIC: Final = OtherTopic.exit_code
Make = Callable[..., LiveSystem]
READ_BY: Final = {"orders": "worker", "labelled": "trainer", "nominations": "allocator", "alerts": "notifier"}


@pytest.fixture
def make(kafka: str, redis_url: str) -> Iterator[Make]:
    """Provide a maker of systems with topics, keys and a group of their own."""
    with ExitStack() as stack:

        def made(settings: Mapping[str, str] | None = None) -> LiveSystem:
            prefix = f"t{uuid4().hex[:8]}"
            own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
            own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
            live = stack.enter_context(LiveSystem({**own, **(settings or {})}, kafka, redis_url))
            live.run("topics", "create")
            return live

        yield made


def produce(live: LiveSystem, role: str, first: int, how_many: int) -> None:
    """Send records number `first` and following to both partitions of a topic."""
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 0})
    for number in range(first, first + how_many):
        for partition in range(PARTITIONS):
            key, value = record(role, number, partition)
            headers: Any = [("sequence", str(number + 1).encode())]
            producer.produce(getattr(live.config.kafka.topics, role), value, key, partition, headers=headers)
    assert producer.flush(30) == 0


def record(role: str, number: int, partition: int) -> tuple[bytes, bytes]:
    """Return a record that advances positions, and affects nothing else but the worker's customers."""
    moment = START + number * 1_000_000
    if role == "orders":
        customer = next(
            one for one in map(f"c{number}-{{}}".format, count()) if partition_of(one, PARTITIONS) == partition
        )
        return customer.encode(), encode(order(customer, moment, amount=9.0))
    if role == "alerts":
        return b"?", b"{}"
    return b"", pack(LabelledBatch(moment=moment)) if role == "labelled" else pack(CandidateBatch(moment, []))


def positions(live: LiveSystem, role: str) -> list[int]:
    """Return the stored positions of a topic."""
    prefix = live.config.redis.prefix
    field = {"labelled": ("model", "checkpoint"), "nominations": ("p-1", "position"), "alerts": ("deliver", "position")}
    if role == "orders":
        return [(of or {}).get(role, 0) for of in live.positions()]
    owner, name = field[role]
    stored: Any = live.redis.hget(f"{prefix}:{{{owner}}}:meta", name)
    if not stored:
        return [0] * PARTITIONS
    if role == "alerts":
        found = msgspec.json.decode(stored, type=dict[int, int])
        return [found.get(number, 0) for number in range(PARTITIONS)]
    if role == "labelled":
        number = int(live.redis.hget(f"{prefix}:{{model}}:meta", "number") or 0)
        checkpoint = verify(stored, f"{prefix} checkpoint {number}", live.config.model.keys(), "of the test")
        read = msgspec.msgpack.decode(checkpoint, type=Checkpoint).read
    else:
        read = msgspec.json.decode(stored, type=AllocatorPosition).read
    return [read[number].offset for number in range(PARTITIONS)]


def delete(live: LiveSystem, role: str) -> str:
    """Delete a topic, and return its name."""
    name: str = getattr(live.config.kafka.topics, role)
    admin = AdminClient(confluent_options(live.config.kafka))
    (deleted,) = admin.delete_topics([name]).values()
    deleted.result(30)
    return name


def create_again(live: LiveSystem, role: str) -> None:
    """Delete a topic, and create it under the same name."""
    name = delete(live, role)
    ask, until = TopicIds(live.config.kafka), time.monotonic() + SECONDS
    while ask([name]):
        assert time.monotonic() < until
        time.sleep(0.05)
    live.run("topics", "create")
    while name not in ask([name]):
        assert time.monotonic() < until
        time.sleep(0.05)


def command(live: LiveSystem, *words: str) -> tuple[int, str]:
    """Run a command that may fail, and return its exit status and output."""
    done = subprocess.run(
        [str(STREAM_APP), *words], env=live.environ, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def ended(process: Process) -> int:
    """Return the exit status of a process that ends by itself."""
    status = process.popen.wait(SECONDS)
    process.popen.returncode = 0  # so that `live.wait` continues
    return status


def kept_ids(live: LiveSystem) -> dict[str, str]:
    """Return all stored ids of topics, by key and field."""
    found: dict[str, str] = {}
    for key in live.redis.scan_iter(match=f"{live.config.redis.prefix}:*:meta"):
        fields: Any = live.redis.hgetall(key)
        found |= {f"{key.decode()} {name.decode()}": one.decode() for name, one in fields.items() if b"topic:" in name}
    return found


def test_ids_are_those_of_the_broker(make: Make) -> None:
    live = make()
    names = list(live.config.kafka.topics.of("orders", "cart").values())
    ask = TopicIds(live.config.kafka)
    first = ask([*names, "no-such-topic"])
    assert set(first) == set(names)
    assert len(set(first.values())) == 2
    assert all(first.values())
    create_again(live, "orders")
    assert ask(names)[names[0]] not in {None, first[names[0]]}
    assert ask(names)[names[1]] == first[names[1]]
    with pytest.raises(NoBroker, match=r"127\.0\.0\.1:1 does not answer"):
        TopicIds(Kafka(bootstrap="127.0.0.1:1"), seconds=1.0)(names)


@pytest.mark.parametrize("role", READ_BY)
def test_a_recreated_topic_is_refused_until_accepted(make: Make, role: str) -> None:
    live, service = make(), READ_BY[role]
    name = getattr(live.config.kafka.topics, role)
    produce(live, role, 0, 5)
    process = live.start(service)
    live.wait("it is read", lambda: positions(live, role) == [5, 5], SECONDS)
    assert process.stop() == 0
    before = kept_ids(live)
    # 1. It continues while the topic is the same.
    produce(live, role, 5, 1)
    process.restart()
    live.wait("it goes on", lambda: positions(live, role) == [6, 6], SECONDS)
    assert process.stop() == 0
    # 2. The topic is created again with more records than before: only its id differs.
    create_again(live, role)
    produce(live, role, 6, 9)
    present = TopicIds(live.config.kafka)([name])[name]
    process.restart()
    assert ended(process) == OTHER_TOPIC
    said = process.tail()
    assert f"{name} is not the topic that was read before: its id is {present}" in said
    assert any(one in said for one in before.values())
    assert f"stream-app topics accept {name}" in said
    assert positions(live, role) == [6, 6]
    assert kept_ids(live) == before
    # 3. Once accepted, it is read from its beginning.
    status, said = command(live, "topics", "accept", name)
    assert (status, said) == (0, f"{name} will be read from the beginning at the next start.")
    assert command(live, "topics", "accept", name)[1] == f"{name} has not been created again."
    process.restart()
    live.wait("it is read from its beginning", lambda: positions(live, role) == [9, 9], SECONDS)
    assert process.stop() == 0
    if role == "orders":
        customers = live.redis.hlen(f"{live.config.redis.prefix}:{{p0}}:states")
        assert customers == 6 + 9
    assert {one for key, one in kept_ids(live).items() if key.endswith(f"topic:{role}")} == {present}


@pytest.mark.parametrize("role", READ_BY)
def test_a_service_ends_when_its_topic_is_recreated(make: Make, role: str) -> None:
    live = make({"health.port": str(free_port())})
    produce(live, role, 0, 5)
    process = live.start(READ_BY[role])
    live.wait("it is read", lambda: positions(live, role) == [5, 5], SECONDS)
    create_again(live, role)
    produce(live, role, 5, 9)
    # While the topic is missing, a worker may first notice that a partition lacks it.
    assert ended(process) in {OTHER_TOPIC, SplitPartition.exit_code}, process.tail()
    assert re.search(
        r"is not the topic that was read|Kafka no longer has|but the topic ends at|assigned without", process.tail()
    )
    process.restart()
    assert ended(process) == OTHER_TOPIC
    assert "is not the topic that was read before" in process.tail()


def test_a_deleted_topic_is_reported(make: Make) -> None:
    live = make({"health.port": str(free_port())})
    produce(live, "labelled", 0, 3)
    process = live.start("trainer")
    live.wait("it is read", lambda: positions(live, "labelled") == [3, 3], SECONDS)
    name = delete(live, "labelled")
    port = live.config.health.port + 1

    def ready() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return "ended"

    live.wait("it is told of", lambda: f"{name}: no longer in Kafka" in ready() or not process.running, SECONDS)


def test_positions_without_ids_adopt_the_existing_topics(make: Make) -> None:
    live = make()
    produce(live, "orders", 0, 5)
    process = live.start("worker")
    live.wait("it is read", lambda: positions(live, "orders") == [5, 5], SECONDS)
    assert process.stop() == 0
    before = kept_ids(live)
    for number in range(PARTITIONS):
        key = f"{live.config.redis.prefix}:{{p{number}}}:meta"
        fields: Any = live.redis.hkeys(key)
        for field in fields:
            if field.startswith(b"topic:"):
                live.redis.hdel(key, field)
    produce(live, "orders", 5, 2)
    process.restart()
    live.wait("it goes on", lambda: positions(live, "orders") == [7, 7], SECONDS)
    assert kept_ids(live) == before
    assert process.stop() == 0


def test_a_setting_that_names_another_topic_is_refused(make: Make) -> None:
    live = make()
    produce(live, "orders", 0, 5)
    process = live.start("worker")
    live.wait("it is read", lambda: positions(live, "orders") == [5, 5], SECONDS)
    assert process.stop() == 0
    orders, cart = live.config.kafka.topics.orders, live.config.kafka.topics.cart
    status, said = command(
        live, "worker", "--set", f"kafka.topics.orders={cart}", "--set", f"kafka.topics.cart={orders}"
    )
    assert status == OTHER_TOPIC, said
    assert "is not the topic that was read before" in said


def test_only_topics_with_positions_are_accepted(make: Make) -> None:
    live = make()
    status, said = command(live, "topics", "accept", live.config.kafka.topics.scores)
    assert (status, "Give one of" in said) == (2, True)
    delete(live, "cart")
    status, said = command(live, "topics", "accept", live.config.kafka.topics.cart)
    assert (status, "The topic does not exist" in said) == (2, True)
