"""How a run goes: what is committed in Redis, and what the processes have used of the CPU, look by look."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.processes import LiveSystem, Process

_TICK_SECONDS: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_EVERY_SECONDS: Final = 0.05
_UTIME, _STIME = 11, 12  # fields of /proc/PID/stat behind the name


@dataclass(frozen=True)
class Look:
    """What was seen at one moment."""

    at: float  # seconds
    records: int  # committed
    cpu: float  # seconds of all workers
    redis_cpu: float  # seconds


@dataclass(frozen=True)
class Course:
    """A run from the last look without a commit to the first one with all of them."""

    looks: list[Look]

    @property
    def records(self) -> int:
        """That were committed."""
        return self.looks[-1].records - self.looks[0].records

    @property
    def rate(self) -> float:
        """Records a second, on the wall."""
        return self.records / (self.looks[-1].at - self.looks[0].at)

    @property
    def cpu_micros(self) -> float:
        """CPU of the workers, µs a record."""
        return (self.looks[-1].cpu - self.looks[0].cpu) / self.records * 1e6

    @property
    def redis_micros(self) -> float:
        """CPU of Redis, µs a record."""
        return (self.looks[-1].redis_cpu - self.looks[0].redis_cpu) / self.records * 1e6

    def since(self, records: int) -> Course:
        """The part of it from the look on that first saw so many records.

        >>> looks = [Look(0.0, 0, 0.0, 0.0), Look(1.0, 50, 1.0, 0.1), Look(2.0, 200, 2.0, 0.2)]
        >>> Course(looks).since(50).rate, Course(looks).rate
        (150.0, 100.0)
        """
        return Course([look for look in self.looks if look.records >= records])


def trimmed(looks: Sequence[Look], total: int) -> Course:
    """The course of looks that began before the first commit and ended after the last.

    >>> seen = [Look(float(at), records, 0.0, 0.0) for at, records in enumerate([0, 0, 10, 90, 100, 100])]
    >>> [look.at for look in trimmed(seen, 100).looks]
    [1.0, 2.0, 3.0, 4.0]
    """
    begin = max(place for place, look in enumerate(looks) if look.records == looks[0].records)
    end = min(place for place, look in enumerate(looks) if look.records >= total)
    return Course(list(looks[begin : end + 1]))


def watch(live: LiveSystem, workers: Sequence[Process], seconds: float) -> Course:
    """Look until everything in the topics is committed. Raises AssertionError if a worker ends, or in time."""
    total = sum(live.ends().values())
    looks: list[Look] = []

    def finished() -> bool:
        looks.append(look(live, workers))
        return looks[-1].records >= total

    live.wait("all is committed", finished, seconds, every=_EVERY_SECONDS)
    return trimmed(looks, total)


def look(live: LiveSystem, workers: Sequence[Process]) -> Look:
    """What stands now."""
    records = sum(sum(offsets.values()) for offsets in live.positions() if offsets)
    cpu = sum(cpu_seconds(worker.pid) for worker in workers)
    used = live.redis.info("cpu")
    redis_cpu = float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
    return Look(time.monotonic(), records, cpu, redis_cpu)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all of its threads."""
    return _cpu(Path(f"/proc/{pid}/stat"))


def thread_seconds(pid: int) -> dict[str, float]:
    """CPU time of the main thread of a process, and of all others."""
    tasks: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended between the two looks
            tasks[task.name] = _cpu(task / "stat")
    main = tasks.pop(str(pid))
    return {"main": main, "fetching": sum(tasks.values())}


def _cpu(stat: Path) -> float:
    fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK_SECONDS
