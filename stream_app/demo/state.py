"""State of the demo: scores, alerts and the status of the services, as plain values."""

from __future__ import annotations

from bisect import insort_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stream_app.core.kpis.risk_bands import BANDS, band_of
from stream_app.core.messages.alerts import AlertHeldOut, AlertMessage, AlertOpened
from stream_app.core.messages.batches import ScoreRecords
from stream_app.core.units import DAY_US, micros

OPEN: Final = "open"
ENDINGS: Final = (
    "returned",
    "fell",
    "met",
    "resolved",
    "expired",
    "lost",
)  # reasons for closing an alert, in display order
WORST_FIRST: Final = BANDS[::-1]  # risk bands in display order
_MAX_LISTED: Final = 60
_RATE_SECONDS: Final = 3.0  # window of rates and means
_FRESHNESS: Final = "churn_score_freshness_seconds"


@dataclass
class ListedAlert:
    """An alert and its state: open, or the reason it was closed."""

    alert: AlertOpened
    state: str = OPEN

    @property
    def position(self) -> tuple[float, int]:
        """Sort key: newest first, then by rank. Alerts from different partitions may arrive out of order."""
        return -self.alert.opened_at.timestamp(), self.alert.rank


@dataclass
class ServiceStatus:
    """Readiness of a service, and its metrics summed over all labels; those of model quality are the latest."""

    ready: bool = False
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class DemoState:
    """Everything that a view of the demo shows.

    Args:
        score_interval: longest time between two scores of an active customer, in microseconds. A customer who has not
            been scored for longer than this is no longer active.
    """

    score_interval: int
    stream_time: int = 0  # time of the latest score, microseconds
    services: dict[str, ServiceStatus] = field(default_factory=dict)
    listed: list[ListedAlert] = field(default_factory=list)  # newest first
    counts: Counter[str] = field(default_factory=Counter)  # number of alerts opened, and closed by reason
    opened: dict[str, AlertOpened] = field(default_factory=dict)  # all alerts by id
    _scores: dict[str, tuple[float, int]] = field(default_factory=dict)  # (probability, time) by customer
    _polled_at: float = 0.0  # monotonic seconds
    _ready_at: dict[str, float] = field(default_factory=dict)
    _freshness: deque[tuple[float, float, float]] = field(default_factory=lambda: deque([(0.0, 0.0, 0.0)]))
    _sent: deque[tuple[float, int]] = field(default_factory=deque)  # (monotonic seconds, events sent by then)

    def apply_scores(self, records: ScoreRecords) -> None:
        """Record new scores."""
        at = micros(records.stream_time)
        self.stream_time = max(self.stream_time, at)
        for score in records.scores:
            self._scores[score.customer] = (score.probability, at)

    def apply_alert(self, event: AlertMessage) -> ListedAlert | None:
        """Open or close an alert. Return it, or None if the event is a duplicate or the alert is unknown."""
        if isinstance(event, AlertOpened):
            if event.alert_id in self.opened:
                return None
            self.opened[event.alert_id] = event
            self.counts[OPEN] += 1
            listed = ListedAlert(event)
            insort_left(self.listed, listed, key=lambda one: one.position)
            del self.listed[_MAX_LISTED:]
            return replace(listed)  # a copy, since the alert may be closed before a view shows that it was opened
        if isinstance(event, AlertHeldOut) or event.alert_id not in self.opened:
            return None
        self.counts[event.reason] += 1
        found = next((one for one in self.listed if one.alert.alert_id == event.alert_id), None)
        if found is None:
            return ListedAlert(self.opened[event.alert_id], event.reason)
        found.state = event.reason
        return replace(found)

    @property
    def outcomes(self) -> dict[str, int]:
        """Number of alerts that are open, and that were closed by reason. Together they are all that were opened."""
        closed = {reason: self.counts[reason] for reason in ENDINGS}
        return {OPEN: self.counts[OPEN] - sum(closed.values())} | closed

    @property
    def daily(self) -> int:
        """Number of alerts opened by the allocator; the worker opens the urgent ones."""
        return sum(not alert.urgent for alert in self.opened.values())

    def record_sent(self, seconds: float, events: int) -> None:
        """Record the total number of events published so far."""
        self._sent.append((seconds, events))
        while self._sent[0][0] < seconds - _RATE_SECONDS:
            self._sent.popleft()

    @property
    def rate(self) -> float:
        """Events published per second over the last few seconds."""
        (first, before), (last, after) = self._sent[0], self._sent[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def record_services(self, seconds: float, services: dict[str, ServiceStatus]) -> None:
        """Record the status of all services. One that has not answered keeps its figures."""
        for name, status in services.items():
            status.figures = status.figures or self.services.get(name, status).figures
        self.services = services
        self._polled_at = seconds
        self._ready_at |= {name: seconds for name, status in services.items() if status.ready}
        total, count = (self.figure("worker", f"{_FRESHNESS}_{suffix}") for suffix in ("sum", "count"))
        self._freshness.append((seconds, total, count))
        while self._freshness[0][0] < seconds - _RATE_SECONDS:
            self._freshness.popleft()

    @property
    def freshness_ms(self) -> float | None:
        """Mean milliseconds from an event's arrival in Kafka to its score in Redis; None if there are no new scores."""
        (_, sum_before, before), (_, sum_after, after) = self._freshness[0], self._freshness[-1]
        return (sum_after - sum_before) / (after - before) * 1e3 if after > before else None

    def is_ready(self, service: str) -> bool:
        """Return whether a service was ready within the last few seconds, since a busy worker may miss a poll."""
        return service in self._ready_at and self._polled_at - self._ready_at[service] <= _RATE_SECONDS

    def active(self) -> list[float]:
        """Return the churn probabilities of all active customers."""
        return [self._scores[customer][0] for customer in self.active_customers()]

    def active_customers(self) -> list[str]:
        """Return the ids of the customers with a recent score."""
        since = self.stream_time - self.score_interval - DAY_US
        return [customer for customer, (_, at) in self._scores.items() if at >= since]

    def figure(self, service: str, name: str) -> float:
        """Return a service's metric, or 0 if it is not known yet."""
        return self.services[service].figures.get(name, 0.0) if service in self.services else 0.0


def band_counts(probabilities: Sequence[float]) -> list[int]:
    """Return the number of customers in each band of WORST_FIRST.

    >>> band_counts([0.9, 0.5, 0.1, 0.8])
    [2, 1, 0, 1]
    """
    counts = Counter(map(band_of, probabilities))
    return [counts[band] for band in WORST_FIRST]
