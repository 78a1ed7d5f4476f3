"""Index of metrics: where each number in Grafana is counted, and the metric classes that each service exports.

- KPIs: `core/kpis/` (`event_counts.py`, `population.py`, `monthly_churn.py`), exported by
  `services/worker/kpi_publisher.py`.
- Model quality: `core/training/quality.py`, exported by `services/trainer/quality_publisher.py`.
- Alerts: `core/kpis/aggregator.py`; their outcomes: `core/partition/step.py`.
- Arms of the holdout and their outcomes: `core/partition/holdout_watch.py`.
- Events by how they were handled: `core/partition/processor.py` (`Counts`).
- Deliveries: `core/delivery/pending.py`, exported by `metrics/notifier.py`.
- Commits: `metrics/runtime.py`.
- All other numbers: `services/<service>/`; for the worker, `services/worker/worker_metrics.py`. Numbers that several
  services have in common: `services/runtime/`.
- Ratios and rates: computed from these by `prometheus/rules/recording.yml` and `grafana/pages/`.
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
