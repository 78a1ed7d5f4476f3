"""Metrics that several services share: commits, input, outbox relay, skipped records, Redis."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from stream_app.metrics.base import DURATION_BUCKETS, Metrics
from stream_app.metrics.labels import OUTCOMES
from stream_app.ports import Outcome


class CommitMetrics(Metrics):
    """Commits to Redis; used by all services."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.duration = self._histogram("commit_duration_seconds", "Duration of a commit to Redis.", DURATION_BUCKETS)
        self.outcomes = self._counter("commits", "Commits to Redis, by outcome.", "outcome")
        self.fence_losses = self._counter(
            "fence_losses", "Commits refused because a newer process uses the same instance name; the process exits."
        )
        for outcome in OUTCOMES:  # a rate needs a zero before the first increment
            self.outcomes.labels(outcome)

    def record(self, outcome: Outcome, seconds: float) -> None:
        """Count a commit and observe how long it took."""
        self.duration.observe(seconds)
        self.outcomes.labels(outcome.label).inc()
        if outcome is Outcome.FENCED:
            self.fence_losses.inc()


class InputMetrics(Metrics):
    """Input from Kafka; used by all services."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.unreadable = self._counter(
            "unreadable_batches",
            "Record batches skipped because they are unreadable (wrong checksum, malformed record, too large when"
            " decompressed). Each is logged. More than 100 within 10 minutes end the process.",
        )


class RelayMetrics(Metrics):
    """Relay of the outbox to Kafka; used by the worker and the allocator."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.outbox = self._gauge("outbox_records", "Records committed to the outbox but not yet written to Kafka.")
        self.relayed = self._counter("relayed_records", "Records written to Kafka, by role of the topic.", "topic")
        self.relayed.labels("dead_letters")
        self.dropped = self._counter(
            "dropped_records", "Records dropped because the broker rejected them, by role of the topic.", "topic"
        )
        for role in ("alerts", "dead_letters", "scores"):
            self.dropped.labels(role)

    def sent(self, role: str) -> None:
        """Count a record that was written."""
        self.relayed.labels(role).inc()

    def drop(self, role: str) -> None:
        """Count a record that was dropped."""
        self.dropped.labels(role).inc()


class SkippedMetrics(Metrics):
    """Skipped records; used by the services that read an internal topic."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.records = self._counter(
            "records_skipped",
            "Records of an internal topic that could not be processed and went to the dead-letter topic.",
            "topic",
        )


class RedisMetrics(Metrics):
    """Redis memory, exported by the allocator because exactly one allocator runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.used = self._gauge("redis_used_memory_bytes", "Memory used by Redis; in a cluster, by the fullest node.")
        self.limit = self._gauge("redis_max_memory_bytes", "Redis memory limit (maxmemory); 0 means no limit.")
