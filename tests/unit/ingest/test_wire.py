"""JSON lines: compressed or not, in order or not, intact or damaged."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order, encode
from stream_app.core.messages.schema import AllocationDone, PolicyRecord, Tick, encode_message
from stream_app.errors import EmptyLog, NoSuchLog, NotSorted
from stream_app.ingest import LogFormat, LogSummary, Progress, open_log, wire
from stream_app.ingest.rejections import Rejection
from stream_app.ingest.sources import Source

START = datetime(2024, 1, 1, tzinfo=UTC)
JSONL = LogFormat("jsonl")


def order(number: int, minute: float = 0, **more: object) -> Order:
    at = START + timedelta(minutes=minute)
    return Order(event_id=str(number), customer_id=f"c{number % 7}", occurred_at=at, **more)  # type: ignore[arg-type]


def text_of(events: Sequence[Event]) -> bytes:
    return b"".join(encode(event) + b"\n" for event in events)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())


def read(paths: Sequence[Path | str], workdir: Path, **more: object) -> tuple[LogSummary, list[Event], list[Rejection]]:
    with open_log(paths, JSONL, workdir, **more) as log:  # type: ignore[arg-type]
        summary = log.scan()
        return summary, [event for batch in log.batches(3) for event in batch], list(log.rejections)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_compressed_files_are_detected_by_their_first_bytes(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    events = [order(n, n) for n in range(2_000)]
    file = tmp_path / "log.anything"
    file.write_bytes(pack(text_of(events[:900])) + pack(text_of(events[900:])))
    summary, seen, rejected = read([file], tmp_path)
    assert (seen, rejected) == (events, [])
    assert summary.in_order
    assert (summary.first_at, summary.last_at) == (events[0].at, events[-1].at)


def test_a_log_that_is_in_order_is_streamed_and_not_copied(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(text_of([order(1), order(2, 5)]))
    workdir = tmp_path / "work"
    workdir.mkdir()
    with open_log([tmp_path / "log"], JSONL, workdir) as log:
        log.scan()
        assert [path.name for path in workdir.iterdir()] == ["rejected.jsonl"]
        assert list(log.batches()) == list(log.batches()) == [[order(1), order(2, 5)]]


def test_folders_are_read_in_depth_by_name_without_hidden_files(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (log / "2024" / "_temporary").mkdir(parents=True)
    (log / "2024" / "01.jsonl").write_bytes(text_of([order(1, 1)]))
    (log / "2024" / "02.jsonl").write_bytes(gzip.compress(text_of([order(2, 2)])))
    (log / "2025.jsonl").write_bytes(text_of([order(3, 3)]))
    (log / "empty.jsonl").touch()
    for hidden in (".hidden", "_SUCCESS", "2024/_temporary/part"):
        (log / hidden).write_bytes(b"not an event")
    summary, events, _ = read([log], tmp_path)
    assert [event.event_id for event in events] == ["1", "2", "3"]
    assert summary.in_order


def test_standard_input_is_read(tmp_path: Path) -> None:
    _, events, _ = read(["-"], tmp_path, stdin=io.BytesIO(gzip.compress(text_of([order(2, 2), order(1, 1)]))))
    assert [event.event_id for event in events] == ["1", "2"]


def test_events_of_one_instant_are_ordered_by_kind_then_place(tmp_path: Path) -> None:
    kinds: list[type[Event]] = [Order, Complaint, Cart, Browsing]
    events = [
        kind(event_id=f"{n}{kind.__name__}", customer_id="c", occurred_at=START) for n in (1, 2) for kind in kinds
    ]
    (tmp_path / "log").write_bytes(text_of(events))
    summary, seen, _ = read([tmp_path / "log"], tmp_path)
    names = ["Browsing", "Cart", "Complaint", "Order"]
    assert [event.event_id for event in seen] == [f"{n}{name}" for name in names for n in (1, 2)]
    assert not summary.in_order
    assert summary.kinds == {"browsing": 2, "cart": 2, "order": 2, "complaint": 2}


def test_equal_instants_with_other_offsets_are_equal(tmp_path: Path) -> None:
    line = '{{"type":"order","event_id":"{}","customer_id":"c","occurred_at":"{}"}}\n'
    lines = [line.format(1, "2024-01-01T08:00:00+08:00"), line.format(2, "2024-01-01T00:00:00Z")]
    (tmp_path / "log").write_text("".join(lines))
    summary, events, _ = read([tmp_path / "log"], tmp_path)
    assert summary.in_order
    assert [event.event_id for event in events] == ["1", "2"]


def test_a_log_larger_than_the_memory_limit_is_sorted_on_disk(tmp_path: Path) -> None:
    events = [order(n, n // 5, region="r" * 300) for n in range(250_000)]  # 110 MB of rows
    events[7] = order(7, 1, region="wide" * 2_000)
    shuffled = random.Random(3).sample(events, len(events))
    place = {event.event_id: n for n, event in enumerate(shuffled)}
    (tmp_path / "log").write_bytes(gzip.compress(text_of(shuffled), 1))
    with open_log([tmp_path / "log"], JSONL, tmp_path, memory="96MB") as log:
        assert not log.scan().in_order
        seen = [event for batch in log.batches() for event in batch]
    assert seen == sorted(shuffled, key=lambda e: (e.at, place[e.event_id]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "rejected.jsonl"]


def test_too_little_memory_to_sort_is_reported(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(text_of([order(n, -n) for n in range(50_000)]))
    with open_log([tmp_path / "log"], JSONL, tmp_path, memory="1MB") as log, pytest.raises(NotSorted, match="1MB"):
        log.scan()


def test_a_bad_line_is_recorded_and_does_not_stop_the_run(tmp_path: Path) -> None:
    good = encode(order(1))
    lines = [
        b"\xef\xbb\xbf" + good + b"\r",
        b"",
        b"{nonsense",
        good.replace(b'"c1"', b'"  "'),
        good.replace(b'"customer_id":"c1",', b""),
        good.replace(b"2024-01-01", b"2024-02-30"),
        good.replace(b"2024-01-01", b"0001-01-01"),
        good.replace(b"2024-01-01", b"2300-01-01"),
        good[:-1] + b',"amount":NaN}',
        good[:-1] + b',"amount":"' + b"9" * 5_000 + b'"}',
        b"\xff\xfe\x00",
        good,
    ]
    (tmp_path / "log").write_bytes(b"\n".join(lines))
    summary, events, rejected = read([tmp_path / "log"], tmp_path, not_after=START)
    assert (summary.lines, summary.events, summary.rejected) == (11, 2, 9)
    assert events == [order(1), order(1)]
    assert [(r.line, r.field) for r in rejected] == [
        (3, ""),
        (4, "customer_id"),
        (5, "customer_id"),
        (6, "occurred_at"),
        (7, "occurred_at"),
        (8, "occurred_at"),
        (9, ""),
        (10, "amount"),
        (11, ""),
    ]
    assert {r.file for r in rejected} == {str(tmp_path / "log")}
    assert [len(r.text) <= 2_000 for r in rejected] == [True] * 9
    assert "future" in rejected[5].reason
    assert rejected[0].text == "{nonsense"


def test_a_day_of_skew_is_tolerated(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(text_of([order(1), order(2, 23 * 60), order(3, 25 * 60)]))
    summary, _, _ = read([tmp_path / "log"], tmp_path, not_after=START)
    assert (summary.events, summary.rejected) == (2, 1)


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
def test_a_truncated_file_gives_the_events_before(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    noise = random.Random(1)
    events = [order(n, n, region=noise.randbytes(40).hex()) for n in range(20_000)]
    packed = pack(text_of(events))
    (tmp_path / "1").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "2").write_bytes(text_of([order(99_999, 99_999)]))
    _, seen, rejected = read([tmp_path / "1", tmp_path / "2"], tmp_path)
    assert seen[:-1] == events[: len(seen) - 1]
    assert seen[-1].event_id == "99999"
    assert 8_000 < len(seen) < 12_000
    assert "truncated" in rejected[-1].reason
    assert rejected[-1].line == 0
    assert len(rejected) <= 2  # the file, and the line that was cut in two


def test_a_line_without_end_is_rejected_in_bounded_memory(tmp_path: Path) -> None:
    endless = b"x" * (3 * wire.MAX_LINE_BYTES)
    (tmp_path / "log").write_bytes(text_of([order(1)]) + endless + b"\n" + text_of([order(2, 1)]))
    _, events, rejected = read([tmp_path / "log"], tmp_path)
    assert [event.event_id for event in events] == ["1", "2"]
    assert [(r.line, len(r.text)) for r in rejected] == [(2, 2_000)]


def test_an_archive_of_the_topics_has_policies_and_messages_that_a_replay_makes_itself(tmp_path: Path) -> None:
    policies = [PolicyRecord(START + timedelta(days=day), f"p{day}", msgspec.Raw(b"{}")) for day in (3, 2)]
    done = AllocationDone(START, 1)
    messages = [encode_message(one) for one in (Tick(START), done, *policies)]
    other = b'{"type":"policy","occurred_at":"2024-01-01"}'
    (tmp_path / "log").write_bytes(b"\n".join([*messages, encode(order(1)), other]))
    with open_log([tmp_path / "log"], JSONL, tmp_path) as log:
        summary = log.scan()
        assert [event.event_id for batch in log.batches() for event in batch] == ["1"]
        assert [one.version for one in log.policies] == ["p2", "p3"]
        assert [one.line for one in log.rejections] == [6]
    assert (summary.lines, summary.events, summary.rejected, summary.skipped) == (6, 1, 1, 4)


@given(st.lists(st.sampled_from(["good", "blank", "bad"]), max_size=40), st.integers(1, 400), st.booleans())
def test_blocks_of_any_size_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], size: int, ended: bool
) -> None:
    lines = [encode(order(n, n)) if kind == "good" else b"{" if kind == "bad" else b" " for n, kind in enumerate(kinds)]
    file = tmp_path_factory.mktemp("log") / "log"
    file.write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
    rejected: list[Rejection] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "BLOCK_BYTES", size)
        batches = list(
            wire.read_wire(Source(0, "log", file), Bounds.until(None), rejected.append, lambda _: None, lambda _: None)
        )
    assert [event.event_id for batch in batches for event in batch] == [
        str(n) for n, k in enumerate(kinds) if k == "good"
    ]
    assert [r.line for r in rejected] == [n for n, kind in enumerate(kinds, 1) if kind == "bad"]


def test_used_fields_are_listed(tmp_path: Path) -> None:
    view = Browsing(event_id="9", customer_id="c", occurred_at=START, dwell_seconds=0.0, available=False)
    (tmp_path / "log").write_bytes(text_of([view, order(1, 1), order(2, 2, amount=0.0), order(3, 3, region="x")]))
    summary, _, _ = read([tmp_path / "log"], tmp_path)
    assert summary.fields == {
        "browsing": frozenset({"dwell_seconds", "available"}),
        "order": frozenset({"amount", "region"}),
    }


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(gzip.compress(text_of([order(n, n) for n in range(5_000)])))
    told: list[Progress] = []
    with open_log([tmp_path / "1", tmp_path / "2"], JSONL, tmp_path) as log:
        log.scan(told.append)
    shares = [progress.share for progress in told]
    assert shares == sorted(shares)
    assert told[-1] == Progress(1.0, 10_000)
    assert 0.0 < shares[0] < 0.6


def test_a_missing_or_empty_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "blank").write_bytes(b"\n \n")
    (tmp_path / "packed").write_bytes(gzip.compress(b""))
    (tmp_path / "folder").mkdir()
    with pytest.raises(NoSuchLog, match="absent cannot be opened: No such file"):
        open_log([tmp_path / "absent"], JSONL, tmp_path)
    for name in ("empty", "blank", "packed", "folder"):
        with pytest.raises(EmptyLog, match="contains no events"):
            open_log([tmp_path / name], JSONL, tmp_path)


def test_contacts_are_read_before_other_events_of_the_same_time(tmp_path: Path) -> None:
    """As a worker reads them from Kafka. Steps of alerts in a dump of an earlier release are rejected."""
    first, at = order(1), START
    sent = Contact(event_id="m1", customer_id="c1", occurred_at=at, channel="sms", campaign="618")
    step = encode(sent).replace(b"}", b',"action":"episode_acked"}')
    (tmp_path / "log").write_bytes(text_of([first, sent]) + step + b"\n")
    summary, seen, rejected = read([tmp_path / "log"], tmp_path)
    assert seen == [sent, first]
    assert summary.kinds == {"order": 1, "contact": 1}
    assert summary.fields["contact"] == frozenset({"channel", "campaign"})
    assert [(one.line, one.field) for one in rejected] == [(3, "action")]
    assert not summary.in_order
