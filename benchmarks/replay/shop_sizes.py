"""The cost of an event by the number of customers, each run in a process of its own, so that its memory is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks.replay.memory import pending_bytes, state_bytes
from benchmarks.replay.whole_replay import SHORT, Run, replay
from benchmarks.results import Flatness, Size, Spread
from stream_app.replay.runner import Replay

LARGE: Final = 500_000  # customers from which on one round has to do; it brings its own average


@dataclass(frozen=True)
class Measured:
    """One run and the sizes of what it held."""

    run: Run
    state_bytes: float
    pending_bytes: float


def measure(log: Path) -> Measured:
    """Replay a log and weigh what it holds at the end."""
    weights: list[float] = []

    def weigh(replayed: Replay) -> None:
        (partition,) = replayed.partitions
        customers = list(partition.customers.values())
        weights.append(state_bytes(customers))
        weights.append(pending_bytes(one for customer in customers for one in customer.waiting))

    run = replay(log, SHORT, keep=weigh)
    return Measured(run, *weights)


def in_own_process(log: Path) -> Measured:
    """The same in a new process, which has never held anything else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, log).result()


def flatness(logs: dict[int, Path], rounds: int, on_run: Callable[[int], None]) -> Flatness:
    """Measure all sizes in turns: the small ones before and after the large ones.

    Args:
        logs: number of customers -> log.
        rounds: of the sizes below LARGE.
        on_run: told of the size of every run that is finished.
    """
    runs: dict[int, list[Measured]] = {customers: [] for customers in sorted(logs)}
    for number in range(rounds):
        for customers, measured in runs.items():
            if number == 0 or customers < LARGE:
                measured.append(in_own_process(logs[customers]))
                on_run(customers)
    return Flatness([_size(customers, measured) for customers, measured in runs.items()])


def _size(customers: int, measured: Sequence[Measured]) -> Size:
    runs = [one.run for one in measured]
    first = measured[0]

    def micros(seconds: Callable[[Run], float]) -> Spread:
        return Spread.of([seconds(run) / run.events * 1e6 for run in runs])

    return Size(
        customers=customers,
        seen=first.run.customers,
        events=first.run.events,
        decisions=first.run.decisions,
        cpu_micros=micros(lambda run: run.replay_seconds),
        wall_micros=micros(lambda run: run.wall_seconds),
        scan_micros=micros(lambda run: run.scan_seconds),
        memory=first.run.replay_bytes,
        waiting=first.run.waiting,
        state_bytes=first.state_bytes,
        pending_bytes=first.pending_bytes,
    )
