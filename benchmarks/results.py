"""Values that all benchmarks share: a figure over several rounds, a target, a share of CPU time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of several rounds.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, least=1.0, most=3.0, rounds=3)
    >>> f"{Spread.of([3.0, 1.0, 2.0]):.1f} ms, {Spread.of([2.0]):.1f} ms"
    '2.0 (1.0 – 3.0) ms, 2.0 ms'
    """

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values), len(values))

    def __format__(self, form: str) -> str:
        if self.rounds == 1:
            return format(self.median, form)
        return f"{self.median:{form}} ({self.least:{form}} – {self.most:{form}})"


@dataclass(frozen=True)
class Target:
    """A figure to reach, and the figure from which the work counts as done.

    A target whose `wanted` is below its `done_at` is an upper bound.

    >>> Target(4.0, 2.0).verdict(4.2), Target(4.0, 2.0).verdict(3.9), Target(50, 150).verdict(160)
    ('reached', 'done, not reached', 'missed')
    """

    wanted: float
    done_at: float

    @property
    def sign(self) -> str:
        """Whether it is a lower bound or an upper bound."""
        return "≥" if self.wanted > self.done_at else "≤"

    def verdict(self, figure: float) -> str:
        """Return the verdict on a measured figure."""
        sign = 1 if self.wanted > self.done_at else -1
        if sign * figure >= sign * self.wanted:
            return "reached"
        return "done, not reached" if sign * figure >= sign * self.done_at else "missed"


TARGETS: Final = {
    "events": Target(0.30, 0.12),  # ratio to the floor
    "decisions": Target(0.05, 0.01),
    "flatness": Target(0.15, 0.30),  # share by which the cost per event may vary
    "throughput": Target(5.0, 3.5),  # ratio to stock Faust
    "bytewax": Target(1.3, 1.0),  # ratio to a Bytewax dataflow
    "latency": Target(30.0, 50.0),  # ms, 99th percentile, at half of the throughput
    "light load": Target(40.0, 60.0),  # the same at light load
    "light load CPU": Target(0.25, 0.40),  # cores of the worker there
    "two workers": Target(1.05, 1.10),  # ratio of CPU time to one worker
    "monitored": Target(0.98, 0.95),  # ratio of throughput to a worker that is not monitored
    "scrape": Target(50.0, 200.0),  # ms
    "publishing": Target(50_000.0, 25_000.0),  # events/s
    "redis": Target(900.0, 1_400.0),  # bytes per customer
}


@dataclass(frozen=True)
class Part:
    """A part of the program with its share of the CPU time."""

    name: str
    share: float
    micros: float  # per event or record
