"""What a worker tells of the shop: sums over its lanes, and a bounded number of series."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id
from stream_app.core.alerts.staff_actions import RESOLVED
from stream_app.core.causes.explanation import Cause, Explanation
from stream_app.core.delivery.records import STATES
from stream_app.core.events.schema import Event
from stream_app.core.kpis.event_counts import CATEGORIES, EVENT_COUNTS
from stream_app.core.messages.schema import AlertStep
from stream_app.core.messages.unknown_words import MAX_WORDS
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.shops.registry import MAX_SHOPS, OTHER_SHOPS
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.metrics import tables
from stream_app.metrics.base import new_registry
from stream_app.metrics.index import SERVICES
from stream_app.metrics.kpis import KpiMetrics
from stream_app.metrics.labels import ALERT_OUTCOMES, ATTEMPTS, MAX_ALERT_SERIES, OUTCOMES, VALUES
from stream_app.metrics.tables import CounterTable, GaugeTable
from stream_app.notifications.channel_settings import MAX_CHANNELS
from stream_app.services.worker.kpi_publisher import KpiPublisher
from tests.harness.shops import SHOP, T0, browsing, complaint, order

# Series at 50 shops and `other`, of whatever is told, with every value that a label may have: more cannot come.
OUTCOMES_OF = (OUTCOMES, ALERT_OUTCOMES, STATES, ATTEMPTS)  # each metric has one of these
OF_EPISODES = ("shop", "cause", "segment")
MOST_SERIES = {"worker": 12_500, "trainer": 250, "allocator": 150, "notifier": 500}


@pytest.fixture(autouse=True)
def _from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters tell at once what a Prometheus would see some scrapes later."""
    monkeypatch.setattr(tables, "ZERO_SECONDS", 0.0)


def task_with(number: int, events: Iterable[Event]) -> PartitionTask:
    """A lane that has taken events, and has not told of them yet."""
    task = PartitionTask(number, {}, SHOP, Limits(scores=False))
    for event in events:
        task.processor.apply(event, event.at)
    task.processor.aggregator.monthly_churn.advance(task.processor.stream_time)
    task.processor.finish(ChurnModel(SHOP.horizon, SHOP.decide_every, seed=1))
    return task


def told_of(*tasks: PartitionTask) -> CollectorRegistry:
    registry = CollectorRegistry()
    KpiPublisher(KpiMetrics(registry)).count(tasks)
    return registry


def test_a_worker_tells_the_sum_of_its_lanes() -> None:
    first = task_with(0, [order("a", T0, shop_id="s1"), order("b", T0 + 1), order("b", T0 + DAY_US)])
    second = task_with(1, [order("c", T0, shop_id="s1")])
    value = told_of(first, second).get_sample_value
    assert value("churn_buyers", {"shop": "s1"}) == 2
    assert value("churn_buyers", {"shop": "default"}) == 1
    assert value("churn_repeat_buyers", {"shop": "default"}) == 1
    assert value("churn_month_start_timestamp_seconds", {"month": "current"}) == T0 / 1e6
    assert value("churn_stage_customers", {"shop": "s1", "stage": "new"}) == 2


def test_the_customers_of_a_lane_that_was_given_up_are_told_of_no_more() -> None:
    first, second = task_with(0, [order("a", T0, shop_id="s1")]), task_with(1, [order("c", T0, shop_id="s2")])
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    business.count([first, second])
    assert registry.get_sample_value("churn_buyers", {"shop": "s1"}) == 1
    business.count([second])
    assert registry.get_sample_value("churn_buyers", {"shop": "s1"}) is None
    assert registry.get_sample_value("churn_buyers", {"shop": "s2"}) == 1


def test_counting_goes_on_beside_other_work_until_it_is_cancelled() -> None:
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    tasks = {0: task_with(0, [order("a", T0)])}

    async def run() -> None:
        task = asyncio.create_task(business.run(lambda: tasks))
        for _ in range(10):  # the count lets go after each of its chunks
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert registry.get_sample_value("churn_buyers", {"shop": "default"}) == 1


def test_shops_that_senders_make_up_share_one_label_whatever_the_partition() -> None:
    tasks = [
        task_with(number, [order(f"c{shop}", T0 + shop, shop_id=f"p{number}s{shop}") for shop in range(60)])
        for number in range(4)
    ]
    registry = told_of(*tasks)
    (family,) = [one for one in registry.collect() if one.name == "churn_buyers"]
    assert len(family.samples) == MAX_SHOPS + 1
    assert sum(sample.value for sample in family.samples) == 240
    assert registry.get_sample_value("churn_buyers", {"shop": OTHER_SHOPS}) == 190


@pytest.mark.parametrize("name", SERVICES)
def test_the_number_of_series_is_bounded(name: str) -> None:
    registry = new_registry()
    values = {
        "shop": [f"s{number}" for number in range(MAX_SHOPS)] + [OTHER_SHOPS],
        "topic": [f"t{number}" for number in range(12)],
        "field": [f"f{number}" for number in range(60)],
        "partition": [f"{number}" for number in range(64)],
        "channel": [f"c{number}" for number in range(MAX_CHANNELS)],
        "experiment": ["spring"],
        **{label: list(known) for label, known in VALUES.items()},
        # several metrics have words of their own for these
        "step": [f"step{number}" for number in range(8)],
        "reason": [f"reason{number}" for number in range(5)],
        "outcome": [f"outcome{number}" for number in range(max(map(len, OUTCOMES_OF)))],
    }
    for kind in SERVICES[name]:
        for metric in vars(kind(registry)).values():
            is_table = isinstance(metric, GaugeTable | CounterTable)
            labels = metric.labels if is_table else getattr(metric, "_labelnames", None)
            if labels == ("field", "value"):  # the worker holds these to MAX_WORDS words in all
                _tell(metric, [("action", f"word{number}") for number in range(MAX_WORDS + 2)])
            elif labels == OF_EPISODES:  # the worker holds these to fewer: see the test of too many kinds
                few = [("s0", "price", f"{number}") for number in range(MAX_ALERT_SERIES)]
                rest = [(shop, cause, "unknown") for shop in values["shop"] for cause in values["cause"]]
                _tell(metric, few + rest)
            elif labels is not None:
                _tell(metric, list(product(*(values[label] for label in labels))))
    series = sum(len(family.samples) for family in registry.collect())
    assert series <= MOST_SERIES[name]


def _tell(metric: Any, series: Sequence[tuple[str, ...]]) -> None:
    """Make a metric tell these series."""
    if isinstance(metric, GaugeTable):
        metric.replace(dict.fromkeys(series, 1.0))
        return
    for labels in series:
        if isinstance(metric, CounterTable):
            metric.add(labels)
        elif labels:
            metric.labels(*labels)


def test_what_is_told_uses_no_other_words_than_the_pages_name() -> None:
    task = task_with(0, [order("a", T0), browsing("a", T0 + 1), complaint("a", T0 + 2, category="made up by a sender")])
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    business.owned([task])
    business.count([task])
    for family in registry.collect():
        for sample in family.samples:
            for label, word in sample.labels.items():
                assert label == "shop" or word in VALUES[label]
    assert {flow.kind for flow in EVENT_COUNTS if flow.what == "complaints"} == set(CATEGORIES)


def test_what_the_staff_says_of_an_episode_is_counted_in_words_that_are_known() -> None:
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    business.resolved({("retained", "price", "vip"): 2, ("made up", "by a", "sender"): 1})
    told = series_of(registry, "churn_alert_outcomes")
    assert told == {("retained", "price", "vip"): 2, ("other", "unknown", "unknown"): 1}


def test_an_episode_is_told_by_shop_cause_and_segment_from_its_opening_to_its_end() -> None:
    task, registry = task_with(0, [order("a", T0, shop_id="s1")]), CollectorRegistry()
    business, partition = KpiPublisher(KpiMetrics(registry)), task.processor
    partition.alerts.open_alert(alert("a", "price", "vip"))
    business.count([task])
    assert series_of(registry, "churn_open_alerts") == {("s1", "price", "vip"): 1}
    partition.apply_alert_step(resolving("a"), T0 + 2)
    business.count([task])
    assert series_of(registry, "churn_open_alerts") == {}
    counts = partition.aggregator.event_counts
    opened, closed = counts.opened, counts.closed
    assert (dict(opened), dict(closed)) == ({("s1", "price", "vip"): 1}, {("s1", "resolved", "vip"): 1})


def test_an_episode_that_was_stored_without_a_segment_is_told_as_unknown() -> None:
    task, registry = task_with(0, [order("a", T0)]), CollectorRegistry()
    task.processor.alerts.open_alert(alert("a", "price", ""))
    KpiPublisher(KpiMetrics(registry)).count([task])
    assert series_of(registry, "churn_open_alerts") == {("default", "price", "unknown"): 1}


def test_of_too_many_kinds_of_episodes_the_segment_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.services.worker.kpi_publisher.MAX_ALERT_SERIES", 2)
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    for segment in ("vip", "loyal", "growing", "declining", "vip"):
        business.stepped(cast("Any", SimpleNamespace(**NOTHING, opened=Counter({("s1", "price", segment): 1}))))
    told = series_of(registry, "churn_alerts_opened")
    assert told == {("s1", "price", "vip"): 2, ("s1", "price", "loyal"): 1, ("s1", "price", "unknown"): 2}


def test_the_arms_of_a_holdout_are_published_with_their_outcomes() -> None:
    registry = CollectorRegistry()
    drawn, outcomes = ("spring", "held_out"), ("spring", "treated", "ordered")
    step = {**NOTHING, "opened": Counter(), "drawn": Counter({drawn: 3}), "trial_outcomes": Counter({outcomes: 2})}
    KpiPublisher(KpiMetrics(registry)).stepped(cast("Any", SimpleNamespace(**step)))
    assert series_of(registry, "churn_holdout_drawn") == {drawn: 3}
    assert series_of(registry, "churn_holdout_outcomes") == {outcomes: 2}


def test_a_new_series_begins_at_nought_so_that_a_rate_sees_its_first_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ZERO_SECONDS", math.inf)
    registry = CollectorRegistry()
    business = KpiPublisher(KpiMetrics(registry))
    business.resolved({("lost", "price", "vip"): 3})
    labels = {"outcome": "lost", "cause": "price", "segment": "vip"}
    value = registry.get_sample_value
    assert [value("churn_alert_outcomes_total", labels) for _ in range(2)] == [0, 0]  # whoever asks first, and second
    monkeypatch.setattr(tables, "ZERO_SECONDS", 0.0)
    assert value("churn_alert_outcomes_total", labels) == 3
    business.resolved({("lost", "price", "vip"): 1})
    assert value("churn_alert_outcomes_total", labels) == 4


NOTHING: dict[str, Any] = {
    "event_counts": {},
    "closed": Counter(),
    "suppressed": Counter(),
    "outcomes": Counter(),
    "drawn": Counter(),
    "trial_outcomes": Counter(),
}


def series_of(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """What is told of a metric."""
    (family,) = [one for one in registry.collect() if one.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def alert(customer: str, cause: str, segment: str) -> Alert:
    explanation = Explanation(segment, (Cause(cause, 0.5),))
    candidate = AlertCandidate(customer, T0 + 1, 0.9, 0.9, 1.0, 1.0, 1.0, 1, 1, explanation=explanation)
    return Alert(alert_id(customer, T0 + 1), customer, T0 + 1, T0 + DAY_US, 1, 0.5, candidate)


def resolving(customer: str) -> AlertStep:
    at = EPOCH + (T0 + 2) * MICROSECOND
    told = alert_id(customer, T0 + 1)
    return AlertStep("r1", customer, at, action=RESOLVED, outcome="lost", staff="li", alert_id=told)
