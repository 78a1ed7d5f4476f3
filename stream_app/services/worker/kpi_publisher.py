"""Exports the KPIs of a worker's partitions, counting them in small chunks between other work."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Final

from prometheus_client import Counter as PrometheusCounter

from stream_app.core.kpis.aggregator import UNKNOWN
from stream_app.core.kpis.event_counts import EVENT_COUNTS, EventCount
from stream_app.core.kpis.population import PopulationCounts
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import PartitionTask
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.shops.registry import ShopRegistry
from stream_app.core.units import SECOND_US
from stream_app.metrics.kpis import KpiMetrics
from stream_app.metrics.labels import ALERT_OUTCOMES, MAX_ALERT_SERIES, MONTHS, VALUES

EVERY_SECONDS: Final = 5.0  # minimum interval between two counts
_SHARE: Final = 0.005  # maximum share of time spent counting; with many customers the interval grows
OTHER: Final = "other"
_Labels = tuple[str, ...]
_Kinds = tuple[_Labels, ...]
_BANDS: Final[_Kinds] = tuple(product(SEGMENTS, BANDS))
_SEGMENTS: Final[_Kinds] = tuple(product(SEGMENTS))
_STAGES: Final[_Kinds] = tuple(product(STAGES))
_ALL: Final[_Kinds] = ((),)
_Totals = dict[str, Counter[_Labels]]  # sums over the partitions: for each table, by label values

# Attributes of KpiMetrics whose values are replaced by every count.
_TABLES: Final = (
    "by_band",
    "by_segment",
    "by_stage",
    "buyers",
    "repeat_buyers",
    "inactive_buyers",
    "open_alerts",
    "month_start",
    "month_customers",
    "month_lost",
    "month_returned",
)


class KpiPublisher:
    """Publishes the KPI metrics.

    Call `stepped` after every commit. Run `run` in the background, or call `count` for an immediate count.

    Args:
        metrics: metrics to set.
    """

    def __init__(self, metrics: KpiMetrics) -> None:
        self.metrics = metrics
        self._shops = ShopRegistry()  # over all partitions, which together may exceed the limit
        self._counters: dict[str, list[PrometheusCounter]] = {}  # by shop, in the order of EVENT_COUNTS
        self._alert_labels: set[_Labels] = set()  # exported combinations of shop, cause and segment

    def stepped(self, step: Step) -> None:
        """Add a commit's results to the counters."""
        for shop, row in step.event_counts.items():
            for counter, count in zip(self._counters[self._label(shop)], row, strict=True):
                if count:
                    counter.inc(count)
        for (shop, cause, segment), count in step.opened.items():
            self.opened(shop, cause, segment, count)
        for (shop, reason, segment), count in step.closed.items():
            self.metrics.closed.add((self._label(shop), reason, _known("segment", segment)), count)
        for reason, count in step.suppressed.items():
            self.metrics.suppressed.labels(reason).inc(count)
        self._compared(step)
        self.resolved(step.outcomes)

    def _compared(self, step: Step) -> None:
        """Count the customers of the holdout experiment."""
        for drawn, count in step.drawn.items():
            self.metrics.drawn.add(drawn, count)
        for outcome, count in step.trial_outcomes.items():
            self.metrics.trial_outcomes.add(outcome, count)

    def opened(self, shop: str, cause: str, segment: str, count: int) -> None:
        """Count opened alerts."""
        self.metrics.opened.add(self._labels_of(shop, cause, segment), count)

    def resolved(self, outcomes: Mapping[tuple[str, str, str], int]) -> None:
        """Count alerts resolved by staff, by outcome, cause and segment. Unknown outcomes count as `other`."""
        for (outcome, cause, segment), count in outcomes.items():
            known = outcome if outcome in ALERT_OUTCOMES else OTHER
            self.metrics.outcomes.add((known, _known("cause", cause), _known("segment", segment)), count)

    def owned(self, tasks: Iterable[PartitionTask]) -> None:
        """Create the counters for the shops of newly owned partitions: a rate needs the zero before the first event."""
        for task in tasks:
            for shop in task.processor.aggregator.shops.names:
                self._label(shop)

    async def run(self, tasks: Callable[[], Mapping[int, PartitionTask]]) -> None:
        """Count the current partitions periodically until cancelled."""
        while True:
            busy, started = 0.0, time.perf_counter()
            for _ in self.chunks(tasks().values()):
                busy += time.perf_counter() - started
                await asyncio.sleep(0)
                started = time.perf_counter()
            busy += time.perf_counter() - started
            await asyncio.sleep(max(EVERY_SECONDS, busy / _SHARE))

    def count(self, tasks: Iterable[PartitionTask]) -> None:
        """Count all partitions at once."""
        for _ in self.chunks(tasks):
            pass

    def chunks(self, tasks: Iterable[PartitionTask]) -> Iterator[None]:
        """Count in chunks, yielding after each one, and publish the result at the end."""
        totals: _Totals = {name: Counter() for name in _TABLES}
        for task in list(tasks):
            yield from self._count(task, totals)
        for name, values in totals.items():
            getattr(self.metrics, name).replace(values)

    def _label(self, shop: str) -> str:
        """Return the label of a shop, creating all of its counters on first use."""
        label = self._shops.names[self._shops.place(shop)]
        if label not in self._counters:
            self._counters[label] = [self._counter(label, flow) for flow in EVENT_COUNTS]
        return label

    def _labels_of(self, shop: str, cause: str, segment: str) -> _Labels:
        """Return the labels of an alert; beyond MAX_ALERT_SERIES combinations the segment is `unknown`."""
        labels = self._label(shop), _known("cause", cause), _known("segment", segment)
        if labels not in self._alert_labels:
            if len(self._alert_labels) >= MAX_ALERT_SERIES:
                return (*labels[:2], UNKNOWN)
            self._alert_labels.add(labels)
        return labels

    def _counter(self, label: str, flow: EventCount) -> PrometheusCounter:
        counter: PrometheusCounter = getattr(self.metrics, flow.what)
        return counter.labels(label, flow.kind) if flow.kind else counter.labels(label)

    def _count(self, task: PartitionTask, totals: _Totals) -> Iterator[None]:
        partition, aggregator = task.processor, task.processor.aggregator
        counted = PopulationCounts()
        size, usual = len(partition.customers), partition.explainer.shops.usual_amounts()
        yield from aggregator.population.count(counted, partition.ranking, size, partition.stream_time, usual)
        shops = [self._label(name) for name in aggregator.shops.names]
        for table, kinds, counts in (
            ("by_band", _BANDS, counted.bands),
            ("by_segment", _SEGMENTS, counted.segments),
            ("by_stage", _STAGES, counted.stages),
            ("buyers", _ALL, counted.buyers.reshape(-1, 1)),
            ("repeat_buyers", _ALL, counted.repeat_buyers.reshape(-1, 1)),
        ):
            for shop, row in zip(shops, counts.tolist(), strict=False):
                totals[table].update({(shop, *kind): count for kind, count in zip(kinds, row, strict=True)})
        for place, count in aggregator.monthly_churn.lost.items():
            totals["inactive_buyers"][shops[place],] += count
        for alert, count in aggregator.count_open(partition.alerts.open.values()).items():
            totals["open_alerts"][self._labels_of(*alert)] += count
        self._add_months(task, totals)

    def _add_months(self, task: PartitionTask, totals: _Totals) -> None:
        aggregator = task.processor.aggregator
        for name, month in zip(MONTHS, aggregator.monthly_churn.months, strict=False):
            starts, start = totals["month_start"], int(aggregator.monthly_churn.start_of(month) / SECOND_US)
            starts[name,] = max(starts.get((name,), start), start)
            for table, counts in (
                ("month_customers", month.customers),
                ("month_lost", month.lost),
                ("month_returned", month.returned),
            ):
                for shop in aggregator.shops.names:
                    totals[table][self._label(shop), name] += counts.get(shop, 0)


def _known(label: str, word: str) -> str:
    """Return a word if it is a valid label value, else UNKNOWN."""
    return word if word in VALUES[label] else UNKNOWN
