"""Cost of an event by number of customers. Each run has a process of its own, hence memory of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.replay.memory import pending_bytes, state_bytes
from benchmarks.replay.results import Flatness, Size
from benchmarks.replay.whole_replay import SHORT, Run, replay
from benchmarks.rounds import in_own_process
from stream_app.replay.runner import Replay

LARGE: Final = 500_000  # customers from which on one round is enough


@dataclass(frozen=True)
class Measured:
    """A run, and the sizes of what it held."""

    run: Run
    state_bytes: float
    pending_bytes: float


def measure(log: Path) -> Measured:
    """Replay a log, and measure what it holds at the end."""
    sizes: list[float] = []

    def add_sizes(replayed: Replay) -> None:
        customers = list(replayed.partitions[0].customers.values())
        sizes.append(state_bytes(customers))
        sizes.append(pending_bytes(one for customer in customers for one in customer.waiting))

    run = replay(log, SHORT, keep=add_sizes)
    return Measured(run, *sizes)


def order(sizes: Iterable[int], rounds: int) -> list[int]:
    """Return the order of the runs, by number of customers: the small ones before and after the large ones."""
    return [size for number in range(rounds) for size in sorted(sizes) if number == 0 or size < LARGE]


def flatness(logs: dict[int, Path], runs: Iterable[int]) -> Flatness:
    """Measure all sizes.

    Args:
        logs: logs by number of customers.
        runs: the order of the runs.
    """
    measured: dict[int, list[Measured]] = {customers: [] for customers in sorted(logs)}
    for customers in runs:
        measured[customers].append(in_own_process(measure, logs[customers]))
    return Flatness(
        [
            Size(customers, [one.run for one in every], every[0].state_bytes, every[0].pending_bytes)
            for customers, every in measured.items()
        ]
    )
