"""Replay benchmark results."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.machine import Conditions
from benchmarks.replay.whole_replay import Run
from benchmarks.results import Part, Spread
from benchmarks.rounds import Pairs


@dataclass(frozen=True)
class AgainstFloor:
    """Rates of the replay and of the floor, in pairs of runs."""

    log: str
    unit: str  # what is counted per second: events or decisions
    pairs: Pairs
    run: Run  # the first one


@dataclass(frozen=True)
class Size:
    """Replays of a shop with a given number of customers."""

    customers: int  # simulated
    runs: list[Run]
    state_bytes: float  # per customer, without waiting decisions
    pending_bytes: float  # per waiting decision

    @property
    def first(self) -> Run:
        """The first run, whose memory counts."""
        return self.runs[0]

    def micros(self, phase: str) -> Spread:
        """Return the time per event of a phase of the runs (scan, replay or wall), µs."""
        return Spread.of([getattr(run, f"{phase}_seconds") / run.events * 1e6 for run in self.runs])


@dataclass(frozen=True)
class Flatness:
    """Cost per event by number of customers."""

    sizes: list[Size]

    @property
    def change(self) -> float:
        """Relative cost increase from the cheapest to the most expensive size."""
        costs = [size.micros("replay").median for size in self.sizes]
        return max(costs) / min(costs) - 1.0

    @property
    def growth(self) -> float:
        """Relative cost increase from the smallest to the largest size."""
        return self.sizes[-1].micros("replay").median / self.sizes[0].micros("replay").median - 1.0


@dataclass(frozen=True)
class Growth:
    """Time of a replay for one value of a parameter."""

    parameter: str
    value: str
    events: int
    decisions: int
    seconds: Spread  # CPU time without the first pass over the log
    marginal: str  # cost of one more


@dataclass(frozen=True)
class ReplayReport:
    """All results of the replay's benchmarks."""

    conditions: Conditions
    against_floor: list[AgainstFloor]
    flatness: Flatness
    parts: dict[str, list[Part]]  # by profiled log
    growth: list[Growth]
