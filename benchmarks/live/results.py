"""Live benchmark results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.machine import Conditions
from benchmarks.results import Part, Spread
from benchmarks.rounds import Pairs


@dataclass(frozen=True)
class OtherRun:
    """Rates of a run of another program, from its first record on."""

    rate: float  # records per second of wall time
    cpu_rate: float  # records per second of CPU time


@dataclass(frozen=True)
class Throughput:
    """One worker process against another program, in turns."""

    variant: str  # settings of the worker
    records: int  # events and ticks in the topics
    rates: Pairs  # records/s of the other program and of the worker, wall time
    cpu_ratio: Spread  # ratio of records per CPU second
    cpu_micros: Spread  # CPU time of the worker per record
    redis_micros: Spread  # CPU time of Redis per record


@dataclass(frozen=True)
class Latency:
    """Time from an event's append to the commit that makes its score visible, seen from outside."""

    rate: float  # events/s that were sent
    seconds: float
    samples: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float
    poll_ms: float  # mean time between two polls of Redis, which is part of every figure
    poll_p99_ms: float  # longer than the mean where the probe itself waits for the CPU
    commits: float  # per second
    busy: float  # CPU of the worker, seconds per second

    @classmethod
    def of(cls, latencies_ms: Sequence[float], **conditions: float) -> Latency:
        """Return the percentiles of at least one sample.

        >>> conditions = dict.fromkeys(["rate", "seconds", "poll_ms", "poll_p99_ms", "commits", "busy"], 1.0)
        >>> Latency.of([10.0, 20.0, 30.0], **conditions).p50_ms
        20.0
        """
        percentiles = map(float, np.percentile(latencies_ms, [50, 90, 99, 99.9]))
        names = ("p50_ms", "p90_ms", "p99_ms", "p999_ms")
        found = dict(zip(names, percentiles, strict=True))
        return cls(samples=len(latencies_ms), most_ms=max(latencies_ms), **found, **conditions)


@dataclass(frozen=True)
class TwoWorkers:
    """Cost of a record with two workers, against one."""

    micros: Pairs  # CPU time per record of one worker, and of both together
    one_rate: Spread  # records/s
    two_rate: Spread


@dataclass(frozen=True)
class Monitored:
    """A worker that is scraped while a notifier delivers alerts, against one that runs alone, in turns."""

    rates: Pairs  # records/s alone and monitored, wall time
    cpu_ratio: Spread  # ratio of records per CPU second of the worker
    seconds: float  # of all monitored runs
    scrapes: int  # of worker and notifier in that time
    deliveries: int  # alerts that the webhook accepted in that time


@dataclass(frozen=True)
class Scrape:
    """Cost of exposing metrics of all customers of a worker, milliseconds."""

    customers: int
    shops: int
    series: int  # in the response
    wall: float  # of one GET /metrics, median
    cpu: float  # of it, with the client, minimum
    count: float  # CPU time of counting all customers once
    longest_chunk: float  # CPU time for which a chunk of the count occupied the event loop
    response_bytes: int
    restore: float  # CPU time of preparing the counts when partitions are assigned


@dataclass(frozen=True)
class Publishing:
    """`stream-app publish LOG` without pacing."""

    events: int
    ticks: int
    rate: Spread  # events/s as the command reports it, without its first pass over the log
    command_rate: Spread  # events/s of the whole command, with its start and the first pass


@dataclass(frozen=True)
class Memory:
    """Redis memory per customer."""

    customers: int
    bytes_per_customer: float  # of used_memory
    value_bytes: float  # of them, in values
    waiting: float  # decisions that wait for their label, per customer


@dataclass(frozen=True)
class LiveReport:
    """All results of the live system's benchmarks."""

    conditions: Conditions
    throughput: list[Throughput]  # against a stock Faust agent that does nothing
    bytewax: Throughput | None  # against a dataflow that does a part of the work; None: Bytewax is not installed
    latency: Latency  # at half of the throughput
    light_load: Latency
    two_workers: TwoWorkers
    monitored: Monitored
    scrape: Scrape
    publishing: Publishing
    memory: Memory
    parts: list[Part]  # of a worker's main thread
    threads: dict[str, float]  # CPU time of a worker's threads, µs per record
