"""The benchmarks measure what they say: the work is done, pairs are compared fairly, verdicts follow the figures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import logs
from benchmarks.document import document
from benchmarks.live import scrape
from benchmarks.live.document import joined, live_document
from benchmarks.live.latency import Seen, Sent, latencies_ms
from benchmarks.live.publish import read_told
from benchmarks.live.results import Latency, LiveReport, Memory, Observed, Publishing, Scrape, Throughput, Workers
from benchmarks.replay import growth
from benchmarks.replay.floor import Floor
from benchmarks.replay.memory import pending_bytes, resident_peak, state_bytes
from benchmarks.replay.product import SHORT, replay
from benchmarks.replay.scale import in_own_process, measure
from benchmarks.results import Against, Flatness, Part, Report, Size, Spread
from benchmarks.rounds import take_turns
from benchmarks.sampling import part_of
from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending
from stream_app.core.partition.progress import Position
from stream_app.replay.runner import Replay


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return logs.simulated(tmp_path_factory.mktemp("logs"), "tiny", logs.scale(60), lambda _: None)


def test_the_product_applies_decides_and_learns(log: Path) -> None:
    run = replay(log, SHORT)
    assert run.events == len(log.read_bytes().splitlines())
    assert run.scored > run.decisions > run.waiting > 0
    assert run.labels == run.decisions - run.waiting
    assert run.customers <= 60
    assert 0 < run.scan_seconds < run.seconds


def test_what_is_kept_of_a_decision_keeps_nothing_else_alive(log: Path) -> None:
    kept: list[Replay] = []
    replay(log, SHORT, keep=kept.append)
    chunks = [chunk for column in kept[0].outcome.columns._chunks.values() for chunk in column]
    assert chunks
    assert all(chunk.base is None for chunk in chunks)  # a view would hold all facts of the decision: 760 bytes


def test_the_floor_reads_every_event_and_needs_time(log: Path) -> None:
    events, seconds = Floor().run(log)
    assert events == len(log.read_bytes().splitlines())
    assert seconds > 0


def test_a_simulated_log_is_made_once(log: Path) -> None:
    before = log.stat().st_mtime_ns
    assert logs.simulated(log.parent, "tiny", logs.scale(60), lambda _: None) == log
    assert log.stat().st_mtime_ns == before


def test_each_product_run_is_compared_with_the_floor_around_it() -> None:
    pairs = take_turns(iter([10.0, 20.0, 40.0]).__next__, iter([3.0, 15.0]).__next__, rounds=2)
    assert (pairs.ratio.least, pairs.ratio.most) == (0.2, 0.5)
    assert pairs.floor.rounds == 3


def test_the_more_a_customer_does_the_larger_the_state_says_the_scale() -> None:
    quiet, busy = Customer("a", 0), Customer("b", 1)
    for number in range(16):
        busy.is_duplicate(str(number))
    assert state_bytes([busy]) >= state_bytes([quiet]) + 16 * 8
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
    exec("def work(look): return look()", space)  # noqa: S102 - a frame of that module, which calls into this one
    assert space["work"](lambda: part_of(sys._getframe())) == part


def _size(customers: int, micros: float) -> Size:
    one = Spread.of([micros])
    return Size(customers, customers, 10 * customers, customers, one, one, one, 3_000 * customers, 0, 1_400.0, 400.0)


@pytest.mark.parametrize(
    ("costs", "verdict"),
    [((10.0, 11.0, 10.5), "reached"), ((10.0, 12.5, 12.0), "done, not reached"), ((14.0, 11.0, 10.0), "missed")],
)
def test_flat_means_neither_dearer_nor_cheaper(costs: tuple[float, ...], verdict: str) -> None:
    flat = Flatness([_size(10 ** (4 + place), cost) for place, cost in enumerate(costs)])
    assert flat.verdict == verdict


def test_growth_is_told_a_unit(log: Path) -> None:
    run = replay(log, SHORT)
    more = replace(run, events=run.events + 1_000, replay_seconds=run.replay_seconds + 0.02)
    rows = growth._series("events", {"few": [run], "many": [more]}, lambda one: one.events, "an event")
    assert [row.marginal for row in rows] == ["", "20.0 µs an event"]


def test_the_document_says_what_was_reached() -> None:
    spread = Spread.of([0.2, 0.1])
    against = Against("a log", "events", spread, spread, spread, wanted=0.3, done_at=0.12)
    report = Report(
        machine={"cores": "2"},
        load_before=0.1,
        load_after=3.0,
        seconds=60.0,
        quick=True,
        against=[against, replace(against, wanted=0.15), replace(against, done_at=0.2)],
        flatness=Flatness([_size(10_000, 10.0), _size(100_000, 9.0)]),
        parts={"a log": [Part("features", 0.5, 3.0), Part("nothing", 0.0001, 0.0)]},
        growth=[],
    )
    text = document(report)
    assert [row.verdict for row in report.against] == ["done, not reached", "reached", "missed"]
    assert "**0.150** (0.100 – 0.200) | ≥ 0.30 | ≥ 0.12 | done, not reached |" in text
    assert "largest over smallest: -10.0%" in text
    assert "The machine was shared" in text
    assert "nothing" not in text
    assert msgspec.json.decode(msgspec.json.encode(report))["against"][0]["wanted"] == 0.3


def test_a_process_of_its_own_starts_with_a_peak_of_its_own(log: Path) -> None:
    held = bytearray(b"1") * 300_000_000  # in this process, which starts the other
    assert resident_peak() > len(held)
    assert in_own_process(log).run.replay_bytes < 200_000_000


def test_a_size_is_measured_with_what_it_holds(log: Path) -> None:
    measured = measure(log)
    assert measured.run.events > 0
    assert 500 < measured.state_bytes < 3_000
    assert 100 < measured.pending_bytes < 1_000


def test_a_live_figure_is_judged_by_what_was_wanted() -> None:
    spread = Spread.of([4.5, 3.9])
    row = Throughput("worker", 1_000, spread, spread, spread, spread, spread, spread)
    assert [row.verdict, replace(row, wanted=5.0).verdict, replace(row, wanted=9.0, done_at=5.0).verdict] == [
        "reached",
        "done, not reached",
        "missed",
    ]
    assert replace(_live_report().latency, p99_ms=120.0).verdict == "done, not reached"
    assert replace(_live_report().workers, ratio=Spread.of([1.2])).verdict == "missed"


def test_an_event_that_was_never_committed_is_no_sample() -> None:
    seen = [Seen(1.0, 0, msgspec.json.encode(Position({"orders": 7}, (0, 0))))]
    with pytest.raises(ValueError, match="never committed"):
        latencies_ms([Sent("ann", "orders", 0, 7, 900)], seen)
    assert latencies_ms([Sent("ann", "orders", 0, 6, 900)], seen) == [100.0]


def test_a_publication_that_was_stopped_is_no_figure() -> None:
    with pytest.raises(ValueError, match="not published"):
        read_told("5 of 6 events and 12 ticks in 2.0 s (3 events/s): 10 records sent.")


def test_the_scrape_that_is_measured_tells_of_all_customers() -> None:
    cost = scrape.measure(customers=600, tasks=2, shops=3, scrapes=2)
    assert cost.answer_bytes > 10_000  # three shops with all of their series
    assert 0 < cost.hold <= cost.count
    assert min(cost.wall, cost.cpu, cost.restore) > 0


def test_the_live_document_stands_behind_the_other() -> None:
    text = live_document(_live_report())
    assert text.startswith("# The live system")
    assert "| ≥ 4 | ≥ 2 | reached |" in text
    assert "| 5 | 5 | **0.970** | 0.990 | 60 | 12 | 600 | ≥ 0.98 | ≥ 0.95 | done, not reached |" in text
    assert "| 1,000 | 3 | 1,200 | **20.0** | 15.0 |" in text
    assert "decoding" in text
    page = joined("# Benchmarks\n\n# The live system\n\nold\n", None, text)
    assert page == "# Benchmarks\n\n" + text
    assert joined(page, "# Benchmarks, again", None) == "# Benchmarks, again\n\n" + text


def _live_report() -> LiveReport:
    spread = Spread.of([5.0])
    return LiveReport(
        machine={"cores": "2"},
        load_before=0.1,
        load_after=0.1,
        seconds=60.0,
        quick=True,
        throughput=[Throughput("worker", 1_000, spread, spread, spread, spread, spread, spread)],
        latency=Latency.of(
            [10.0, 20.0], rate=100.0, seconds=60.0, look_ms=2.0, look_p99_ms=3.0, commits=40.0, busy=0.5
        ),
        workers=Workers(spread, spread, Spread.of([1.01]), spread, spread),
        observed=Observed(
            spread, spread, Spread.of([0.97]), Spread.of([0.99]), seconds=60.0, scrapes=12, deliveries=600
        ),
        scrape=Scrape(1_000, 3, 1_200, wall=20.0, cpu=15.0, count=40.0, hold=4.0, answer_bytes=70_000, restore=900.0),
        publishing=Publishing(1_000, 10, spread, spread),
        memory=Memory(1_000, 800.0, 700.0, 2.0),
        parts=[Part("decoding", 1.0, 3.0)],
        threads={"main": 30.0, "fetching": 6.0},
    )
