"""The shop and its customers as this worker's partitions know them: counted a chunk at a time, between other work."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client import Counter as PrometheusCounter

from stream_app.core.kpis.aggregator import UNKNOWN
from stream_app.core.kpis.event_counts import EVENT_COUNTS, EventCount, Row
from stream_app.core.kpis.population import PopulationCounts
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import PartitionTask
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.shops.registry import ShopRegistry
from stream_app.metrics import EPISODE_OUTCOMES, MAX_EPISODE_KINDS, MONTHS, VALUES, KpiMetrics

EVERY_SECONDS: Final = 5.0  # between two counts, at the least
_SHARE: Final = 0.005  # of the time that counting may take: who has many customers counts more seldom
OTHER: Final = "other"
_MICROS: Final = 1e6
_Labels = tuple[str, ...]
_Kinds = tuple[_Labels, ...]
_BANDS: Final[_Kinds] = tuple(product(SEGMENTS, BANDS))
_SEGMENTS: Final[_Kinds] = tuple(product(SEGMENTS))
_STAGES: Final[_Kinds] = tuple(product(STAGES))


class Totals:
    """Sums over the lanes, by the labels of each table."""

    def __init__(self) -> None:
        self.bands: Counter[_Labels] = Counter()
        self.segments: Counter[_Labels] = Counter()
        self.stages: Counter[_Labels] = Counter()
        self.buyers: Counter[_Labels] = Counter()
        self.repeat_buyers: Counter[_Labels] = Counter()
        self.inactive: Counter[_Labels] = Counter()
        self.alerts: Counter[_Labels] = Counter()
        self.month_start: dict[_Labels, float] = {}
        self.month_customers: Counter[_Labels] = Counter()
        self.month_lost: Counter[_Labels] = Counter()
        self.month_returned: Counter[_Labels] = Counter()


class KpiPublisher:
    """Tells of the shop.

    Use: `stepped` after every commit; `run` beside the lanes, or `count` to have it at once.
    """

    def __init__(self, metrics: KpiMetrics) -> None:
        self.metrics = metrics
        self._shops = ShopRegistry()  # of all partitions: together they may know more than may be told
        self._counters: dict[str, list[PrometheusCounter]] = {}  # of each shop, by place in EVENT_COUNTS
        self._episodes: set[_Labels] = set()  # shop, cause and segment as they are told together

    def stepped(self, step: Step) -> None:
        """Count what a stored commit held."""
        for shop, row in step.event_counts.items():
            self._note(self._label(shop), row)
        for (shop, cause, segment), count in step.opened.items():
            self.opened(shop, cause, segment, count)
        for (shop, reason, segment), count in step.closed.items():
            self.metrics.closed.add((self._label(shop), reason, _known("segment", segment)), count)
        if step.suppressed:
            self.metrics.suppressed.labels("campaign").inc(step.suppressed)
        self.resolved(step.outcomes)

    def opened(self, shop: str, cause: str, segment: str, count: int) -> None:
        """Count episodes that were opened."""
        self.metrics.opened.add(self._episode(shop, cause, segment), count)

    def resolved(self, outcomes: Mapping[tuple[str, str, str], int]) -> None:
        """Count episodes that the staff has resolved, by outcome, cause and segment; any other outcome is `other`."""
        for (outcome, cause, segment), count in outcomes.items():
            known = outcome if outcome in EPISODE_OUTCOMES else OTHER
            self.metrics.outcomes.add((known, _known("cause", cause), _known("segment", segment)), count)

    def owned(self, tasks: Iterable[PartitionTask]) -> None:
        """The lanes that are this worker's from now on: a rate needs the zero before the first event."""
        for task in tasks:
            for shop in task.processor.aggregator.shops.names:
                self._label(shop)

    async def run(self, tasks: Callable[[], Mapping[int, PartitionTask]]) -> None:
        """Count the lanes of the moment again and again, until cancelled."""
        while True:
            busy, started = 0.0, time.perf_counter()
            for _ in self.chunks(tasks().values()):
                busy += time.perf_counter() - started
                await asyncio.sleep(0)
                started = time.perf_counter()
            busy += time.perf_counter() - started
            await asyncio.sleep(max(EVERY_SECONDS, busy / _SHARE))

    def count(self, tasks: Iterable[PartitionTask]) -> None:
        """Count all at once."""
        for _ in self.chunks(tasks):
            pass

    def chunks(self, tasks: Iterable[PartitionTask]) -> Iterator[None]:
        """Count, letting go of the event loop after each of many chunks, and tell when all is counted."""
        totals = Totals()
        for task in list(tasks):
            yield from self._count(task, totals)
        self._publish(totals)

    def _note(self, shop: str, row: Row) -> None:
        counters = self._counters[shop]
        for place, count in enumerate(row):
            if count:
                counters[place].inc(count)

    def _label(self, shop: str) -> str:
        """The label of a shop; one that is new has all of its counters from now on."""
        label = self._shops.names[self._shops.place(shop)]
        if label not in self._counters:
            self._counters[label] = [self._counter(label, flow) for flow in EVENT_COUNTS]
        return label

    def _episode(self, shop: str, cause: str, segment: str) -> _Labels:
        """The labels of an episode; of more combinations than MAX_EPISODE_KINDS the segment is not told."""
        labels = self._label(shop), _known("cause", cause), _known("segment", segment)
        if labels not in self._episodes:
            if len(self._episodes) >= MAX_EPISODE_KINDS:
                return (*labels[:2], UNKNOWN)
            self._episodes.add(labels)
        return labels

    def _counter(self, label: str, flow: EventCount) -> PrometheusCounter:
        counter: PrometheusCounter = getattr(self.metrics, flow.what)
        return counter.labels(label, flow.kind) if flow.kind else counter.labels(label)

    def _count(self, task: PartitionTask, totals: Totals) -> Iterator[None]:
        """Add a lane's customers to the totals, a chunk at a time."""
        partition, aggregator = task.processor, task.processor.aggregator
        counted = PopulationCounts()
        size, usual = len(partition.customers), partition.explainer.shops.usual_amounts()
        yield from aggregator.population.count(counted, partition.ranking, size, partition.stream_time, usual)
        shops = [self._label(name) for name in aggregator.shops.names]
        _add_table(totals.bands, shops, _BANDS, counted.bands)
        _add_table(totals.segments, shops, _SEGMENTS, counted.segments)
        _add_table(totals.stages, shops, _STAGES, counted.stages)
        _add_column(totals.buyers, shops, counted.buyers)
        _add_column(totals.repeat_buyers, shops, counted.repeat_buyers)
        for place, count in aggregator.monthly_churn.lost.items():
            totals.inactive[shops[place],] += count
        for alert, count in aggregator.count_open(partition.alerts.open.values()).items():
            totals.alerts[self._episode(*alert)] += count
        self._add_months(task, totals)

    def _add_months(self, task: PartitionTask, totals: Totals) -> None:
        months = task.processor.aggregator.monthly_churn
        for name, month in zip(MONTHS, months.months, strict=False):
            start = months.start_of(month) / _MICROS
            totals.month_start[name,] = max(totals.month_start.get((name,), start), start)
            for counts, total in (
                (month.customers, totals.month_customers),
                (month.lost, totals.month_lost),
                (month.returned, totals.month_returned),
            ):
                for shop in task.processor.aggregator.shops.names:
                    total[self._label(shop), name] += counts.get(shop, 0)

    def _publish(self, totals: Totals) -> None:
        metrics = self.metrics
        metrics.by_band.replace(totals.bands)
        metrics.by_segment.replace(totals.segments)
        metrics.by_stage.replace(totals.stages)
        metrics.buyers.replace(totals.buyers)
        metrics.repeat_buyers.replace(totals.repeat_buyers)
        metrics.inactive_buyers.replace(totals.inactive)
        metrics.open_episodes.replace(totals.alerts)
        metrics.month_start.replace(totals.month_start)
        metrics.month_customers.replace(totals.month_customers)
        metrics.month_lost.replace(totals.month_lost)
        metrics.month_returned.replace(totals.month_returned)


def _known(label: str, word: str) -> str:
    """A word that may stand for a label; UNKNOWN for any other."""
    return word if word in VALUES[label] else UNKNOWN


def _add_table(total: Counter[_Labels], shops: list[str], kinds: _Kinds, counts: npt.NDArray[np.int64]) -> None:
    for shop, row in zip(shops, counts.tolist(), strict=False):
        for kind, count in zip(kinds, row, strict=True):
            total[(shop, *kind)] += count


def _add_column(total: Counter[_Labels], shops: list[str], counts: npt.NDArray[np.int64]) -> None:
    for shop, count in zip(shops, counts.tolist(), strict=False):
        total[shop,] += count
