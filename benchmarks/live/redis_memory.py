"""Memory of Redis per customer: typical histories of a simulated shop, a million customers, on a real redis-server.

`python -m benchmarks.live.redis_memory` simulates a shop for a year, replays it, encodes its customers, repeats them
under new names, and stores them as a worker does: a hash per partition, a field per customer. What counts is the
difference in `used_memory`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Final

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import msgspec
import numpy as np
import redis
import typer

from benchmarks.live.results import Memory
from benchmarks.replay.whole_replay import WEEKLY, replay
from benchmarks.simulated_logs import simulated
from stream_app.core.customers.codec.decisions import DECISION_BYTES
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.customers.customer import ID_BYTES
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.replay.session import collector_off
from stream_app.simulate import ShopSettings
from tests.harness.servers import RedisServer

PARTITIONS: Final = 8
_BATCH: Final = 500  # customers per commit
_PIPELINE: Final = 2_000  # fields per request
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Encoded:
    """Encoded customers of a log at its end."""

    values: list[bytes]
    waiting: float  # decisions per customer
    fresh: float  # share of customers whose last decision was made on their present state
    recent_ids: float  # per customer
    with_alert: float  # share of customers with an open alert
    encode_micros: float  # per customer whose decisions have changed
    encode_again_micros: float  # per customer whose state alone has changed
    decode_micros: float

    def sizes(self) -> dict[str, float]:
        """Return figures of the values in bytes, and of their parts that can be counted."""
        lengths = np.array([len(value) for value in self.values])
        median, high = np.percentile(lengths, [50, 99])
        ids, decisions = ID_BYTES * self.recent_ids, DECISION_BYTES * self.waiting
        named = {"mean": lengths.mean(), "p50": median, "p99": high, "most": lengths.max(), "recent ids": ids}
        rest = lengths.mean() - ids - decisions
        return {name: float(one) for name, one in (named | {"decisions": decisions, "all other": rest}).items()}


def encoded(log: Path, form: str = "jsonl") -> Encoded:
    """Replay a log with the default horizon, window and period, and encode its customers."""
    kept: list[PartitionProcessor] = []
    replay(log, WEEKLY, form, keep=lambda replayed: kept.extend(replayed.partitions))
    (partition,) = kept
    customers = sorted(partition.customers.values(), key=lambda customer: customer.name)

    def encode(start: int) -> list[bytes]:
        return encode_customers(customers[start : start + _BATCH], partition.ranking)

    def decode(start: int) -> list[bytes]:
        names = (customer.name for customer in customers[start : start + _BATCH])
        decode_customers(list(zip(names, values[start : start + _BATCH], strict=True)), WEEKLY.horizon)
        return []

    with collector_off():
        encode_micros, _ = _timed(encode, len(customers))
        encode_again_micros, values = _timed(encode, len(customers))
        decode_micros, _ = _timed(decode, len(customers))
    return Encoded(
        values,
        waiting=float(np.mean([len(customer.waiting) for customer in customers])),
        fresh=float(np.mean([customer.fresh for customer in customers])),
        recent_ids=float(np.mean([len(customer.ids) for customer in customers])),
        with_alert=float(np.mean([customer.alert is not None for customer in customers])),
        encode_micros=encode_micros,
        encode_again_micros=encode_again_micros,
        decode_micros=decode_micros,
    )


def _timed(work: Callable[[int], list[bytes]], customers: int) -> tuple[float, list[bytes]]:
    """CPU time of some work per customer, µs, and its results over all batches."""
    started = time.process_time()
    results = [one for start in range(0, customers, _BATCH) for one in work(start)]
    return (time.process_time() - started) / customers * 1e6, results


def stored(shop: Encoded, customers: int) -> Memory:
    """Store a number of customers with repeated values in a new Redis."""
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        before = client.info("memory")["used_memory"]
        named = ((f"c{number:08d}", value) for number, value in enumerate(islice(cycle(shop.values), customers)))
        number = 0
        while chunk := dict(islice(named, _PIPELINE)):
            client.hset(f"churn:{{p{number % PARTITIONS}}}:states", mapping=chunk)
            number += 1
        used = client.info("memory")["used_memory"] - before
        held = sum(client.hlen(f"churn:{{p{number}}}:states") for number in range(PARTITIONS))
    if held != customers:
        raise RuntimeError(f"Redis holds {held} customers instead of {customers}")
    value_bytes = sum(len(value) for value in islice(cycle(shop.values), customers))
    return Memory(customers, used / customers, value_bytes / customers, shop.waiting)


def main(
    simulated_customers: Annotated[int, typer.Option(help="Customers of the simulated shop.")] = 5_000,
    customers: Annotated[int, typer.Option(help="Customers to store.")] = 1_000_000,
    build: Annotated[Path, typer.Option(help="Folder for the simulated log.")] = _ROOT / "build",
    recorded: Annotated[list[str] | None, typer.Option(help="More logs, as MAPPING=FILE: only their sizes.")] = None,
) -> None:
    """Measure the memory of Redis per customer, and print the figures."""
    log = simulated(build / "benchmarks", "year", ShopSettings(customers=simulated_customers, days=365))
    shops = {"simulated": encoded(log)}
    for form, _, file in (one.partition("=") for one in recorded or []):
        shops[form] = encoded(Path(file), form)
    figures = {name: {**vars(shop), "values": shop.sizes()} for name, shop in shops.items()}
    found = {"encoded": figures, "redis": stored(shops["simulated"], customers)}
    print(msgspec.json.format(msgspec.json.encode(found)).decode())


if __name__ == "__main__":
    typer.run(main)
