"""Base class of the metric classes, and the registry of the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from stream_app import __version__
from stream_app.metrics.tables import CounterTable, GaugeTable

PREFIX: Final = "churn_"
DURATION_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Description(NamedTuple):
    """One metric as listed in docs/reference/metrics.md."""

    name: str  # as scraped
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """Base class of the metric classes. Creates metrics with the product's prefix and keeps their descriptions.

    Args:
        registry: registry of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.described: list[Description] = []

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self._describe(f"{name}_total", "counter", labels, meaning)
        return Counter(PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self._describe(name, "gauge", labels, meaning)
        return Gauge(PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge_table(self, name: str, meaning: str, *labels: str) -> GaugeTable:
        self._describe(name, "gauge", labels, meaning)
        return GaugeTable(PREFIX + name, meaning, labels, self.registry)

    def _counter_table(self, name: str, meaning: str, *labels: str) -> CounterTable:
        self._describe(f"{name}_total", "counter", labels, meaning)
        return CounterTable(PREFIX + name, meaning, labels, self.registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        self._describe(name, "histogram", (), meaning)
        return Histogram(PREFIX + name, meaning, buckets=buckets, registry=self.registry)

    def _describe(self, name: str, kind: str, labels: tuple[str, ...], meaning: str) -> None:
        self.described.append(Description(PREFIX + name, kind, labels, meaning))


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of every process: version, CPU time, memory and open files."""
    # Without this, every counter and histogram gets a second `_created` series that nothing reads.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    build = Gauge(f"{PREFIX}build_info", "Version of the program; always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    return registry
