"""Allocator metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stream_app.core.alerts.lifecycle import QUOTA
from stream_app.core.uplift.holdout import HELD_OUT
from stream_app.metrics.base import Metrics
from stream_app.metrics.labels import CAPACITY


class AllocatorMetrics(Metrics):
    """Allocation rounds and the alerts they open."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.rounds = self._counter("allocator_rounds", "Allocation rounds, one per working day.")
        self.candidates = self._counter("allocator_candidates", "Alert candidates received from the partitions.")
        self.alerts = self._counter("allocator_alerts", "Alerts opened.")
        self.suppressed = self._counter(
            "alert_candidates_suppressed", "Customers at risk who got no alert, by reason.", "reason"
        )
        for reason in (QUOTA, CAPACITY, HELD_OUT):
            self.suppressed.labels(reason)
        self.missing = self._gauge(
            "allocator_missing_partitions", "Partitions that have not yet reached the next allocation round."
        )
        self.last_round = self._gauge(
            "allocator_last_round_timestamp_seconds", "Event time of the latest allocation round."
        )
