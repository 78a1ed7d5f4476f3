"""Redis memory per customer: typical histories of a simulated shop, a million customers, on a real redis-server.

The customers of a log are encoded, repeated under new names, and stored as a worker does: a hash per partition, a field
per customer. The result is the difference in `used_memory`.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import Final

import redis

from benchmarks.live.results import Memory
from benchmarks.replay.whole_replay import WEEKLY, replay
from stream_app.core.customers.codec.states import encode_customers
from stream_app.core.partition.processor import PartitionProcessor
from tests.harness.servers import RedisServer

PARTITIONS: Final = 8
_PIPELINE: Final = 2_000  # fields per request


def redis_memory(log: Path, customers: int) -> Memory:
    """Replay a log, and store its customers in a new Redis until it holds `customers` of them."""
    kept: list[PartitionProcessor] = []
    replay(log, WEEKLY, keep=lambda replayed: kept.extend(replayed.partitions))
    (partition,) = kept
    found = sorted(partition.customers.values(), key=lambda customer: customer.name)
    values = list(islice(cycle(encode_customers(found, partition.ranking)), customers))
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        before = client.info("memory")["used_memory"]
        for number, start in enumerate(range(0, customers, _PIPELINE)):
            chunk = {f"c{start + place:08d}": value for place, value in enumerate(values[start : start + _PIPELINE])}
            client.hset(f"churn:{{p{number % PARTITIONS}}}:states", mapping=chunk)
        used = client.info("memory")["used_memory"] - before
    waiting = sum(len(customer.waiting) for customer in found) / len(found)
    return Memory(customers, used / customers, sum(map(len, values)) / customers, waiting)
