"""Progress of workers through the topics: committed records and CPU time, sampled many times a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
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
    """Samples of a run, from the last one before the first commit to the first one after the last commit."""

    samples: list[Sample]

    @classmethod
    def trimmed(cls, samples: Sequence[Sample], total: int) -> WorkerRun:
        """Return a run without what came before the first commit and after the last.

        >>> seen = [Sample(float(at), records, 0.0, 0.0) for at, records in enumerate([0, 0, 10, 90, 100, 100])]
        >>> [sample.at for sample in WorkerRun.trimmed(seen, 100).samples]
        [1.0, 2.0, 3.0, 4.0]
        """
        begin = max(place for place, sample in enumerate(samples) if sample.records == samples[0].records)
        end = min(place for place, sample in enumerate(samples) if sample.records >= total)
        return cls(list(samples[begin : end + 1]))

    @property
    def records(self) -> int:
        """Committed records."""
        return self.samples[-1].records - self.samples[0].records

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.samples[-1].at - self.samples[0].at

    @property
    def rate(self) -> float:
        """Records per second of wall time."""
        return self.records / self.seconds

    @property
    def cpu_micros(self) -> float:
        """CPU time of the workers per record, µs."""
        return (self.samples[-1].cpu - self.samples[0].cpu) / self.records * 1e6

    @property
    def redis_micros(self) -> float:
        """CPU time of Redis per record, µs."""
        return (self.samples[-1].redis_cpu - self.samples[0].redis_cpu) / self.records * 1e6


def watch(live: LiveSystem, workers: Sequence[Process], seconds: float) -> WorkerRun:
    """Sample until everything in the topics is committed.

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

    live.wait("all records are committed", is_finished, seconds, every=_EVERY_SECONDS)
    return WorkerRun.trimmed(samples, total)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, all threads included."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def thread_seconds(pid: int) -> dict[str, float]:
    """Return the CPU time of the main thread of a process, and of all others."""
    threads = {one.id: one.user_time + one.system_time for one in psutil.Process(pid).threads()}
    main = threads.pop(pid)
    return {"main": main, "fetching": sum(threads.values())}
