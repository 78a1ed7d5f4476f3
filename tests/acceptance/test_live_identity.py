"""The live system gives the result of a replay of the same recorded log, bit for bit, while workers join and leave."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream_app.ingest import LogFormat
from tests.harness.processes import LiveSystem, Outcome, outcome_of, outcome_of_replay

FIRST, END = datetime(2010, 10, 1, tzinfo=UTC), datetime(2010, 12, 1, tzinfo=UTC)
FORMAT = "online-retail"
# Faust's assignor moves nothing from workers that have no more than partitions ÷ workers, rounded up: of 4 partitions
# two workers would keep 2 each, and the third would have none.
PARTITIONS = 6
SETTINGS = {
    "kafka.partitions": str(PARTITIONS),
    # Labels mature within the two months, and models learn from them.
    "shop.horizon": "14d",
    "shop.active_window": "60d",
    "shop.decide_every": "2d",
    "shop.capacity": "5",
    "shop.zone": "Europe/London",
    "worker.batch_events": "50",  # many commits, so that workers join and leave in mid-work
    "worker.publish_scores": "true",
    "trainer.keep": "1000",  # every version can be compared
}


@pytest.fixture(scope="module")
def log(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide two months of Online Retail II, in its recorded lines."""
    cut = tmp_path_factory.mktemp("logs") / "retail.csv"
    recorded = data_dir / "online_retail_2009_2011.csv.gz"
    with gzip.open(recorded, "rt", newline="") as source, cut.open("w", newline="") as out:
        rows, written = csv.reader(source), csv.writer(out)
        head = next(rows)
        at = head.index("InvoiceDate")
        written.writerow(head)
        written.writerows(row for row in rows if FIRST <= datetime.fromisoformat(row[at]).replace(tzinfo=UTC) < END)
    return cut


@pytest.mark.slow
@pytest.mark.acceptance
def test_joining_and_leaving_workers_change_nothing(log: Path) -> None:
    with LiveSystem(SETTINGS) as live:
        live.run("topics", "create")
        live.run("publish", str(log), "--format", FORMAT)
        total = sum(live.ends().values())
        for name in ("trainer", "allocator"):
            live.start(name)
        first, second = live.start("worker"), live.start("worker")
        live.wait("a quarter is done", lambda: live.consumed() > total / 4, 120)
        third = live.start("worker")
        live.wait("the third worker has its partitions", lambda: len(third.partitions()) == 2, 60)
        joined_at = live.consumed()
        live.wait("more is done", lambda: live.consumed() > joined_at + total / 8, 120)
        left_at, before = live.consumed(), [worker.partitions() for worker in (first, second, third)]
        assert first.stop() == 0
        live.wait_until_done(300)
        after = [worker.partitions() for worker in (first, second, third)]
        came = outcome_of(live)
        assert [process.stop() for process in (second, third)] == [0, 0]
        replayed = outcome_of_replay(live.config.shop.settings(), PARTITIONS, log, LogFormat(FORMAT))
    # 1. Workers have joined and left in mid-work, and partitions have moved.
    assert total / 4 < joined_at < left_at < total
    assert [len(numbers) for numbers in before] == [2, 2, 2]
    assert [len(numbers) for numbers in after] == [0, 3, 3]
    # 2. In this log models learn, and alerts open and close.
    assert_worth_it(came)
    # 3. The outcome is that of the replay.
    assert came.differences(replayed) == []
    assert came == replayed
    assert (came.lost, came.doubled) == ([], [])


def assert_worth_it(outcome: Outcome) -> None:
    assert len(outcome.labels) > 1_000
    assert any(version for *_, version in outcome.labels.values())
    assert any(alert.source == "model" for alert in outcome.opened.values())
    assert len(outcome.versions) > 20
    assert outcome.closed


# --- a log that is published while the services run -----------------------------------------------------------------

RACING = {
    "kafka.partitions": "2",
    "shop.horizon": "10d",
    "shop.active_window": "40d",
    "shop.decide_every": "2d",
    "shop.capacity": "3",
    "shop.alert_above": "0.3",
    "trainer.keep": "1000",
}


@pytest.mark.slow
@pytest.mark.acceptance
@pytest.mark.parametrize("speed", ["max", "150000x"])
def test_publishing_to_running_services_changes_nothing(speed: str, tmp_path: Path) -> None:
    racing = tmp_path / "shop.jsonl"
    with LiveSystem(RACING) as live:
        live.run("simulate", "--customers", "300", "--days", "30", "--seed", "3", "--out", str(racing))
        live.run("topics", "create")
        for name in ("trainer", "allocator"):
            live.start(name)
        workers = live.start("worker"), live.start("worker")
        live.wait("both workers have a partition", lambda: all(len(one.partitions()) == 1 for one in workers), 60)
        live.run("publish", str(racing), "--speed", speed)
        live.wait_until_done(120)
        came = outcome_of(live)
        replayed = outcome_of_replay(live.config.shop.settings(), live.partitions, racing, LogFormat("jsonl"))
    assert len(came.opened) > 5
    assert sum(counts["too_late"] + counts["late"] for counts in came.counts.values()) == 0
    assert came.differences(replayed) == []
    assert (came.lost, came.doubled) == ([], [])
