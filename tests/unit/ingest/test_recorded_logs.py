"""The events of the recorded logs equal those of the independent judge of predictions."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from stream_app.core.events.schema import Browsing, Cart, Complaint, Event, Order
from stream_app.ingest import LogFormat, LogSummary, open_log

KINDS: dict[type[Event], str] = {Browsing: "browse", Cart: "cart", Complaint: "complaint", Order: "order"}
LOGS = [
    ("online_retail_2009_2011.csv.gz", "online-retail", "retail"),
    ("CDNOW_master.txt.gz", "cdnow", "cdnow"),
    ("tmall_2013_dev.csv.gz", "tmall", "tmall"),
]


def read(file: Path, mapping: str, workdir: Path) -> tuple[LogSummary, list[Event]]:
    with open_log([file], LogFormat(mapping), workdir) as log:
        return log.scan(), [event for batch in log.batches() for event in batch]


@pytest.mark.parametrize(("file", "mapping", "form"), LOGS, ids=[mapping for _, mapping, _ in LOGS])
def test_events_equal_those_of_the_judge(
    judge: ModuleType, data_dir: Path, tmp_path: Path, file: str, mapping: str, form: str
) -> None:
    summary, events = read(data_dir / file, mapping, tmp_path)
    theirs = judge.load_log(str(data_dir / file), form)

    assert summary.rejected == 0
    assert summary.events == len(events) == len(theirs)
    times = [event.at for event in events]
    assert times == sorted(times)
    microseconds = theirs.ts.astype("int64") // 1000
    amounts = theirs.amount.where(theirs.kind == "order", 0.0)
    expected = sorted(zip(microseconds, theirs.customer, theirs.kind, amounts, strict=True))
    ours = sorted(
        (e.at, e.customer_id, KINDS[type(e)], e.amount or 0.0 if isinstance(e, Order) else 0.0) for e in events
    )
    assert [row[:3] for row in ours] == [tuple(row[:3]) for row in expected]
    assert [row[3] for row in ours] == pytest.approx([row[3] for row in expected], abs=1e-6)
