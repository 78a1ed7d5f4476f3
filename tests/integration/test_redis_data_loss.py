"""The worker on a Redis that has lost keys by deletion or eviction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from stream_app.adapters.http.probe import why_not_ready
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import Topics, confluent_options
from stream_app.core.events.schema import encode
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import EvictingStore, StoreIncomplete
from tests.harness.processes import LiveSystem, Process
from tests.harness.servers.process import free_port
from tests.harness.shops import order

pytestmark = pytest.mark.slow
PARTITIONS: Final = 2
CUSTOMERS: Final = 600
SECONDS: Final = 60.0
START: Final = (datetime.now(UTC) - timedelta(days=3) - EPOCH) // MICROSECOND


@pytest.fixture
def live(kafka: str) -> Iterator[LiveSystem]:
    """Provide a system on a Redis of its own, and the port of a worker's health."""
    prefix = f"s{uuid4().hex[:8]}"
    own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
    own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
    with ExitStack() as stack:
        live = stack.enter_context(LiveSystem({**own, "health.port": str(free_port())}, kafka))
        live.run("topics", "create")
        yield live


def produce(live: LiveSystem, first: int, count: int) -> None:
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 5})
    for number in range(first, first + count):
        name = f"c{number:05d}"
        value = encode(order(name, START + number * 1_000_000, amount=9.0))
        producer.produce(live.config.kafka.topics.orders, value, name.encode(), partition_of(name, PARTITIONS))
        producer.poll(0)
    assert producer.flush(30) == 0


def stored(live: LiveSystem) -> int:
    return sum(live.redis.hlen(f"{live.config.redis.prefix}:{{p{number}}}:states") for number in range(PARTITIONS))


def ended(process: Process) -> int:
    """Return the exit status of a process that ends by itself."""
    status = process.popen.wait(SECONDS)
    process.popen.returncode = 0  # so that `live.wait` continues
    return status


def dumped(live: LiveSystem) -> Mapping[bytes, bytes]:
    found: dict[bytes, Any] = {key: live.redis.dump(key) for key in live.redis.scan_iter()}
    return {key: value for key, value in found.items() if value is not None}


def test_a_worker_does_not_start_on_an_incomplete_store(live: LiveSystem) -> None:
    produce(live, 0, CUSTOMERS)
    worker = live.start("worker")
    live.wait("all is stored", lambda: stored(live) == CUSTOMERS, SECONDS)
    assert worker.stop() == 0
    whole = dumped(live)
    states = f"{live.config.redis.prefix}:{{p0}}:states"
    meta = f"{live.config.redis.prefix}:{{p0}}:meta"
    one, other, *_ = live.redis.hkeys(states)  # type: ignore[misc, unused-ignore]

    def swap() -> None:
        live.redis.hset(states, one, live.redis.hget(states, other))

    losses: dict[str, Callable[[], object]] = {
        "`states` has 0 entries": lambda: live.redis.delete(states),
        "were stored": lambda: live.redis.hdel(states, one),
        "values differ": swap,
        "`meta` with their position is missing": lambda: live.redis.delete(meta),
    }
    for said, lose in losses.items():
        lose()
        worker.restart()
        assert ended(worker) == StoreIncomplete.exit_code
        assert said in worker.tail()
        for key, value in whole.items():
            live.redis.restore(key, 0, value, replace=True)
    # It continues once the store is complete again.
    produce(live, CUSTOMERS, 10)
    worker.restart()
    live.wait("it goes on", lambda: stored(live) == CUSTOMERS + 10, SECONDS)
    assert worker.stop() == 0


def test_a_worker_ends_when_redis_evicts_keys(live: LiveSystem) -> None:
    produce(live, 0, CUSTOMERS)
    worker = live.start("worker")
    live.wait("all is stored", lambda: stored(live) == CUSTOMERS, SECONDS)
    # 1. The policy changes: the worker is not ready, with the reason.
    live.redis.config_set("maxmemory-policy", "allkeys-lru")
    port = live.config.health.port
    live.wait("it is told of", lambda: "full: maxmemory-policy is allkeys-lru" in why_not_ready(port), SECONDS)
    # 2. Redis evicts.
    live.redis.config_set("maxmemory", "1mb")
    produce(live, CUSTOMERS, 4 * CUSTOMERS)
    assert ended(worker) != 0
    # 3. It does not start on such a Redis, nor on the keys that it has left.
    worker.restart()
    assert ended(worker) == EvictingStore.exit_code
    assert "Set it to noeviction" in worker.tail()
    live.redis.config_set("maxmemory", "0")
    live.redis.config_set("maxmemory-policy", "noeviction")
    if live.redis.dbsize():
        worker.restart()
        assert ended(worker) == StoreIncomplete.exit_code
