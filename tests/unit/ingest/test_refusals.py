"""A wrong column, format or option fails early, with a suggestion."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_app.errors import (
    BadMapping,
    ChurnMonitorError,
    EmptyLog,
    NoSuchColumn,
    NothingReadable,
    UnusableLog,
    WrongFormat,
)
from stream_app.ingest import LogFormat, open_log

TMALL = "cust,date,event,brand_id\n5,2024-01-01,click,7\n"
RETAIL = "Invoice,Quantity,InvoiceDate,Price,Customer ID\n5,1,2024-01-01,1,7\n"
ORDERS = {"customer_id": "cust", "occurred_at": "date"}


def refuse(workdir: Path, log: str | bytes, form: LogFormat) -> ChurnMonitorError:
    file = workdir / "log"
    file.write_bytes(log if isinstance(log, bytes) else log.encode())
    with pytest.raises(ChurnMonitorError) as caught:
        open_log([file], form, workdir).close()
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"customer_id": "custmer", "occurred_at": "date"},
            ["no column `custmer`", "Did you mean `cust`?", "customer_id=cust"],
        ),
        ({"customer_id": "cust", "occurred_at": "when"}, ["no column `when`", "Did you mean `date`?"]),
        ({"customer_id": "cust"}, ["for the field `occurred_at`", "Did you mean `date`?"]),
        ({"customer_id": "cust", "occurred_at": "date", "amount": "n * brnd"}, ["no column `n`"]),
    ],
)
def test_a_wrong_column_lists_the_existing_ones(tmp_path: Path, columns: dict[str, str], words: list[str]) -> None:
    error = refuse(tmp_path, TMALL, LogFormat("csv", columns, kind="order"))
    assert isinstance(error, NoSuchColumn)
    assert [word for word in [*words, "`cust`, `date`, `event`, `brand_id`"] if word not in str(error)] == []


def test_a_log_that_lacks_a_column_of_a_shipped_mapping(tmp_path: Path) -> None:
    error = refuse(tmp_path, TMALL, LogFormat("online-retail"))
    assert isinstance(error, NoSuchColumn)
    assert "cust" in str(error)


def test_the_second_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("cust,date\na,2024-01-01\n")
    (tmp_path / "2").write_text("customer,date\na,2024-01-01\n")
    with pytest.raises(NoSuchColumn, match="/2 has no column `cust`"):
        open_log([tmp_path / "1", tmp_path / "2"], LogFormat("csv", ORDERS, kind="order"), tmp_path)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (TMALL, ["table with the columns cust, date, event, brand_id", "--format tmall"]),
        (gzip.compress(RETAIL.encode(), mtime=0), ["--format online-retail"]),
        ("client;day\n5;2024-01-01\n", ["--format csv --columns customer_id=", "occurred_at="]),
        ('[{"type":"order"}]', ["JSON array", "jq"]),
        ('{\n"type": "order"\n}', ["several lines"]),
        ("PK\x03\x04xyz", ["Excel"]),
        ("just words\nin lines\n", ["just words"]),
    ],
)
def test_files_that_are_not_json_lines_are_identified(tmp_path: Path, log: str | bytes, words: list[str]) -> None:
    error = refuse(tmp_path, log, LogFormat("jsonl"))
    assert isinstance(error, WrongFormat)
    assert [word for word in words if word not in str(error)] == []


def test_objects_that_are_not_events_list_their_fields(tmp_path: Path) -> None:
    error = refuse(tmp_path, '{"type":"order","id":1,"cust":"a"}\n' * 3, LogFormat("jsonl"))
    assert isinstance(error, NothingReadable)
    assert "none of the first 3 lines" in str(error)
    assert "type, id, cust" in str(error)
    assert "event_id" in str(error)


def test_tables_of_the_other_kind(tmp_path: Path) -> None:
    assert "--format jsonl" in str(refuse(tmp_path, '{"type":"order"}\n', LogFormat("csv", ORDERS, kind="order")))
    assert "--format jsonl" in str(refuse(tmp_path, '{"type":"order"}\n', LogFormat("parquet")))
    assert "--format csv" in str(refuse(tmp_path, TMALL, LogFormat("parquet")))
    pq.write_table(pa.table({"cust": ["a"]}), tmp_path / "log.parquet")
    packed = (tmp_path / "log.parquet").read_bytes()
    assert "--format parquet" in str(refuse(tmp_path, packed, LogFormat("jsonl")))
    assert isinstance(refuse(tmp_path, packed[:-20], LogFormat("parquet")), WrongFormat)
    assert isinstance(refuse(tmp_path, packed, LogFormat("parquet")), NoSuchColumn)


def test_a_column_that_holds_something_else(tmp_path: Path) -> None:
    error = refuse(tmp_path, TMALL, LogFormat("csv", {"customer_id": "cust", "occurred_at": "event"}, kind="order"))
    assert isinstance(error, NothingReadable)
    assert [
        word for word in ("line 2", "`occurred_at`", "`click` is not a time", "brand_id") if word not in str(error)
    ] == []


def test_ambiguous_dates_name_the_remedy(tmp_path: Path) -> None:
    error = refuse(tmp_path, "cust,date\nann,03/04/2024 08:00\n", LogFormat("csv", ORDERS, kind="order"))
    wanted = (
        "`03/04/2024 08:00` is not a time",
        "dates that start with the year",
        "`format` under [time]",
        "docs/reference/mappings.md",
    )
    assert [word for word in wanted if word not in str(error)] == []


def test_kinds_that_no_column_holds(tmp_path: Path) -> None:
    error = refuse(tmp_path, TMALL, LogFormat("csv", ORDERS, {"buys": "order"}))
    assert isinstance(error, UnusableLog)
    assert "--columns type=event" in str(error)
    error = refuse(tmp_path, TMALL, LogFormat("csv", ORDERS))
    assert "--kind order" in str(error)


def test_a_table_of_nothing_but_a_header(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("cust,date\n")
    with (
        open_log([tmp_path / "log"], LogFormat("csv", ORDERS, kind="order"), tmp_path) as log,
        pytest.raises(EmptyLog, match="contains no events"),
    ):
        log.scan()


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (LogFormat("tmal"), ["Did you mean `tmall`?", "cdnow"]),
        (LogFormat("csv", ORDERS, kind="ordr"), ["`ordr` is not a kind", "Did you mean `order`?"]),
        (LogFormat("csv", {**ORDERS, "amuont": "date"}, kind="order"), ["columns.amuont", "Did you mean `amount`?"]),
        (LogFormat("jsonl", ORDERS), ["--columns"]),
        (LogFormat("csv", ORDERS, {"click": "browsing"}, "order"), ["both are given"]),
    ],
)
def test_wrong_options(tmp_path: Path, form: LogFormat, words: list[str]) -> None:
    error = refuse(tmp_path, TMALL, form)
    assert isinstance(error, BadMapping)
    assert [word for word in words if word not in str(error)] == []


def test_a_header_that_is_not_utf8_names_the_encoding_as_the_remedy(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes("会员号,时间\na,2024-01-01\n".encode("gb18030"))
    form = LogFormat("csv", columns={"customer_id": "会员号", "occurred_at": "时间"}, kind="order")
    with pytest.raises(NoSuchColumn, match="gb18030"):
        open_log([log], form, tmp_path)
