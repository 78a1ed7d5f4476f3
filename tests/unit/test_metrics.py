"""The names under which the product tells of itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.core.events.schema import decode
from stream_app.core.partition.processor import Counts
from stream_app.metrics.base import Description, new_registry
from stream_app.metrics.index import SERVICES
from stream_app.metrics.labels import FIELDS, VALUES, field_label
from stream_app.metrics.runtime import CommitMetrics, RelayMetrics
from stream_app.metrics.tables import CounterTable, GaugeTable
from stream_app.metrics.worker import WorkerMetrics

UNITS = (
    *("_seconds", "_bytes", "_records", "_events", "_partitions", "_ratio", "_info", "_version", "_owned", "_cached"),
    *("_customers", "_buyers", "_alerts", "_examples", "_changes", "_nats", "_log_odds", "_disabled"),
)
NO_UNIT = {"churn_clock_owner", "churn_buyers"}
LABELS = {"topic", "field", "value", "partition", "shop", "channel", "experiment", *VALUES}


def service(name: str) -> tuple[CollectorRegistry, list[Description]]:
    """All that a service tells, each metric with a value."""
    registry = new_registry()
    described = []
    for kind in SERVICES[name]:
        metrics = kind(registry)
        described += metrics.described
        for metric in vars(metrics).values():
            if isinstance(metric, GaugeTable):
                metric.replace({tuple("0" for _ in metric.labels): 1.0})
            if isinstance(metric, CounterTable):
                metric.add(tuple("0" for _ in metric.labels))
            labels = getattr(metric, "_labelnames", None)
            if labels is None:
                continue
            child = metric.labels(*("0" for _ in labels)) if labels else metric
            child.observe(0.01) if isinstance(metric, Histogram) else child.inc()
    return registry, described


@pytest.mark.parametrize("name", SERVICES)
def test_every_name_keeps_the_rules(name: str) -> None:
    registry, described = service(name)
    assert described
    assert len({one.name for one in described}) == len(described)
    for one in described:
        assert re.fullmatch(r"churn_[a-z][a-z_]*[a-z]", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter")
        assert one.kind == "counter" or one.name.endswith(UNITS) or one.name in NO_UNIT
        assert set(one.labels) <= LABELS
        assert one.meaning.endswith((".", ")."))
    families = {family.name for family in text_string_to_metric_families(generate_latest(registry).decode())}
    assert {one.name.removesuffix("_total") for one in described} <= families


@pytest.mark.parametrize("name", SERVICES)
def test_promtool_has_nothing_to_say(name: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("promtool is missing (Debian: prometheus)")
    text = generate_latest(service(name)[0])
    run = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, check=False, timeout=20)
    assert (run.returncode, run.stdout + run.stderr) == (0, b"")


def test_what_a_sender_makes_up_does_not_become_a_label() -> None:
    metrics = WorkerMetrics(new_registry())
    metrics.count_rejected({f"field_{number}": 1 for number in range(50)} | {"": 2, "customer_id": 3})
    told = {s.labels["field"]: s.value for s in next(iter(metrics.rejected.collect())).samples}
    assert told == {"other": 50, "none": 2, "customer_id": 3}


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"order","event_id":"1","customer_id":"c"}',
        b'{"type":"what","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z"}',
        b'{"type":"order","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z","amount":"x"}',
    ],
)
def test_the_fields_that_the_decoder_names_are_known(line: bytes) -> None:
    rejected = decode(line)
    assert field_label(getattr(rejected, "field", "?")) in FIELDS


def test_what_is_told_of_events_is_the_difference_of_the_counts() -> None:
    metrics = WorkerMetrics(new_registry())
    metrics.count_events(
        Counts(accepted=9, duplicates=1, scored=4), Counts(accepted=12, duplicates=3, late=1, scored=6)
    )
    value = metrics.registry.get_sample_value
    assert value("churn_events_duplicate_total") == 2
    assert value("churn_events_late_total") == 1
    assert value("churn_events_scored_total") == 2


def test_a_partition_that_was_taken_away_is_not_told_of() -> None:
    metrics = WorkerMetrics(new_registry())
    for partition in ("3", "4"):
        metrics.stream_time.labels(partition).set(1)
        metrics.watermark.labels(partition).set(1)
    metrics.remove_partition(3)
    metrics.remove_partition(3)  # nor does it matter if it was not told of
    assert 'partition="3"' not in generate_latest(metrics.registry).decode()
    assert 'partition="4"' in generate_latest(metrics.registry).decode()


def test_what_never_happened_is_told_as_zero() -> None:
    registry = new_registry()
    CommitMetrics(registry)
    RelayMetrics(registry)
    assert registry.get_sample_value("churn_commits_total", {"outcome": "fenced"}) == 0
    assert registry.get_sample_value("churn_relayed_records_total", {"topic": "dead_letters"}) == 0
