"""What was measured, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the least and the most.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, least=1.0, most=3.0, rounds=3)
    """

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Against:
    """The product against the floor, in pairs of runs that took turns."""

    what: str
    unit: str  # of what is counted a second
    floor: Spread  # a second
    product: Spread  # a second
    ratio: Spread
    wanted: float  # least ratio to reach
    done_at: float  # least ratio to be called done
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the median reaches what is wanted."""
        if self.ratio.median >= self.wanted:
            return "reached"
        return "done, not reached" if self.ratio.median >= self.done_at else "missed"


@dataclass(frozen=True)
class Size:
    """A replay of a shop of one size."""

    customers: int  # simulated
    seen: int  # customers with an event
    events: int
    decisions: int
    cpu_micros: Spread  # of the replay without the first reading, an event
    wall_micros: Spread
    scan_micros: Spread
    memory: int  # bytes that the replay added to the process
    waiting: int  # decisions without a label at the end
    state_bytes: float  # a customer, without decisions that wait
    pending_bytes: float  # a decision that waits

    @property
    def bytes_a_customer(self) -> float:
        """Of everything that a replay holds."""
        return self.memory / max(self.seen, 1)


@dataclass(frozen=True)
class Flatness:
    """How the cost of an event changes with the number of customers."""

    sizes: list[Size]
    wanted: float = 0.15
    done_at: float = 0.30

    @property
    def change(self) -> float:
        """How much dearer the dearest size is than the cheapest."""
        costs = [size.cpu_micros.median for size in self.sizes]
        return max(costs) / min(costs) - 1.0

    @property
    def growth(self) -> float:
        """How much dearer the largest size is than the smallest; negative where it is cheaper."""
        return self.sizes[-1].cpu_micros.median / self.sizes[0].cpu_micros.median - 1.0

    @property
    def verdict(self) -> str:
        """Whether the cost stays as flat as is wanted, up and down."""
        if self.change <= self.wanted:
            return "reached"
        return "done, not reached" if self.change <= self.done_at else "missed"


@dataclass(frozen=True)
class Growth:
    """How the time of a replay grows with one thing while the others stay."""

    what: str
    value: str
    events: int
    decisions: int
    seconds: Spread  # of CPU, the replay without the first reading
    marginal: str  # what one more costs


@dataclass(frozen=True)
class Part:
    """A part of the replay and its share of the time."""

    name: str
    share: float
    micros_an_event: float


@dataclass(frozen=True)
class Report:
    """All of it."""

    machine: dict[str, str]
    load_before: float
    load_after: float
    seconds: float
    quick: bool
    against: list[Against]
    flatness: Flatness
    parts: dict[str, list[Part]]  # of each profiled log
    growth: list[Growth]
