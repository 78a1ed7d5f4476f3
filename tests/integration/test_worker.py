"""Services on real servers: poison records, stopping, two instances of one name, the clock."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import Topics, confluent_options
from stream_app.core.events.schema import encode
from stream_app.core.messages.schema import Tick, decode_tick
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint, snapshot
from stream_app.core.partition.progress import Summary
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import CommitRefused, Fenced, UnusableSnapshot, WrongTopics
from stream_app.ports import ModelVersion
from stream_app.services.runtime.stores import Stores
from tests.harness.processes import LiveSystem, Process
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.processes.outcome import messages_of
from tests.harness.servers.process import free_port
from tests.harness.shops import order, trained_model

PARTITIONS = 2
SECONDS = 40.0  # takes a few on an idle machine
Make = Callable[..., LiveSystem]


@pytest.fixture
def make(kafka: str, redis_url: str) -> Iterator[Make]:
    """Provide a maker of systems with topics, keys and a group of their own."""
    with ExitStack() as stack:

        def made(settings: Mapping[str, str] | None = None) -> LiveSystem:
            prefix = f"w{uuid4().hex[:8]}"
            own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
            own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
            live = stack.enter_context(LiveSystem({**own, **(settings or {})}, kafka, redis_url))
            live.run("topics", "create")
            return live

        yield made


def produce(live: LiveSystem, role: str, records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]]) -> None:
    """Send records of (key, value, headers) to the partitions of their keys."""
    config = live.config
    producer = Producer({**confluent_options(config.kafka), "linger.ms": 0})
    topic = getattr(config.kafka.topics, role)
    for key, value, headers in records:
        producer.produce(topic, value, key, partition_of(key.decode(), PARTITIONS), headers=list(headers))
    assert producer.flush(30) == 0


def orders_at(start: datetime, customers: int, each: int = 1) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Return orders of some customers, a second apart, as records."""
    first = (start - EPOCH) // MICROSECOND
    names = [f"c{number:04d}" for number in range(customers)] * each
    return [
        (name.encode(), encode(order(name, first + place * 1_000_000, amount=9.0)), [])
        for place, name in enumerate(names)
    ]


def summaries(live: LiveSystem) -> list[Summary]:
    """Return the stored summary of each partition."""
    stored = with_stores(live, lambda stores: stores.states.summaries(range(PARTITIONS)))
    return [msgspec.json.decode(one, type=Summary) if one else Summary() for one in stored.values()]


def accepted(live: LiveSystem) -> int:
    """Return the number of events in the states, over all partitions."""
    return sum(one.counts.get("accepted", 0) for one in summaries(live))


def stream_times(live: LiveSystem) -> list[datetime]:
    """Return the stream time of each partition."""
    return [EPOCH + max(one.stream_time, 0) * MICROSECOND for one in summaries(live)]


def get(live: LiveSystem, path: str) -> tuple[int, str]:
    """Return status and text of an HTTP response; status 0 while nothing is listening."""
    url = f"http://127.0.0.1:{live.config.health.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def ended(process: Process, seconds: float = SECONDS) -> int:
    """Return the exit status of a process that ends by itself."""
    return process.popen.wait(seconds)


def opened_by(process: Process) -> set[int]:
    """Return the partitions that a worker has opened so far, by its log."""
    found = re.findall(r'"Partition task opened".*?"partition": (\d+)', process.log.read_text())
    return set(map(int, found))


def with_stores(live: LiveSystem, work: Callable[[Stores], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        stores = Stores(live.config)
        try:
            return await work(stores)
        finally:
            await stores.close()

    return asyncio.run(run())


def promtool_says(metrics: str) -> str:
    """Return the findings of promtool on a response of /metrics; none if it is not installed."""
    program = shutil.which("promtool")
    if program is None:
        return ""
    run = subprocess.run([program, "check", "metrics"], input=metrics, capture_output=True, check=False, text=True)
    return run.stdout + run.stderr


# --- poison ----------------------------------------------------------------------------------------------------------


def test_poison_records_become_dead_letters_and_stop_nothing(make: Make) -> None:
    live = make({"health.port": str(free_port())})
    now = datetime.now(UTC)
    good, late = orders_at(now - timedelta(days=3), 20), orders_at(now - timedelta(days=2), 20)
    key, value, _ = good[0]
    tomorrow = encode(order("c0000", (now + timedelta(days=1) - EPOCH) // MICROSECOND))
    traced = [("trace", b"\x00\xff"), ("trace", b"2")]
    poison = [
        (key, b"{", "", "not a JSON object"),
        (key, b"\xff\xfe", "", ""),
        (key, re.sub(rb'"occurred_at":"[^"]*",?', b"", value), "occurred_at", "missing required field"),
        (key, tomorrow, "occurred_at", "future"),
    ]
    produce(live, "orders", [*good, *[(key, bad, traced) for key, bad, _, _ in poison], *late])
    worker = live.start("worker")
    live.wait("all is worked off", live.done, SECONDS)
    # 1. The states have the good records, and nothing else.
    assert accepted(live) == len(good) + len(late)
    # 2. The bad records are dead letters with their source and reason.
    messages = messages_of(live, "dead_letters")
    number = partition_of(key.decode(), PARTITIONS)
    assert [len(messages[one]) for one in range(PARTITIONS)] == [
        len(poison) * (one == number) for one in range(PARTITIONS)
    ]
    for message, (key, bad, field, reason) in zip(messages[number], poison, strict=True):
        assert (message.key(), message.value()) == (key, bad)
        headers = message.headers()
        assert headers[:2] == traced
        told = {name: text.decode() for name, text in headers[2:]}
        assert told["kafka_dlt-original-topic"] == live.config.kafka.topics.orders
        assert told["kafka_dlt-original-partition"] == str(number)
        original = messages_of(live, "orders")[number][int(told["kafka_dlt-original-offset"])]
        assert original.value() == bad
        assert told["kafka_dlt-original-timestamp"] == str(original.timestamp()[1])
        assert told["kafka_dlt-exception-field"] == field
        assert reason in told["kafka_dlt-exception-message"]
    # 3. They are counted, and the worker is healthy.
    assert get(live, "/readyz")[0] == 200
    status, metrics = get(live, "/metrics")
    assert status == 200
    rejected = re.findall(r"^churn_\w*rejected\w*_total\{[^}]*\} (\S+)", metrics, re.MULTILINE)
    assert sum(map(float, rejected)) == len(poison), metrics
    # 4. Customers and their orders are counted.
    live.wait("customers are counted", lambda: "churn_buyers{" in get(live, "/metrics")[1], SECONDS)
    metrics = get(live, "/metrics")[1]
    assert 'churn_buyers{shop="default"} 20.0' in metrics
    assert 'churn_repeat_buyers{shop="default"} 20.0' in metrics
    assert 'churn_orders_total{kind="repeat",shop="default"} 20.0' in metrics
    assert promtool_says(metrics) == ""
    assert worker.stop() == 0


# --- start and stop ---------------------------------------------------------------------------------------------------


def test_a_worker_finishes_its_batch_after_a_signal(make: Make) -> None:
    live = make({"worker.batch_events": "20"})
    records = orders_at(datetime.now(UTC) - timedelta(days=3), 1_000, each=4)
    produce(live, "orders", records)
    worker = live.start("worker")
    live.wait("something is done", lambda: live.consumed() > 100, SECONDS, every=0.01)
    assert worker.stop() == 0
    # 1. In mid-work: positions, states and sent records agree.
    assert 100 < live.consumed() < len(records)
    assert accepted(live) == live.consumed()
    prefix = live.config.redis.prefix
    assert [live.redis.llen(f"{prefix}:{{p{number}}}:outbox") for number in range(PARTITIONS)] == [0] * PARTITIONS
    # 2. The next process continues from there.
    worker.restart()
    live.wait("all is worked off", live.done, SECONDS)
    assert accepted(live) == len(records)
    assert worker.stop() == 0


def test_of_two_workers_of_one_name_the_older_one_ends(make: Make) -> None:
    live = make()
    produce(live, "orders", orders_at(datetime.now(UTC) - timedelta(days=3), 20))
    older = live.start("worker", instance="same")
    live.wait("all is worked off", live.done, SECONDS)
    newer = live.start("worker", instance="same")
    live.wait("the newer one has the partitions", lambda: len(opened_by(newer)) == PARTITIONS, SECONDS)
    produce(live, "orders", orders_at(datetime.now(UTC) - timedelta(days=2), 20))
    assert ended(older) == Fenced.exit_code == CommitRefused.exit_code
    assert newer.running
    live.processes.remove(older)
    live.wait("the newer one goes on", live.done, SECONDS)
    assert accepted(live) == 40
    older.close()


def test_topics_with_unequal_partition_counts_are_refused(make: Make) -> None:
    live = make()
    config = live.config.kafka
    admin = AdminClient(confluent_options(config))
    admin.create_partitions([NewPartitions(config.topics.cart, PARTITIONS + 1)])[config.topics.cart].result(30)
    worker = live.start("worker")
    assert ended(worker) == WrongTopics.exit_code
    assert config.topics.cart in worker.tail()


def test_a_torn_checkpoint_is_refused(make: Make) -> None:
    live = make()
    settings = live.config.shop.settings()
    training = Trainer(ChurnModel(settings.horizon, settings.decide_every, 1), PARTITIONS, settings.horizon)

    async def store(stores: Stores) -> None:
        await stores.models.claim("trainer")
        whole = training.checkpoint()
        await stores.models.checkpoint(base=0, number=1, checkpoint=whole[: len(whole) // 2], through=0)

    with_stores(live, store)
    trainer = live.start("trainer")
    assert ended(trainer) == UnusableSnapshot.exit_code
    assert "checkpoint" in trainer.tail()


# --- the wall clock, and the versions that it names ------------------------------------------------------------------

WALL = {
    "ticks.clock": "wall",
    "ticks.every": "1s",
    "ticks.lease_ttl": "2s",
    "shop.horizon": "2d",
    "shop.decide_every": "1h",
    "shop.lateness": "0h",
    "kafka.session_timeout": "6s",
    "kafka.heartbeat": "1s",
}


def ticks_of(live: LiveSystem) -> list[list[Tick]]:
    """Return all ticks so far, by partition."""
    found = messages_of(live, "ticks")
    ticks = [[decode_tick(message.value()) for message in found[number]] for number in range(PARTITIONS)]
    assert all(isinstance(tick, Tick) for of in ticks for tick in of)
    return ticks  # type: ignore[return-value]


def shown(live: LiveSystem, *command: str) -> str:
    """Return the output of a command, with wide lines."""
    done = subprocess.run(
        [str(STREAM_APP), *command],
        env=live.environ | {"COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def newest(live: LiveSystem) -> list[int | None]:
    """Return the version in the latest tick of each partition."""
    return [of[-1].version if of else None for of in ticks_of(live)]


def test_the_owner_of_the_clock_advances_time_and_publishes_the_version(make: Make) -> None:
    live = make(WALL)
    with_stores(live, _learned)
    began = datetime.now(UTC)
    produce(live, "orders", orders_at(began - timedelta(hours=2), 20))
    workers = {name: live.start("worker", instance=name) for name in ("one", "two")}
    live.wait("both have work", lambda: all(opened_by(worker) for worker in workers.values()), SECONDS)
    # 1. A customer who ordered two hours ago is decided on without further events: ticks advance the time.
    live.wait("time has come to now", lambda: min(stream_times(live)) > began, SECONDS)
    for of in ticks_of(live):
        assert [tick.occurred_at for tick in of] == sorted(tick.occurred_at for tick in of)
        assert {tick.version for tick in of} == {2}
        assert not any(tick.waits for tick in of)
    # 2. A customer and a version can be shown.
    state = msgspec.json.decode(live.run("state", "show", "c0001", "--json"))
    assert state["customer"] == "c0001"
    assert 0.0 < state["probability"] < 1.0
    assert len(state["waiting"]) >= 2
    assert re.search(r"last_order\W+\d{4}-\d\d-\d\d", shown(live, "state", "show", "c0001"))
    assert {one.version for one in summaries(live)} == {2}
    assert f"{trained_model().examples:,}" in shown(live, "model", "show", "1")
    # 3. A pinned version is in the ticks from the next one on.
    live.run("model", "rollback", "1")
    live.wait("the ticks name version 1", lambda: newest(live) == [1, 1], SECONDS)
    live.wait("it is in force", lambda: {one.version for one in summaries(live)} == {1}, SECONDS)
    listed = shown(live, "model", "list")
    assert re.search(r"^\W*1 .* pinned, in use\W*$", listed, re.MULTILINE)
    assert fingerprint(trained_model())[:12] in listed
    live.run("model", "rollback")
    live.wait("the ticks name version 2", lambda: newest(live) == [2, 2], SECONDS)
    # 4. The owner is killed: the other one advances the time.
    holder = live.redis.get(f"{live.config.redis.prefix}:{{clock}}:holder").decode()  # type: ignore[union-attr]
    owner, other = workers.pop(holder), next(iter(workers.values()))
    assert '"Tick lease acquired"' in owner.log.read_text()
    owner.kill()
    killed = datetime.now(UTC)
    live.wait("the clock is taken", lambda: '"Tick lease acquired"' in other.log.read_text(), SECONDS)
    live.wait(
        "time goes on",
        lambda: all(of[-1].occurred_at > killed + timedelta(seconds=1) for of in ticks_of(live)),
        SECONDS,
    )
    assert other.stop() == 0, other.tail()


async def _learned(stores: Stores) -> None:
    """Store versions 1 and 2 like a trainer."""
    churn_model = trained_model()
    stored = snapshot(churn_model)
    await stores.models.claim("trainer")
    for number in (1, 2):
        version = ModelVersion(
            number=number,
            effective_at=number,
            fingerprint=fingerprint(churn_model),
            examples=churn_model.examples,
            stored_bytes=len(stored),
            shares=churn_model.shares(),
            created_at=time.time_ns() // 1_000,
        )
        await stores.models.checkpoint(
            base=number - 1, number=number, checkpoint=b"", through=number, version=version, snapshot=stored
        )
