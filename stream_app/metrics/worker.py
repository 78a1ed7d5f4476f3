"""Worker metrics: events, scores, progress and partitions. `services/worker/worker_metrics.py` sets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from stream_app.core.messages.unknown_words import MAX_WORDS, MORE, UNREADABLE
from stream_app.core.partition.processor import Counts
from stream_app.metrics.base import Metrics
from stream_app.metrics.labels import HOLDS, NO_FIELD, OTHER_FIELD, field_label

# Seconds. The target latencies, 50 ms and 150 ms from append to score, are bucket bounds.
_FRESHNESS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # events


class WorkerMetrics(Metrics):
    """Events, scores, progress and partitions of a worker.

    >>> from stream_app.metrics.base import new_registry
    >>> metrics = WorkerMetrics(new_registry())
    >>> metrics.events.labels("orders").inc(3)
    >>> metrics.registry.get_sample_value("churn_events_total", {"topic": "orders"})
    3.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        # Events
        self.events = self._counter("events", "Records applied, by role of the topic.", "topic")
        self.rejected = self._counter(
            "events_rejected",
            "Records rejected and written to the dead-letter topic, by the field at fault"
            f" ({NO_FIELD}: not JSON; {OTHER_FIELD}: not a field of an event).",
            "field",
        )
        self.unknown_values = self._counter(
            "unknown_values",
            f"Unknown enum values, treated as `other`, by field; at most {MAX_WORDS} values"
            f" ({MORE}: all further ones; {UNREADABLE}: not a word).",
            "field",
            "value",
        )
        self.duplicates = self._counter("events_duplicate", "Duplicate events, detected by event id.")
        self.late = self._counter("events_late", "Events behind stream time but within the allowed lateness.")
        self.too_late = self._counter(
            "events_too_late", "Events beyond the allowed lateness; applied only where order does not matter."
        )
        self.excluded = self._counter("events_excluded", "Events of excluded buyers: fake, staff and test buyers.")
        self.misplaced = self._counter(
            "records_misplaced", "Records in a partition other than their customer's, by role of the topic.", "topic"
        )
        self.batch = self._histogram("batch_events", "Events per commit.", _BATCH)

        # Scores
        self.decisions = self._counter("decisions", "Decisions: one per active customer and period.")
        self.scored = self._counter("events_scored", "Events that triggered a score of their customer.")
        self.freshness = self._histogram(
            "score_freshness_seconds", "Time from the broker's append of an event to its score in Redis.", _FRESHNESS
        )
        self.model_version = self._gauge("model_version", "Active model version; the lowest of all partitions.")
        self.model_age = self._gauge(
            "model_age_seconds", "Age of the active model in event time; the highest of all partitions."
        )

        # Progress
        self.lag = self._gauge("lag_records", "Consumer lag, summed over the worker's partitions.", "topic")
        self.position = self._gauge("position_records", "Next offset, summed over the worker's partitions.", "topic")
        self.stream_time = self._gauge("stream_time_timestamp_seconds", "Largest event time applied.", "partition")
        self.watermark = self._gauge(
            "watermark_timestamp_seconds", "Stream time minus the allowed lateness; closes labels.", "partition"
        )

        # Partitions
        self.tasks = self._gauge("partitions_owned", "Partition numbers assigned to this worker.")
        self.cached = self._gauge("states_cached", "Customer states in memory.")
        self.buffered = self._gauge("buffered_bytes", "Size of fetched records that are not processed yet.")
        self.held = self._counter(
            "hold_seconds", "Time that partitions waited at a tick, by the service they waited for.", "reason"
        )
        self.clock_owner = self._gauge("clock_owner", "1 in the process that writes the ticks, 0 in all others.")
        for reason in HOLDS:
            self.held.labels(reason)

    def count_rejected(self, by_field: Mapping[str, int]) -> None:
        """Count rejected records by the field that the decoder named."""
        for field, count in by_field.items():
            self.rejected.labels(field_label(field)).inc(count)

    def count_events(self, before: Counts, after: Counts) -> None:
        """Count the events between two counts of one partition."""
        for name in ("duplicates", "late", "too_late", "excluded", "scored"):
            if count := getattr(after, name) - getattr(before, name):
                getattr(self, name).inc(count)

    def remove_partition(self, partition: int) -> None:
        """Remove the series of a revoked partition, which its new owner exports."""
        for gauge in (self.stream_time, self.watermark):
            gauge.remove_by_labels({"partition": str(partition)})
