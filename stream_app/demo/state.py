"""What the demo shows, as values: who is at risk, whom the staff should call, how the parts are. Pure."""

from __future__ import annotations

from bisect import insort_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import ScoreRecords
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND

BANDS: Final = (0.8, 0.6, 0.4, 0.0)  # lower edges of the probability, from the worst
OPEN: Final = "open"
_KEPT: Final = 60  # alerts that could be shown
_RATE_SECONDS: Final = 3.0  # over which events a second are counted
_FRESHNESS: Final = "churn_score_freshness_seconds"


@dataclass
class Listed:
    """An alert, and what became of it: open, returned, fell, met or lost."""

    alert: AlertOpened
    state: str = OPEN

    @property
    def place(self) -> tuple[float, int]:
        """In a list whose newest stand first, and of one moment the most pressing: partitions tell at their pace."""
        return -self.alert.opened_at.timestamp(), self.alert.rank


@dataclass
class Part:
    """A service as it tells of itself."""

    ready: bool = False
    figures: dict[str, float] = field(default_factory=dict)  # its metrics, summed over their labels


@dataclass
class DemoState:
    """Everything that is on the screen.

    Args:
        told_every: how often every active customer is scored at least, microseconds: who is silent for longer than
            that on `shop.scores` is not active any more.
    """

    told_every: int
    stream_time: int = 0  # the latest that a score was told for, microseconds
    parts: dict[str, Part] = field(default_factory=dict)
    listed: list[Listed] = field(default_factory=list)  # the newest first
    counts: Counter[str] = field(default_factory=Counter)  # opened, and how they ended
    opened: dict[str, AlertOpened] = field(default_factory=dict)  # all, by alert id
    _scores: dict[str, tuple[float, int]] = field(default_factory=dict)  # probability, when
    _seconds: float = 0.0  # of the clock, when the parts were asked last
    _ready_at: dict[str, float] = field(default_factory=dict)
    _fresh: deque[tuple[float, float, float]] = field(default_factory=lambda: deque([(0.0, 0.0, 0.0)]))
    _sent: deque[tuple[float, int]] = field(default_factory=deque)  # seconds of the clock, events until then

    def hear_scores(self, told: ScoreRecords) -> None:
        """The latest scores of some customers."""
        at = (told.stream_time - EPOCH) // MICROSECOND
        self.stream_time = max(self.stream_time, at)
        for score in told.scores:
            self._scores[score.customer] = (score.probability, at)

    def hear_alert(self, told: AlertOpened | AlertClosed) -> Listed | None:
        """An alert opens or closes; returns what is listed of it, None for a repetition."""
        if isinstance(told, AlertOpened):
            if told.alert_id in self.opened:
                return None
            self.opened[told.alert_id] = told
            self.counts[OPEN] += 1
            listed = Listed(told)
            insort_left(self.listed, listed, key=lambda one: one.place)
            del self.listed[_KEPT:]
            return listed
        if told.alert_id not in self.opened:
            return None
        self.counts[told.reason] += 1
        found = next((one for one in self.listed if one.alert.alert_id == told.alert_id), None)
        if found is None:
            return Listed(self.opened[told.alert_id], told.reason)
        found.state = told.reason
        return found

    def note_sent(self, seconds: float, events: int) -> None:
        """So many events have been published by now."""
        self._sent.append((seconds, events))
        while self._sent[0][0] < seconds - _RATE_SECONDS:
            self._sent.popleft()

    @property
    def rate(self) -> float:
        """Events a second, lately."""
        (first, before), (last, after) = self._sent[0], self._sent[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def note_parts(self, seconds: float, parts: dict[str, Part]) -> None:
        """The services as they are by now."""
        self.parts = parts
        self._seconds = seconds
        self._ready_at |= {name: seconds for name, part in parts.items() if part.ready}
        self._fresh.append(
            (seconds, self.figure("worker", f"{_FRESHNESS}_sum"), self.figure("worker", f"{_FRESHNESS}_count"))
        )
        while self._fresh[0][0] < seconds - _RATE_SECONDS:
            self._fresh.popleft()

    @property
    def freshness_ms(self) -> float | None:
        """Mean milliseconds from an event's arrival in Kafka to its score in Redis, lately; None: there was none."""
        (_, sum_before, before), (_, sum_after, after) = self._fresh[0], self._fresh[-1]
        return (sum_after - sum_before) / (after - before) * 1e3 if after > before else None

    def well(self, part: str) -> bool:
        """Whether a service was ready lately: between two fetches a worker may say for a moment that it is not."""
        return part in self._ready_at and self._seconds - self._ready_at[part] <= _RATE_SECONDS

    def active(self) -> list[float]:
        """The probability of every active customer."""
        return [self._scores[customer][0] for customer in self.active_customers()]

    def active_customers(self) -> list[str]:
        """Those who were scored lately."""
        since = self.stream_time - self.told_every - DAY_US
        return [customer for customer, (_, at) in self._scores.items() if at >= since]

    def figure(self, part: str, name: str) -> float:
        """A metric of a service, nought if it has not told it yet."""
        return self.parts[part].figures.get(name, 0.0) if part in self.parts else 0.0


def in_bands(probabilities: Sequence[float]) -> list[int]:
    """How many lie in each band.

    >>> in_bands([0.9, 0.5, 0.1, 0.8])
    [2, 0, 1, 1]
    """
    counts = [0] * len(BANDS)
    for probability in probabilities:
        counts[next(place for place, edge in enumerate(BANDS) if probability >= edge)] += 1
    return counts
