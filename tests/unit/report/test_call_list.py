"""The spreadsheet of the next calls: readable, complete, the same bytes, and never a formula."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.causes.explanation import Cause, Explanation
from stream_app.core.units import DAY_US
from stream_app.i18n import LANGUAGES, Translator
from stream_app.report.call_list import COLUMNS, write_call_list
from tests.harness.invented_replay import START

UTC = ZoneInfo("UTC")
SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def call(customer: str, **changes: object) -> AlertCandidate:
    explanation = Explanation("one_time", (Cause("forgot_shop", 0.6),))
    one = AlertCandidate(customer, START, 0.5, 0.61, 12.5, 40.0, float("nan"), 1, 1, explanation=explanation)
    return replace(one, lost_probability=0.7, act_by=START + 2 * DAY_US, **changes)  # type: ignore[arg-type]


def rows_of(path: Path) -> list[list[str]]:
    """Return the cells of the sheet as text."""
    with ZipFile(path) as book:
        strings = ET.fromstring(book.read("xl/sharedStrings.xml"))  # noqa: S314 - we wrote it
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - we wrote it
    texts = ["".join(node.itertext()) for node in strings]
    assert not list(sheet.iter(f"{SPACE}f")), "a formula"
    found = []
    for row in sheet.iter(f"{SPACE}row"):
        cells = {re.sub(r"\d", "", c.get("r", "")): (c.get("t"), c.findtext(f"{SPACE}v")) for c in row}
        names = [chr(65 + i) for i in range(len(COLUMNS))]
        values = [cells.get(name, ("", "")) for name in names]
        found.append([texts[int(value or 0)] if kind == "s" else value or "" for kind, value in values])
    return found


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_row_per_call_with_the_customers_id(tmp_path: Path, lang: str) -> None:
    path = tmp_path / "call-list.xlsx"
    write_call_list([call("c-1"), call("=1+1", usual_gap_days=20.0)], path, lang, START, UTC)
    head, first, second = rows_of(path)
    translator = Translator(lang, "report")
    assert head == [translator.text(f"list.col_{name}") for name in COLUMNS]
    assert first[:8] == ["1", "c-1", "44929", "12.5", "0.7", "0.61", "40", ""]  # 44929: 3 January 2023
    assert second[1] == "=1+1"
    assert second[7] == "20"
    assert translator.cause("forgot_shop") in first[9]
    assert first[11]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_measure_that_the_policy_has_stopped_is_not_proposed(tmp_path: Path, lang: str) -> None:
    write_call_list([call("c-1")], tmp_path / "a.xlsx", lang, START, UTC, ["forgot_shop.one_time"])
    assert rows_of(tmp_path / "a.xlsx")[1][11] == Translator(lang, "report").text("list.stopped")


def test_the_same_calls_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_call_list([call("c-1")], tmp_path / name, "en", START, UTC)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_an_empty_list_is_a_file_with_headings_only(tmp_path: Path) -> None:
    write_call_list([], tmp_path / "a.xlsx", "en", START, UTC)
    assert len(rows_of(tmp_path / "a.xlsx")) == 1


def test_calls_that_are_not_planned_have_no_deadline(tmp_path: Path) -> None:
    write_call_list([replace(call("c-1"), act_by=0, lost_probability=0.0)], tmp_path / "a.xlsx", "en", START, UTC)
    assert rows_of(tmp_path / "a.xlsx")[1][2:5] == ["", "12.5", ""]
