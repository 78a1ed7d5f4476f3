"""The metric classes that each service exports.

KPIs are counted in `core/kpis/` (`event_counts.py`, `population.py`, `monthly_churn.py`) and exported by
`services/worker/kpi_publisher.py`. All other numbers are counted where they arise, in the module of the same name in
`services/`; for the worker, that is `services/worker/worker_metrics.py`.
"""

from __future__ import annotations

from typing import Final

from stream_app.metrics.allocator import AllocatorMetrics
from stream_app.metrics.base import Metrics
from stream_app.metrics.kpis import KpiMetrics
from stream_app.metrics.notifier import DeliveryMetrics
from stream_app.metrics.runtime import CommitMetrics, InputMetrics, RedisMetrics, RelayMetrics, SkippedMetrics
from stream_app.metrics.trainer import QualityMetrics, TrainerMetrics
from stream_app.metrics.worker import WorkerMetrics

SERVICES: Final[dict[str, tuple[type[Metrics], ...]]] = {
    "worker": (WorkerMetrics, KpiMetrics, CommitMetrics, InputMetrics, RelayMetrics),
    "trainer": (TrainerMetrics, QualityMetrics, CommitMetrics, InputMetrics, SkippedMetrics),
    "allocator": (AllocatorMetrics, CommitMetrics, InputMetrics, RelayMetrics, SkippedMetrics, RedisMetrics),
    "notifier": (DeliveryMetrics, CommitMetrics, InputMetrics, SkippedMetrics),
}
