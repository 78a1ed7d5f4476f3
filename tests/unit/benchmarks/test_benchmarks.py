"""The benchmarks: the work is done, pairs are compared fairly, verdicts follow the figures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import simulated_logs as logs
from benchmarks.live import metrics_scrape
from benchmarks.live.latency import Committed, Sent, latencies_ms
from benchmarks.live.publishing import read_summary
from benchmarks.live.results import (
    Latency,
    LiveReport,
    Memory,
    Monitored,
    Publishing,
    Scrape,
    Throughput,
    TwoWorkers,
)
from benchmarks.machine import Conditions
from benchmarks.page import joined, rendered
from benchmarks.profiler import part_of
from benchmarks.replay.floor import Floor
from benchmarks.replay.growth import marginal
from benchmarks.replay.memory import pending_bytes, resident_peak, state_bytes
from benchmarks.replay.results import AgainstFloor, Flatness, Growth, ReplayReport, Size
from benchmarks.replay.shop_sizes import measure
from benchmarks.replay.whole_replay import SHORT, Run, replay
from benchmarks.results import TARGETS, Part, Spread
from benchmarks.rounds import Pairs, in_own_process, take_turns
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.model.labels import Pending
from stream_app.core.partition.progress import Position
from stream_app.replay.runner import Replay


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.simulated(tmp_path_factory.mktemp("logs"), "tiny", logs.short(60))


def test_the_product_applies_decides_and_learns(log: Path) -> None:
    run = replay(log, SHORT)
    assert run.events == len(log.read_bytes().splitlines())
    assert run.scored > run.decisions > run.waiting > 0
    assert run.labels == run.decisions - run.waiting
    assert run.customers <= 60
    assert 0 < run.scan_seconds < run.seconds


def test_the_columns_of_decisions_own_their_data(log: Path) -> None:
    kept: list[Replay] = []
    replay(log, SHORT, keep=kept.append)
    chunks = [chunk for column in kept[0].outcome.columns._chunks.values() for chunk in column]
    assert chunks
    assert all(
        chunk.base is None for chunk in chunks
    )  # a view would keep the whole state vector of the decision alive: 760 bytes


def test_the_floor_reads_every_event_and_takes_time(log: Path) -> None:
    events, seconds = Floor().run(log)
    assert events == len(log.read_bytes().splitlines())
    assert seconds > 0


def test_a_simulated_log_is_made_once(log: Path) -> None:
    before = log.stat().st_mtime_ns
    assert logs.simulated(log.parent, "tiny", logs.short(60)) == log
    assert log.stat().st_mtime_ns == before


def test_each_product_run_is_compared_with_the_floor_around_it() -> None:
    pairs = take_turns(iter([10.0, 20.0, 40.0]).__next__, iter([3.0, 15.0]).__next__, rounds=range(2))
    assert (pairs.ratio.least, pairs.ratio.most) == (0.2, 0.5)
    assert pairs.floor.rounds == 3


def test_sizes_grow_with_what_is_held() -> None:
    quiet, busy = Customer("a", 0), Customer("b", 1)
    for number in range(16):
        busy.is_duplicate(str(number))
    assert state_bytes([busy]) == state_bytes([quiet]) + 16 * ID_BYTES
    light, heavy = Pending("a", 1), Pending("a", 1)
    heavy.features = bytes(100)
    assert pending_bytes([heavy]) == pending_bytes([light]) + 100


@pytest.mark.parametrize(
    ("module", "part"),
    [
        ("stream_app.core.state.update", "state: applying events"),
        ("stream_app.ingest.spool", "reading and decoding"),
        ("somewhere.else", "other"),
    ],
)
def test_time_in_a_library_counts_for_the_part_that_calls_it(module: str, part: str) -> None:
    space: dict[str, Any] = {"__name__": module}
    exec("def work(part): return part()", space)  # noqa: S102 - a frame of that module, which calls into this one
    assert space["work"](lambda: part_of(sys._getframe())) == part


RUN = Run(
    events=1_000, scored=100, decisions=100, labels=50, customers=10, waiting=20, scan_seconds=0.01,
    replay_seconds=0.02, wall_seconds=0.05, replay_bytes=30_000,
)  # fmt: skip


def _size(customers: int, micros: float) -> Size:
    return Size(customers, [replace(RUN, replay_seconds=micros / 1e6 * RUN.events)], 1_400.0, 400.0)


@pytest.mark.parametrize(
    ("costs", "verdict"),
    [((10.0, 11.0, 10.5), "reached"), ((10.0, 12.5, 12.0), "done, not reached"), ((14.0, 11.0, 10.0), "missed")],
)
def test_flat_means_neither_more_expensive_nor_cheaper(costs: tuple[float, ...], verdict: str) -> None:
    flat = Flatness([_size(10 ** (4 + place), cost) for place, cost in enumerate(costs)])
    assert TARGETS["flatness"].verdict(flat.change) == verdict


def test_growth_is_stated_per_unit() -> None:
    base = Growth("events", "few", 1_000, 100, Spread.of([1.0]), "–")
    more = replace(base, value="many", events=2_000, seconds=Spread.of([1.02]))
    assert marginal(base, more) == "20.0 µs per event"
    assert marginal(replace(base, parameter="partitions"), replace(more, parameter="partitions")) == "+2%"


def test_the_replay_page_states_figures_and_verdicts() -> None:
    spread = Spread.of([0.2, 0.1])
    pairs = Pairs(spread, spread, spread)
    report = ReplayReport(
        conditions=Conditions({"cores": "2"}, 0.1, 3.0, 60.0),
        against_floor=[AgainstFloor("a log", unit, pairs, RUN) for unit in ("events", "decisions")],
        flatness=Flatness([_size(10_000, 10.0), _size(100_000, 9.0)]),
        parts={"a log": [Part("features", 0.5, 3.0), Part("nothing", 0.0001, 0.0)]},
        growth=[Growth("events", "few", 1_000, 100, Spread.of([1.0]), "–")],
    )
    text = rendered(report)
    assert text.startswith("# Benchmarks\n\nWritten by")
    assert "| a log, 10 events per decision | 0 (0 – 0) | 0 (0 – 0) events | **0.150 (0.100 – 0.200)** |" in text
    assert "| **0.150 (0.100 – 0.200)** | ≥ 0.30 | ≥ 0.12 | done, not reached |" in text
    assert "| **0.150 (0.100 – 0.200)** | ≥ 0.05 | ≥ 0.01 | reached |" in text
    assert "largest over smallest: -10.0%" in text
    assert "The machine was shared" in text
    assert "\n\n| a log | share | µs per event |\n|---|---|---|\n| features | 50.0% | 3.00 |\n\n## How" in text
    assert "nothing" not in text
    assert "\n\n\n" not in text
    assert msgspec.json.decode(msgspec.json.encode(report))["against_floor"][0]["pairs"]["ratio"]["most"] == 0.2


def test_a_new_process_starts_with_its_own_peak_of_memory(log: Path) -> None:
    held = bytearray(b"1") * 300_000_000  # in this process, which starts the other
    assert resident_peak() > len(held)
    assert in_own_process(measure, log).run.replay_bytes < 200_000_000


def test_a_failure_in_a_new_process_is_raised(log: Path) -> None:
    with pytest.raises(RuntimeError, match="measure has failed"):
        in_own_process(measure, log.with_name("missing"))


def test_a_size_is_measured_with_what_it_holds(log: Path) -> None:
    measured = measure(log)
    assert measured.run.events > 0
    assert 500 < measured.state_bytes < 3_000
    assert 100 < measured.pending_bytes < 1_000


def test_an_event_that_was_never_committed_is_an_error() -> None:
    committed = [Committed(1.0, 0, msgspec.json.encode(Position({"orders": 7}, (0, 0))))]
    with pytest.raises(ValueError, match="never committed"):
        latencies_ms([Sent("ann", "orders", 0, 7, 900)], committed)
    assert latencies_ms([Sent("ann", "orders", 0, 6, 900)], committed) == [100.0]


def test_a_publication_that_was_stopped_is_an_error() -> None:
    with pytest.raises(ValueError, match="not published"):
        read_summary("5 of 6 events and 12 ticks in 2.0 s (3 events/s): 10 records sent.")


def test_the_measured_scrape_exposes_all_customers() -> None:
    cost = metrics_scrape.measure(customers=600, partitions=2, shops=3, scrapes=2)
    assert cost.response_bytes > 10_000  # three shops with all of their series
    assert 0 < cost.longest_chunk <= cost.count
    assert min(cost.wall, cost.cpu, cost.restore) > 0


def test_the_live_page_follows_the_replay_page() -> None:
    text = rendered(_live_report())
    assert text.startswith("# The live system\n\nWritten by")
    assert text.count("| ≥ 5 | ≥ 3.5 | reached |") == 1
    assert "| **5.00** | 5.00 | ≥ 1.3 | ≥ 1 | reached |" in text
    assert "| half | 100 | 60 | 2 | 15.0 | 19.0 | **19.9** |" in text
    assert "| light | 100 |" in text
    assert "at light load is wanted at ≤ 0.25, done at ≤ 0.40: missed." in text
    assert "| 5 | 5 | **0.970** | 0.990 | 60 | 12 | 600 | ≥ 0.98 | ≥ 0.95 | done, not reached |" in text
    assert "| 1,000 | 3 | 1,200 | **20.0** | 15.0 |" in text
    assert "| ≤ 1.05 | ≤ 1.10 | missed |" in text
    assert "main 30.0 µs, fetching 6.0 µs." in text
    assert "| decoding | 100.0% | 3.00 |" in text
    page = joined("# Benchmarks\n\n# The live system\n\nold\n", None, text)
    assert page == "# Benchmarks\n\n" + text
    assert joined(page, "# Benchmarks, again", None) == "# Benchmarks, again\n\n" + text
    assert "Not measured: Bytewax is not installed" in rendered(replace(_live_report(), bytewax=None))


def _live_report() -> LiveReport:
    spread = Spread.of([5.0])
    throughput = Throughput("worker", 1_000, Pairs(spread, spread, spread), spread, spread, spread)
    latency = Latency.of([10.0, 20.0], rate=100.0, seconds=60.0, poll_ms=2.0, poll_p99_ms=3.0, commits=40.0, busy=0.5)
    return LiveReport(
        conditions=Conditions({"cores": "2"}, 0.1, 0.1, 60.0),
        throughput=[throughput],
        bytewax=throughput,
        latency=latency,
        light_load=latency,
        two_workers=TwoWorkers(Pairs(spread, spread, Spread.of([1.2])), spread, spread),
        monitored=Monitored(
            Pairs(spread, spread, Spread.of([0.97])), Spread.of([0.99]), seconds=60.0, scrapes=12, deliveries=600
        ),
        scrape=Scrape(
            1_000, 3, 1_200, wall=20.0, cpu=15.0, count=40.0, longest_chunk=4.0, response_bytes=70_000, restore=900.0
        ),
        publishing=Publishing(1_000, 10, spread, spread),
        memory=Memory(1_000, 800.0, 700.0, 2.0),
        parts=[Part("decoding", 1.0, 3.0)],
        threads={"main": 30.0, "fetching": 6.0},
    )
