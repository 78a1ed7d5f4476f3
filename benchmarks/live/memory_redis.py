"""What Redis holds of a customer: typical histories of a simulated shop, a million customers, on a real redis-server.

`python -m benchmarks.live.memory_redis` simulates a shop for a year, replays it, encodes its customers, renames them
until there are enough, and stores them as a worker does: one hash a partition, a field a customer. What counts is the
difference of `used_memory`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Final

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np
import redis
import typer

from benchmarks import logs
from benchmarks.document import table
from benchmarks.replay.product import WEEKLY, replay
from stream_app.core.alerts.lifecycle import Ranking
from stream_app.core.customers.codec.decisions import DECISION_BYTES
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.replay.runner import Replay
from stream_app.replay.session import collector_off
from stream_app.simulate import ShopSettings
from tests.harness.servers import RedisServer

PARTITIONS: Final = 8
WANTED, DONE_AT = 900, 1_400  # bytes of used_memory a customer
_BATCH: Final = 500  # customers whom a commit touches
_PIPELINE: Final = 2_000  # fields that are sent at once
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Encoded:
    """The customers of one log as they are stored at its end."""

    log: str
    values: list[bytes]
    waiting: float  # decisions a customer
    fresh: float  # of them, on the facts as they are
    recent: float  # ids
    with_episode: float  # share
    encode_micros: float  # a customer whose decisions changed
    encode_again_micros: float  # whose facts changed only
    decode_micros: float

    @property
    def parts(self) -> dict[str, float]:
        """Bytes of the parts that are known by counting."""
        mean = float(np.mean([len(value) for value in self.values]))
        ids, decisions = ID_BYTES * self.recent, DECISION_BYTES * self.waiting
        return {
            "mean": mean,
            "recent ids": ids,
            "decisions": decisions,
            "facts, features and the rest": mean - ids - decisions,
        }


@dataclass(frozen=True)
class Stored:
    """What Redis held."""

    customers: int
    used_bytes: int  # difference of used_memory
    value_bytes: int
    seconds: float

    @property
    def bytes_a_customer(self) -> float:
        """Of used_memory, everything included."""
        return self.used_bytes / self.customers

    @property
    def verdict(self) -> str:
        """Whether it is as little as wanted."""
        if self.bytes_a_customer <= WANTED:
            return "reached"
        return "done, not reached" if self.bytes_a_customer <= DONE_AT else "missed"


def encoded(name: str, log: Path, form: str = "jsonl") -> Encoded:
    """Replay a log with the default horizon, window and period, and encode its customers as they are at its end."""
    kept: list[tuple[list[Customer], Ranking]] = []

    def keep(replayed: Replay) -> None:
        (partition,) = replayed.partitions
        customers = sorted(partition.customers.values(), key=lambda customer: customer.name)
        kept.append((customers, partition.ranking))

    replay(log, WEEKLY, form, keep=keep)
    ((customers, ranking),) = kept
    with collector_off():
        first, again = (_encode(customers, ranking) for _ in range(2))
        named = list(zip((customer.name for customer in customers), again[1], strict=True))
        started = time.process_time()
        for start in range(0, len(named), _BATCH):
            decode_customers(named[start : start + _BATCH], WEEKLY.horizon)
        decoded = time.process_time() - started
    count = len(customers)
    return Encoded(
        log=name,
        values=again[1],
        waiting=sum(len(customer.waiting) for customer in customers) / count,
        fresh=sum(customer.fresh for customer in customers) / count,
        recent=sum(len(customer.ids) for customer in customers) / count,
        with_episode=sum(customer.alert is not None for customer in customers) / count,
        encode_micros=first[0] / count * 1e6,
        encode_again_micros=again[0] / count * 1e6,
        decode_micros=decoded / count * 1e6,
    )


def _encode(customers: Sequence[Customer], ranking: Ranking) -> tuple[float, list[bytes]]:
    """CPU seconds, and the values."""
    values: list[bytes] = []
    started = time.process_time()
    for start in range(0, len(customers), _BATCH):
        values += encode_customers(customers[start : start + _BATCH], ranking)
    return time.process_time() - started, values


def stored(values: Sequence[bytes], customers: int) -> Stored:
    """Store so many customers with these values in a Redis of its own, under names of their own."""
    started = time.perf_counter()
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        before = _used(client)
        for number, chunk in enumerate(_chunks(values, customers)):
            client.hset(f"churn:{{p{number % PARTITIONS}}}:states", mapping=chunk)
        used = _used(client) - before
        held = sum(client.hlen(f"churn:{{p{number}}}:states") for number in range(PARTITIONS))
    if held != customers:
        raise RuntimeError(f"Redis holds {held} customers, not {customers}")
    repeated = sum(len(value) for value in islice(cycle(values), customers))
    return Stored(customers, used, repeated, time.perf_counter() - started)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _chunks(values: Sequence[bytes], customers: int) -> Iterator[dict[str, bytes]]:
    """Fields of hashes: names like those of the simulated shop, and values in turn."""
    named = ((f"c{number:08d}", value) for number, value in enumerate(islice(cycle(values), customers)))
    while chunk := dict(islice(named, _PIPELINE)):
        yield chunk


def document(all_encoded: Sequence[Encoded], result: Stored) -> str:
    """The figures as Markdown."""
    said = (
        f"{result.customers:,} customers in {PARTITIONS} hashes: **{result.bytes_a_customer:.0f} B a customer** of"
        f" `used_memory` (wanted ≤ {WANTED}, done ≤ {DONE_AT}: {result.verdict}),"
        f" {result.value_bytes / result.customers:.0f} B of them values; {result.seconds:.0f} s.\n"
    )
    header = ["log", "customers", "mean B", "p50", "p99", "most", "waiting", "fresh", "episodes"]
    header += ["ids B", "decisions B", "facts, features, rest B", "encode µs", "again µs", "decode µs"]
    return said + "\n" + table(header, [_row(one) for one in all_encoded])


def _row(one: Encoded) -> list[str]:
    sizes = np.array([len(value) for value in one.values])
    middle, high = np.percentile(sizes, [50, 99])
    parts = one.parts
    return [
        one.log,
        f"{len(sizes):,}",
        f"{sizes.mean():.0f}",
        f"{middle:.0f}",
        f"{high:.0f}",
        f"{sizes.max()}",
        f"{one.waiting:.2f}",
        f"{one.fresh:.2f}",
        f"{one.with_episode:.1%}",
        f"{parts['recent ids']:.0f}",
        f"{parts['decisions']:.0f}",
        f"{parts['facts, features and the rest']:.0f}",
        f"{one.encode_micros:.1f}",
        f"{one.encode_again_micros:.1f}",
        f"{one.decode_micros:.1f}",
    ]


def bench(
    simulated: Annotated[int, typer.Option(help="Customers of the simulated shop, for a year.")] = 5_000,
    customers: Annotated[int, typer.Option(help="Customers that are stored.")] = 1_000_000,
    build: Annotated[Path, typer.Option(help="Folder for the simulated log.")] = _ROOT / "build",
    recorded: Annotated[list[str] | None, typer.Option(help="More logs, as MAPPING=FILE: only their sizes.")] = None,
) -> None:
    """Measure what Redis holds of a customer."""
    log = logs.simulated(build / "benchmarks", "year", ShopSettings(customers=simulated, days=365), lambda _share: None)
    shop = encoded("simulated shop, a year", log)
    others = [encoded(form, Path(file), form) for form, _, file in (one.partition("=") for one in recorded or [])]
    print(document([shop, *others], stored(shop.values, customers)))


if __name__ == "__main__":
    typer.run(bench)
