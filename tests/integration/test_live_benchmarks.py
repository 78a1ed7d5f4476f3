"""Each live benchmark once, small, on real servers: what it measures really happens."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import simulated_logs as logs
from benchmarks.live.feed import Fed, Taught, feed, topics_of
from benchmarks.live.latency import latency
from benchmarks.live.monitored_worker import cost_of_watching
from benchmarks.live.worker_profile import profile_worker
from benchmarks.live.publishing import publishing
from benchmarks.live.throughput import VARIANTS, throughput
from benchmarks.live.two_workers import cost_of_two
from tests.harness.processes import LiveSystem

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]
PARTITIONS = 2
EVENTS = 6_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.simulated(tmp_path_factory.mktemp("logs"), "tiny", logs.browsing_heavy(40), lambda _: None)


@pytest.fixture(scope="module")
def taught(log: Path) -> Taught:
    return Taught.by(log)


@pytest.fixture(scope="module")
def live(kafka: str, redis_url: str) -> Iterator[LiveSystem]:
    settings = topics_of(f"bench-{uuid.uuid4().hex[:8]}") | {"kafka.partitions": str(PARTITIONS)}
    with LiveSystem(settings, kafka=kafka, redis_url=redis_url) as system:
        system.run("topics", "create")
        yield system


@pytest.fixture(scope="module")
def fed(live: LiveSystem, log: Path) -> Fed:
    return feed(live.config, log, EVENTS)


def test_a_worker_works_the_log_off_in_turns_with_stock_faust(live: LiveSystem, fed: Fed, taught: Taught) -> None:
    runs: list[int] = []
    rows = throughput(live, fed, taught, rounds=1, stock_seconds=3.0, on_run=lambda: runs.append(1))
    assert [row.what for row in rows] == list(VARIANTS)
    assert len(runs) == 4
    for row in rows:
        assert fed.events == EVENTS
        assert row.records == fed.events + fed.ticks * PARTITIONS
        assert row.floor.least > 0
        assert 0 < row.redis_micros.median < row.cpu_micros.median


def test_two_workers_share_the_log(live: LiveSystem, fed: Fed, taught: Taught) -> None:
    cost = cost_of_two(live, fed, taught, rounds=1, on_run=lambda: None)
    assert cost.one_micros.rounds == 2
    assert cost.two_micros.least > 0


def test_a_watched_worker_is_scraped_beside_deliveries(live: LiveSystem, fed: Fed, taught: Taught) -> None:
    cost = cost_of_watching(live, fed, taught, rounds=1, on_run=lambda: None, scrape_seconds=0.05)
    assert cost.alone.rounds == 2
    assert cost.watched.least > 0
    assert cost.scrapes > 0
    assert cost.deliveries > 0


def test_a_profile_names_the_parts_of_a_worker(live: LiveSystem, fed: Fed, taught: Taught) -> None:
    parts, threads = profile_worker(live, fed, taught)
    assert {"Faust", "event loop"} & {part.name for part in parts}  # some of the shell
    assert {"decoding", "features", "state: applying events"} & {part.name for part in parts}  # and of the core
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert threads["main"] > threads["fetching"] > 0


def test_the_log_is_published_by_the_command(live: LiveSystem, log: Path) -> None:
    told = publishing(live, log, rounds=1, on_run=lambda: None)
    assert told.events == len(log.read_bytes().splitlines())
    assert told.rate.median > told.command_rate.median > 0


def test_a_score_is_seen_after_its_event_was_appended(live: LiveSystem, log: Path, taught: Taught) -> None:
    seen = latency(live, log, taught, history=2_000, rate=200.0, seconds=4.0)
    assert seen.rate == pytest.approx(200.0, rel=0.2)
    assert 0 < seen.p50_ms <= seen.p99_ms <= seen.most_ms
    assert seen.samples > 30
