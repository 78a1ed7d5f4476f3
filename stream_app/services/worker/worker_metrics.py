"""Collects a worker's measurements after every commit and twice per second."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from prometheus_client import CollectorRegistry

from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.unknown_words import UnknownValues
from stream_app.core.partition.placement import Placement
from stream_app.core.partition.processor import Counts
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import PartitionTask
from stream_app.core.units import SECOND_US
from stream_app.metrics.kpis import KpiMetrics
from stream_app.metrics.runtime import CommitMetrics, RelayMetrics
from stream_app.metrics.worker import WorkerMetrics
from stream_app.services.worker.kpi_publisher import KpiPublisher

_log = logging.getLogger(__name__)
_REMEDY: Final = "Send one of the values listed in docs/reference/events.md"
_RECENT_SECONDS: Final = 300.0
_SAMPLE_SECONDS: Final = 5.0


class Recent:
    """Counts events and too-late events over the last few minutes.

    Args:
        clock: returns monotonic seconds.

    >>> recent = Recent(clock=lambda: 0.0)
    >>> recent.add(events=100, too_late=7)
    >>> recent.counts
    (100, 7)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int, int]] = deque()  # start, number of events, and of too-late events

    def add(self, events: int, too_late: int) -> None:
        """Add events."""
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, 0, 0))
        since, before, late = self._samples[-1]
        self._samples[-1] = since, before + events, late + too_late

    @property
    def counts(self) -> tuple[int, int]:
        """Number of events, and how many of them arrived after the allowed lateness."""
        while self._samples and self._clock() - self._samples[0][0] > _RECENT_SECONDS:
            self._samples.popleft()
        return sum(events for _, events, _ in self._samples), sum(late for _, _, late in self._samples)


class WorkerMonitor:
    """All measurements of a worker.

    Args:
        registry: registry of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.worker = WorkerMetrics(registry)
        self.commits = CommitMetrics(registry)
        self.relays = RelayMetrics(registry)
        self.business = KpiPublisher(KpiMetrics(registry))
        self._unknown_values = UnknownValues()
        self.recent = Recent()
        self._counts: dict[int, Counts] = {}
        self.placement = Placement()
        self.held: dict[int, float] = {}  # number of seconds that each partition has been waiting at its tick

    def owned(self, tasks: Mapping[int, PartitionTask]) -> None:
        """Set the partitions that the worker owns."""
        for gone in set(self._counts) - set(tasks):
            del self._counts[gone]
            self.held.pop(gone, None)
            self.worker.remove_partition(gone)
        for number, task in tasks.items():
            self._counts.setdefault(number, replace(task.processor.counts))
        self.business.owned(tasks.values())
        self.worker.tasks.set(len(tasks))

    def stepped(self, task: PartitionTask, step: Step) -> None:
        """Update the metrics after a stored commit."""
        metrics, number = self.worker, str(task.number)
        for role, count in step.events.items():
            metrics.events.labels(role).inc(count)
        metrics.count_rejected(step.rejected)
        self._count_unknown_values(step)
        self.placement.add(
            step.events + step.misplaced if task.limits.dead_letter_misplaced else step.events, step.misplaced
        )
        for role, count in step.misplaced.items():
            metrics.misplaced.labels(role).inc(count)
        metrics.decisions.inc(step.decisions)
        metrics.batch.observe(step.events.total())
        before = self._counts.get(task.number)
        if before is not None:
            now = task.processor.counts
            metrics.count_events(before, now)
            self.recent.add(now.accepted - before.accepted, now.too_late - before.too_late)
        self._counts[task.number] = replace(task.processor.counts)
        self.business.stepped(step)
        if step.oldest_append:
            metrics.freshness.observe(max(time.time() - step.oldest_append / 1e3, 0.0))
        if task.processor.stream_time > 0:
            metrics.stream_time.labels(number).set(task.processor.stream_time / SECOND_US)
            metrics.watermark.labels(number).set(step.watermark / SECOND_US)

    def _count_unknown_values(self, step: Step) -> None:
        """Count unknown enum values, logging each one once."""
        for (field, word), count in step.unknown_words.items():
            known = len(self._unknown_values.counts)
            counted_as = self._unknown_values.add(field, word, count)
            self.worker.unknown_values.labels(*counted_as).inc(count)
            if len(self._unknown_values.counts) > known:
                extra = {"field": counted_as[0], "value": counted_as[1], "remedy": _REMEDY}
                _log.warning("Unknown value treated as other", extra=extra)

    def gather(
        self, tasks: Mapping[int, PartitionTask], pending: int, seconds: float, effective_at: Mapping[int, int]
    ) -> None:
        """Update all gauges.

        Args:
            tasks: tasks by partition number.
            pending: number of outbox records that are not in Kafka yet.
            seconds: number of seconds since the last call.
            effective_at: effective times of the model versions, in microseconds.
        """
        metrics = self.worker
        inputs = [(task.inputs.lags, task.inputs.positions) for task in tasks.values()]
        for role in ROLES:
            metrics.lag.labels(role).set(sum(lags.get(role) or 0 for lags, _ in inputs))
            metrics.position.labels(role).set(sum(max(positions.get(role, 0), 0) for _, positions in inputs))
        for task in tasks.values():
            if task.hold is None:
                self.held.pop(task.number, None)
            else:
                metrics.held.labels(task.hold.waits_for).inc(seconds)
                self.held[task.number] = self.held.get(task.number, 0.0) + seconds
        metrics.cached.set(sum(len(task.processor.customers) for task in tasks.values()))
        metrics.buffered.set(sum(task.inputs.buffered_bytes for task in tasks.values()))
        metrics.model_version.set(min((task.version for task in tasks.values()), default=0))
        ages = [
            task.processor.stream_time - effective_at.get(task.version, task.processor.stream_time)
            for task in tasks.values()
        ]
        metrics.model_age.set(max(ages, default=0) / SECOND_US)
        self.relays.outbox.set(pending)
