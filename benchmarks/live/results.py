"""What was measured of the live system, as values with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Part, Spread


def verdict(figure: float, wanted: float, done_at: float) -> str:
    """Whether a figure that should be large is; give all three negative for one that should be small.

    >>> verdict(4.2, 4.0, 2.0), verdict(3.9, 4.0, 2.0), verdict(-160, -50, -150)
    ('reached', 'done, not reached', 'missed')
    """
    if figure >= wanted:
        return "reached"
    return "done, not reached" if figure >= done_at else "missed"


@dataclass(frozen=True)
class Throughput:
    """One worker process against a stock Faust agent that does nothing, in turns."""

    what: str  # how the worker was set
    records: int  # events and ticks in the topics
    floor: Spread  # records a second of the stock agent, on the wall
    product: Spread  # of the worker
    ratio: Spread
    cpu_ratio: Spread  # the same by CPU time of the two processes
    cpu_micros: Spread  # of the worker, a record
    redis_micros: Spread  # CPU of Redis, a record
    wanted: float = 4.0
    done_at: float = 2.0

    @property
    def verdict(self) -> str:
        """By the median of the rounds, on the wall."""
        return verdict(self.ratio.median, self.wanted, self.done_at)


@dataclass(frozen=True)
class Latency:
    """From an event's append to the commit that makes its score visible, seen from outside."""

    rate: float  # events a second that were sent
    seconds: float
    samples: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float
    look_ms: float  # mean time between two looks at Redis, which is part of every figure
    look_p99_ms: float  # what the machine made of it: the probe itself waits for the CPU
    commits: float  # a second
    busy: float  # CPU of the worker, seconds a second
    wanted_ms: float = 50.0
    done_at_ms: float = 150.0

    @classmethod
    def of(cls, latencies_ms: Sequence[float], **conditions: float) -> Latency:
        """Of at least one sample.

        >>> conditions = dict.fromkeys(["rate", "seconds", "look_ms", "look_p99_ms", "commits", "busy"], 1.0)
        >>> Latency.of([10.0, 20.0, 30.0], **conditions).p50_ms
        20.0
        """
        p50, p90, p99, p999 = (float(one) for one in np.percentile(latencies_ms, [50, 90, 99, 99.9]))
        return cls(
            samples=len(latencies_ms),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            p999_ms=p999,
            most_ms=max(latencies_ms),
            **conditions,
        )

    @property
    def verdict(self) -> str:
        """By the 99th percentile."""
        return verdict(-self.p99_ms, -self.wanted_ms, -self.done_at_ms)


@dataclass(frozen=True)
class Workers:
    """What an event costs two workers, against one."""

    one_micros: Spread  # CPU of the worker, a record
    two_micros: Spread  # CPU of both, a record
    ratio: Spread
    one_rate: Spread  # records a second
    two_rate: Spread
    wanted: float = 1.05
    done_at: float = 1.10

    @property
    def verdict(self) -> str:
        """By the median of the rounds."""
        return verdict(-self.ratio.median, -self.wanted, -self.done_at)


@dataclass(frozen=True)
class Observed:
    """A worker that is scraped every few seconds beside a deliverer at work, against one alone, in turns."""

    alone: Spread  # records a second
    watched: Spread
    ratio: Spread  # of the rates, on the wall
    cpu_ratio: Spread  # records a second of the worker's CPU time
    seconds: float  # of all watched runs
    scrapes: int  # of worker and deliverer in that time
    deliveries: int  # alerts that the webhook took in that time
    wanted: float = 0.98
    done_at: float = 0.95

    @property
    def verdict(self) -> str:
        """By the median of the rounds, on the wall."""
        return verdict(self.ratio.median, self.wanted, self.done_at)


@dataclass(frozen=True)
class Scrape:
    """What it costs to tell of all customers of a worker, milliseconds; see scrape.py."""

    customers: int
    shops: int
    series: int  # that the answer holds
    wall: float  # of one GET /metrics: the median
    cpu: float  # of it, and of the client: the least
    count: float  # CPU of counting all customers once
    hold: float  # CPU for which a chunk of the count held the event loop: the longest
    answer_bytes: int
    restore: float  # CPU of what a count needs, when the lanes are opened
    wanted: float = 50.0
    done_at: float = 200.0

    @property
    def verdict(self) -> str:
        """By the wall time of a scrape."""
        return verdict(-self.wall, -self.wanted, -self.done_at)


@dataclass(frozen=True)
class Publishing:
    """`stream-app publish LOG`, flat out."""

    events: int
    ticks: int
    rate: Spread  # events a second, as the command tells it: without its first reading of the log
    command_rate: Spread  # of the whole command, its start and the first reading included
    wanted: float = 50_000.0
    done_at: float = 25_000.0

    @property
    def verdict(self) -> str:
        """By the median of the rounds."""
        return verdict(self.rate.median, self.wanted, self.done_at)


@dataclass(frozen=True)
class Memory:
    """What Redis holds of a customer; see memory_redis."""

    customers: int
    bytes_a_customer: float
    value_bytes: float
    waiting: float  # decisions that wait for their label, a customer
    wanted: float = 900.0
    done_at: float = 1_400.0

    @property
    def verdict(self) -> str:
        """Of all of it, as Redis counts it."""
        return verdict(-self.bytes_a_customer, -self.wanted, -self.done_at)


@dataclass(frozen=True)
class LiveReport:
    """All of it."""

    machine: dict[str, str]
    load_before: float
    load_after: float
    seconds: float
    quick: bool
    throughput: list[Throughput]
    latency: Latency
    workers: Workers
    observed: Observed
    scrape: Scrape
    publishing: Publishing
    memory: Memory
    parts: list[Part]  # where the time of a worker's main thread goes
    threads: dict[str, float]  # CPU of a worker's threads, µs a record
