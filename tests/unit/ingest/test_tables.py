"""Tables with a mapping: text formats and Parquet."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from stream_app.core.events.schema import Browsing, Cart, Complaint, Event, Order, encode
from stream_app.ingest import LogFormat, LogSummary, open_log, text_table
from stream_app.ingest.rejections import Rejection
from stream_app.ingest.sources import Source
from stream_app.ingest.text_table import TextTable
from stream_app.mapping.mapping import FileLayout

ORDERS = {"customer_id": "cust", "occurred_at": "date"}


def read(
    workdir: Path, log: str | bytes, form: LogFormat, **more: object
) -> tuple[LogSummary, list[Event], list[Rejection]]:
    file = workdir / "log"
    file.write_bytes(log if isinstance(log, bytes) else log.encode())
    with open_log([file], form, workdir, **more) as opened:  # type: ignore[arg-type]
        summary = opened.scan()
        return summary, [event for batch in opened.batches() for event in batch], list(opened.rejections)


def mapped(workdir: Path, toml: str) -> LogFormat:
    path = workdir / "mapping.toml"
    path.write_text(toml, encoding="utf-8")
    return LogFormat(str(path))


def places(rejected: Sequence[Rejection]) -> list[tuple[int, str]]:
    return [(r.line, r.field) for r in rejected]


def test_a_log_of_customers_and_dates_only(tmp_path: Path) -> None:
    log = "cust,date\n 007 ,2024-01-02\n13085.0,2024/1/1 9:05\nv1.0,20240103\n"
    _, events, rejected = read(tmp_path, log, LogFormat("csv", ORDERS, kind="order"))
    assert rejected == []
    assert [(e.customer_id, e.occurred_at.isoformat(), e.event_id) for e in events] == [
        ("13085", "2024-01-01T09:05:00+00:00", "0-3"),
        ("007", "2024-01-02T00:00:00+00:00", "0-2"),
        ("v1.0", "2024-01-03T00:00:00+00:00", "0-4"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    log = f"cust{delimiter}date\nann{delimiter}2024-01-02\n"
    assert read(tmp_path, log, LogFormat("csv", ORDERS, kind="order"))[0].events == 1


def test_values_become_kinds_and_their_column_is_found(tmp_path: Path) -> None:
    log = "cust,date,did\na,2024-01-01,click\na,2024-01-01,buy\na,2024-01-01,ponder\n"
    form = LogFormat("csv", ORDERS, {"click": "browsing", "buy": "order"})
    summary, events, rejected = read(tmp_path, log, form)
    assert [type(event) for event in events] == [Browsing, Order]
    assert places(rejected) == [(4, "type")]
    assert "`ponder` is not among the kinds" in rejected[0].reason
    assert rejected[0].text == "a,2024-01-01,ponder"
    assert (summary.lines, summary.rejected) == (3, 1)


def test_a_kind_may_be_skipped(tmp_path: Path) -> None:
    log = "cust,date,did\na,2024-01-01,ping\na,2024-01-01,buy\n"
    summary, events, rejected = read(tmp_path, log, LogFormat("csv", ORDERS, {"ping": "skip", "buy": "order"}))
    assert (len(events), summary.skipped, rejected) == (1, 1, [])


def test_bad_values_name_field_and_remedy(tmp_path: Path) -> None:
    log = (
        "cust,date,paid\n"
        "a,2024-01-01,1.5\n"
        ",2024-01-01,1\n"
        "nan,2024-01-01,1\n"
        "a,2024-02-30,1\n"
        "a,,1\n"
        "a,2300-01-01,1\n"
        "a,0,1\n"
        "a,1970-01-01,1\n"
        "a,2024-01-01,nan\n"
        "a,2024-01-01,-inf\n"
        'a,2024-01-01,"1,50"\n'
        "a,2024-01-01\n"
        f"{'a' * 300},2024-01-01,1\n"
        "a,2024-01-01,\n"
    )
    form = LogFormat("csv", {**ORDERS, "amount": "paid"}, kind="order")
    _, events, rejected = read(tmp_path, log, form, not_after=datetime(2024, 6, 1, tzinfo=UTC))
    assert [e.amount for e in events if isinstance(e, Order)] == [1.5, None]
    fields = ["customer_id"] * 2 + ["occurred_at"] * 5 + ["amount"] * 3 + ["", "customer_id"]
    assert places(rejected) == list(enumerate(fields, 3))
    remedies = ["missing_customer", "[time]", "future", "zero", "decimal", "delimiter"]
    assert [any(remedy in r.reason for r in rejected) for remedy in remedies] == [True] * 6


def test_a_record_over_several_lines_counts_from_its_first(tmp_path: Path) -> None:
    log = 'cust,date,note\r\na,2024-01-01,"one\r\ntwo, ""three"""\r\n\r\nb,never,x\r\nc,2024-01-02,y'
    _, events, rejected = read(tmp_path, log, LogFormat("csv", ORDERS, kind="order"))
    assert [event.event_id for event in events] == ["0-2", "0-6"]
    assert [(r.line, r.text) for r in rejected] == [(5, "b,never,x")]


def test_a_stray_quote_costs_one_line(tmp_path: Path) -> None:
    lines = [f"c{n},2024-01-01,note {n}" for n in range(20_000)]
    lines[9_000] = 'c9000,2024-01-01,"open'
    lines[12_000] = '"c12000,2024-01-01,open'
    log = "cust,date,note\n" + "\n".join(lines)
    _, events, rejected = read(tmp_path, log, LogFormat("csv", ORDERS, kind="order"))
    assert [r.line for r in rejected] == [9_002, 12_002]
    assert "quote" in rejected[0].reason
    assert [r.text for r in rejected] == [lines[9_000], lines[12_000]]
    assert len(events) == 19_998


@given(
    st.lists(st.sampled_from(['a,"x"', "b,x", 'c,"x\n,y"', "", 'd,"x""y"', "e,x,y", "f\f,\u2028"]), max_size=30),
    st.integers(1, 60),
)
def test_chunks_of_any_size_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, records: list[str], size: int
) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    file.write_text("\n".join(["k,v", *records]), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_table, "CHUNK_CHARS", size)
        table = TextTable(Source(0, "log", file), FileLayout(delimiter=","))
        rows = list(table.rows())
        table.close()
    expected, line = [], 2
    for record in records:
        if record:
            expected.append((line, record[0]))
        line += 1 + record.count("\n")
    assert [(line, row[0].strip() if isinstance(row, list) else "e") for line, row in rows] == expected


def test_chinese_encodings(tmp_path: Path) -> None:
    log = "会员,时间,类目\n张三,2024-01-01 08:00,茶叶\n李四,2024-01-02 08:00,瓷器\n"
    toml = """
        kind = "order"
        columns = { customer_id = "会员", occurred_at = "时间", category = "类目" }
        time.zone = "Asia/Shanghai"
        file.encoding = "gb18030"
    """
    _, events, _ = read(tmp_path, log.encode("gb18030"), mapped(tmp_path, toml))
    assert [(e.customer_id, e.occurred_at.isoformat(), e.category) for e in events if isinstance(e, Order)] == [
        ("张三", "2024-01-01T00:00:00+00:00", "茶叶"),
        ("李四", "2024-01-02T00:00:00+00:00", "瓷器"),
    ]


def test_undecodable_bytes_affect_only_their_field(tmp_path: Path) -> None:
    log = b"\xef\xbb\xbfcust,date,note\nann,2024-01-01,caf\xe9\nb\xe9a,2024-01-01,x\n"
    _, events, rejected = read(tmp_path, log, LogFormat("csv", ORDERS, kind="order"))
    assert [event.customer_id for event in events] == ["ann"]
    assert places(rejected) == [(3, "customer_id")]
    assert "gb18030" in rejected[0].reason


def test_a_decimal_comma(tmp_path: Path) -> None:
    toml = """
        kind = "order"
        columns = { customer_id = "cust", occurred_at = "date", amount = "n * price" }
        file = { delimiter = ";", decimal = "," }
        time.format = "%d.%m.%Y"
    """
    _, events, _ = read(tmp_path, "cust;date;n;price\na;31.01.2024;2;1.234,50\n", mapped(tmp_path, toml))
    assert [(e.amount, e.occurred_at.day) for e in events if isinstance(e, Order)] == [(2469.0, 31)]


def test_repeats_are_kept_or_dropped(tmp_path: Path) -> None:
    log = "cust,date\na,2024-01-01\na,2024-01-01\nb,2024-01-01\n"
    toml = 'kind = "order"\nrepeats = "{}"\ncolumns = {{ customer_id = "cust", occurred_at = "date" }}'
    for choice, ids in (("keep", 3), ("drop", 2)):
        _, events, _ = read(tmp_path, log, mapped(tmp_path, toml.format(choice)))
        assert (len(events), len({event.event_id for event in events})) == (3, ids)


def test_ids_constants_and_fields_of_one_kind(tmp_path: Path) -> None:
    toml = """
        [columns]
        customer_id = "u"
        occurred_at = "t"
        event_id = "id"
        type = "k"
        price = "p"
        "order.amount" = "p"
        [kinds]
        v = "browsing.search"
        o = "order.placed"
        c = "complaint.low_review"
        [constants]
        shop_id = "north"
        currency = "CNY"
        channel = "app"
        "complaint.rating" = 1
        [time]
        format = "epoch_s"
    """
    log = "u,t,id,k,p\na,1700000000,x,v,9.5\na,1700000000,y,o,9.5\na,1700000000,z,c,\n"
    _, events, _ = read(tmp_path, log, mapped(tmp_path, toml))
    assert [msgspec.json.decode(encode(event)) for event in events] == [
        {
            "type": "browsing", "event_id": "x", "customer_id": "a", "occurred_at": "2023-11-14T22:13:20Z",
            "shop_id": "north", "page": "search", "channel": "app", "price": 9.5,
        },
        {
            "type": "complaint", "event_id": "z", "customer_id": "a", "occurred_at": "2023-11-14T22:13:20Z",
            "shop_id": "north", "form": "low_review", "action": "opened", "channel": "app", "rating": 1.0,
        },
        {
            "type": "order", "event_id": "y", "customer_id": "a", "occurred_at": "2023-11-14T22:13:20Z",
            "shop_id": "north", "action": "placed", "currency": "CNY", "amount": 9.5,
        },
    ]  # fmt: skip


def test_lines_of_an_order_need_not_be_adjacent(tmp_path: Path) -> None:
    toml = """
        kinds = { pay = "order.paid", refund = "order.refunded", view = "browsing" }
        columns = { customer_id = "u", occurred_at = "t", type = "k", amount = "p", items = "n", region = "r" }
        orders.group_by = "o"
    """
    rows = [
        "a,2024-01-03,pay,o1,1,2,x",
        "b,2024-01-01,view,,,,",
        "a,2024-01-02,pay,o1,2.5,3,y",
        "a,2024-01-09,refund,o1,3.5,,x",
    ]
    rows += ["c,2024-01-05,pay,,7,1,z", "c,2024-01-05,pay,,7,1,z"]  # no number: orders of their own
    summary, events, _ = read(tmp_path, "\n".join(["u,t,k,o,p,n,r", *rows]), mapped(tmp_path, toml))
    assert summary.lines == 6
    orders = [(e.event_id, e.occurred_at.day, e.amount, e.items, e.region) for e in events if isinstance(e, Order)]
    assert orders == [
        ("paid-o1", 2, 3.5, 5, None),
        ("0-6", 5, 7.0, 1, "z"),
        ("0-7", 5, 7.0, 1, "z"),
        ("refunded-o1", 9, 3.5, 1, "x"),
    ]


def test_files_may_have_their_columns_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("cust,date\na,2024-01-02\n")
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(b"date,cust\n2024-01-01,b\n"))
    with open_log(sorted(tmp_path.iterdir()), LogFormat("csv", ORDERS, kind="order"), tmp_path) as log:
        assert [(e.customer_id, e.event_id) for batch in log.batches() for e in batch] == [("b", "1-2"), ("a", "0-2")]


def test_a_truncated_table_gives_no_truncated_number(tmp_path: Path) -> None:
    log = gzip.compress(b"cust,date,paid\n" + b"".join(b"c%d,2024-01-01,100000\n" % n for n in range(50_000)))
    form = LogFormat("csv", {**ORDERS, "amount": "paid"}, kind="order")
    _, events, rejected = read(tmp_path, log[: len(log) // 2], form)
    assert {e.amount for e in events if isinstance(e, Order)} == {100_000.0}
    assert 10_000 < len(events) < 40_000
    assert [(r.line, r.reason.split(":")[0].startswith("the compressed data is truncated")) for r in rejected] == [
        (0, True)
    ]


def test_foreign_parquet_has_typed_columns(tmp_path: Path) -> None:
    columns = {
        "cust": pa.array([17.0, None, 18.0]),
        "date": pa.array(
            [1_704_067_200_000_000_001, 0, 1_704_067_200_000_000_000], pa.timestamp("ns", "Asia/Shanghai")
        ),
        "paid": pa.array([1.5, 2.0, float("nan")]),
        "unused": pa.array([[1], [2], [3]]),
    }
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    form = LogFormat("parquet", {**ORDERS, "amount": "paid"}, kind="order.paid")
    with open_log([tmp_path / "log.parquet"], form, tmp_path) as log:
        log.scan()
        [order] = [event for batch in log.batches() for event in batch]
        assert places(list(log.rejections)) == [(2, "customer_id"), (3, "amount")]
    assert order == Order(event_id="0-1", customer_id="17", occurred_at=datetime(2024, 1, 1, tzinfo=UTC), amount=1.5)


def test_the_wire_format_as_parquet_and_csv_gives_the_events_back(tmp_path: Path) -> None:
    at = datetime(2024, 1, 1, 8, tzinfo=UTC)
    events: list[Event] = [
        Browsing(event_id="1", customer_id="c", occurred_at=at, search_results=0, available=False, dwell_seconds=0.1),
        Cart(event_id="2", customer_id="c", occurred_at=at, quantity=2.0),
        Complaint(event_id="3", customer_id="c", occurred_at=at, text='she said "no"\nand left', rating=1.0),
        Order(event_id="4", customer_id="c", occurred_at=at, amount=0.1, items=3, delivered_at=at, shop_id="s"),
    ]
    rows = [msgspec.json.decode(encode(event)) for event in events]
    names = sorted({name for row in rows for name in row})
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    pq.write_table(table, tmp_path / "log.parquet")
    with open_log([tmp_path / "log.parquet"], LogFormat("parquet"), tmp_path) as log:
        assert [event for batch in log.batches() for event in batch] == events
    pa_csv.write_csv(table, tmp_path / "log.csv")
    with open_log([tmp_path / "log.csv"], LogFormat("csv"), tmp_path) as log:
        assert [event for batch in log.batches() for event in batch] == events
