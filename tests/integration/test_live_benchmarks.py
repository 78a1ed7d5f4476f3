"""Each live benchmark once, small, on real servers: it really does what it measures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import simulated_logs as logs
from benchmarks.live.feed import Feed, TrainedModel, feed, input_topics
from benchmarks.live.latency import latency
from benchmarks.live.monitored_worker import cost_of_monitoring
from benchmarks.live.publishing import publishing
from benchmarks.live.throughput import VARIANTS, against_bytewax, throughput
from benchmarks.live.two_workers import cost_of_two
from benchmarks.live.worker_profile import profile_worker
from tests.harness.processes import LiveSystem

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]
PARTITIONS = 2
EVENTS = 6_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.simulated(tmp_path_factory.mktemp("logs"), "tiny", logs.browsing_heavy(40))


@pytest.fixture(scope="module")
def model(log: Path) -> TrainedModel:
    return TrainedModel.from_log(log)


@pytest.fixture(scope="module")
def live(kafka: str, redis_url: str) -> Iterator[LiveSystem]:
    settings = input_topics(f"bench-{uuid.uuid4().hex[:8]}") | {"kafka.partitions": str(PARTITIONS)}
    with LiveSystem(settings, kafka=kafka, redis_url=redis_url) as system:
        system.run("topics", "create")
        yield system


@pytest.fixture(scope="module")
def fed(live: LiveSystem, log: Path) -> Feed:
    return feed(live.config, log, EVENTS)


def test_a_worker_processes_the_log_in_turns_with_stock_faust(live: LiveSystem, fed: Feed, model: TrainedModel) -> None:
    rows = throughput(live, fed, model, range(1), stock_seconds=3.0)
    assert [row.variant for row in rows] == list(VARIANTS)
    for row in rows:
        assert fed.events == EVENTS
        assert row.records == fed.events + fed.ticks * PARTITIONS
        assert row.rates.floor.rounds == 2
        assert row.rates.floor.least > 0
        assert 0 < row.redis_micros.median < row.cpu_micros.median


def test_a_worker_processes_the_log_in_turns_with_bytewax(live: LiveSystem, fed: Feed, model: TrainedModel) -> None:
    pytest.importorskip("bytewax", reason="Bytewax is optional")
    row = against_bytewax(live, fed, model, range(1))
    assert row.rates.floor.rounds == 2
    assert row.rates.floor.least > 0


def test_two_workers_share_the_log(live: LiveSystem, fed: Feed, model: TrainedModel) -> None:
    cost = cost_of_two(live, fed, model, range(1))
    assert cost.micros.floor.rounds == 2
    assert cost.micros.product.least > 0


def test_a_monitored_worker_is_scraped_while_alerts_are_delivered(
    live: LiveSystem, fed: Feed, model: TrainedModel
) -> None:
    cost = cost_of_monitoring(live, fed, model, range(1), scrape_seconds=0.05)
    assert cost.rates.floor.rounds == 2
    assert cost.rates.product.least > 0
    assert cost.scrapes > 0
    assert cost.deliveries > 0


def test_a_profile_names_the_parts_of_a_worker(live: LiveSystem, fed: Feed, model: TrainedModel) -> None:
    parts, threads = profile_worker(live, fed, model)
    assert {"Faust", "event loop"} & {part.name for part in parts}  # of the shell
    assert {"decoding", "features", "state: applying events"} & {part.name for part in parts}  # of the core
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert threads["main"] > threads["fetching"] > 0


def test_the_log_is_published_by_the_command(live: LiveSystem, log: Path) -> None:
    published = publishing(live, log, range(1))
    assert published.events == len(log.read_bytes().splitlines())
    assert published.rate.median > published.command_rate.median > 0


def test_a_score_is_visible_after_its_event_was_appended(live: LiveSystem, log: Path, model: TrainedModel) -> None:
    seen = latency(live, log, model, history=2_000, rate=200.0, seconds=4.0)
    assert seen.rate == pytest.approx(200.0, rel=0.2)
    assert 0 < seen.p50_ms <= seen.p99_ms <= seen.most_ms
    assert seen.samples > 30
