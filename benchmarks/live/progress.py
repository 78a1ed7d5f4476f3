"""Progress of workers through the topics: committed records and CPU time, sampled many times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from tests.harness.processes import LiveSystem, Process

_EVERY_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Sample:
    """Totals at one moment."""

    at: float  # seconds
    records: int  # committed
    cpu: float  # seconds of all workers
    redis_cpu: float  # seconds


@dataclass(frozen=True)
class WorkerRun:
    """Cost of a run, from the last sample before the first commit to the first sample after the last commit."""

    records: int  # committed
    seconds: float  # wall time
    cpu_micros: float  # CPU time of the workers per record
    redis_micros: float  # CPU time of Redis per record

    @property
    def rate(self) -> float:
        """Records per second of wall time."""
        return self.records / self.seconds

    @classmethod
    def of(cls, samples: Sequence[Sample], total: int) -> WorkerRun:
        """Return the cost without what came before the first commit and after the last.

        >>> seen = [Sample(float(at), records, at, at / 2) for at, records in enumerate([0, 0, 10, 90, 100, 100])]
        >>> WorkerRun.of(seen, 100)
        WorkerRun(records=100, seconds=3.0, cpu_micros=30000.0, redis_micros=15000.0)
        """
        first = max((one for one in samples if one.records == samples[0].records), key=lambda one: one.at)
        last = next(one for one in samples if one.records >= total)
        records = last.records - first.records
        cpu, redis_cpu = last.cpu - first.cpu, last.redis_cpu - first.redis_cpu
        return cls(records, last.at - first.at, cpu / records * 1e6, redis_cpu / records * 1e6)


def watch(
    live: LiveSystem, workers: Sequence[Process], seconds: float, begin: Callable[[], None] = lambda: None
) -> WorkerRun:
    """Sample until all records in the topics are committed.

    Args:
        live: the system.
        workers: its workers.
        seconds: limit of the wait.
        begin: lets the workers process the records, if they wait; called after the first sample.

    Raises:
        AssertionError: a process has ended, or the time has passed.
    """
    total = sum(live.ends().values())
    samples: list[Sample] = []

    def is_finished() -> bool:
        used = live.redis.info("cpu")
        redis_cpu = float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
        cpu = sum(cpu_seconds(worker.pid) for worker in workers)
        samples.append(Sample(time.monotonic(), live.consumed(), cpu, redis_cpu))
        return samples[-1].records >= total

    is_finished()
    begin()
    live.wait("all records are committed", is_finished, seconds, every=_EVERY_SECONDS)
    return WorkerRun.of(samples, total)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, all threads included."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def thread_seconds(pid: int) -> dict[str, float]:
    """Return the CPU time of the main thread of a process, and of all others."""
    threads = {one.id: one.user_time + one.system_time for one in psutil.Process(pid).threads()}
    main = threads.pop(pid)
    return {"main": main, "fetching": sum(threads.values())}
