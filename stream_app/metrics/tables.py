"""Prometheus collectors for metrics whose set of series changes at run time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

ZERO_SECONDS: Final = 30.0  # how long a new series is exported as zero: two scrapes at the usual interval


class GaugeTable(Collector):
    """A gauge whose series are replaced all at once, so that a scrape never mixes old and new values.

    Args:
        name: name of the metric.
        meaning: help text.
        labels: label names.
        registry: registry to register with.

    >>> registry = CollectorRegistry()
    >>> table = GaugeTable("churn_risk_customers", "Customers by band.", ("shop", "band"), registry)
    >>> table.replace({("s1", "low"): 3.0})
    >>> table.replace({("s2", "low"): 4.0})
    >>> registry.get_sample_value("churn_risk_customers", {"shop": "s1", "band": "low"})
    >>> registry.get_sample_value("churn_risk_customers", {"shop": "s2", "band": "low"})
    4.0
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._meaning, self.labels = name, meaning, tuple(labels)
        self._values: Mapping[tuple[str, ...], float] = {}
        registry.register(self)

    def replace(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Replace all series. Each key contains the label values in the order of `labels`."""
        self._values = dict(values)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metric family with the current samples."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=self.labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return [family]


class CounterTable(Collector):
    """A counter that creates each series on its first increment, for when there are too many to create in advance.

    Prometheus measures an increase between two scrapes. A new series is therefore exported as zero for ZERO_SECONDS
    after it was first scraped, and with its real value afterwards.

    Args:
        name: name of the counter, without `_total`.
        meaning: help text.
        labels: label names.
        registry: registry to register with.
        clock: returns monotonic seconds.

    >>> registry, now = CollectorRegistry(), [0.0]
    >>> table = CounterTable("opened", "Alerts opened.", ("shop", "cause"), registry, clock=lambda: now[0])
    >>> table.add(("s1", "price"), 2)
    >>> scrape = lambda: registry.get_sample_value("opened_total", {"shop": "s1", "cause": "price"})
    >>> first = scrape()
    >>> now[0] = ZERO_SECONDS
    >>> first, scrape()
    (0.0, 2.0)
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._meaning, self.labels = name, meaning, tuple(labels)
        self._clock = clock
        self._counts: dict[tuple[str, ...], float] = {}
        self._first_scraped: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def add(self, labels: tuple[str, ...], count: float = 1) -> None:
        """Increment one series. `labels` contains the label values in the order of the label names."""
        self._counts[labels] = self._counts.get(labels, 0.0) + count

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the metric family with the current samples."""
        family, now = CounterMetricFamily(self._name, self._meaning, labels=self.labels), self._clock()
        for labels, count in list(self._counts.items()):  # another thread may add series during a scrape
            since = self._first_scraped.setdefault(labels, now)
            family.add_metric(labels, count if now - since >= ZERO_SECONDS else 0.0)
        return [family]
