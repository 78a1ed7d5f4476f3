"""The next day's calls as a spreadsheet, with customer ids: the only output for people that names customers."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import xlsxwriter

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.messages.contact_rules import is_stopped
from stream_app.core.units import from_micros
from stream_app.i18n import Translator
from stream_app.notifications.playbook.playbook import load_playbook

# Column -> width in characters and number format. Columns without a format hold text.
COLUMNS: Final[dict[str, tuple[int, str]]] = {
    "rank": (6, "0"),
    "customer": (24, ""),
    "call_by": (12, "yyyy-mm-dd"),
    "worth": (14, "#,##0.00"),
    "lost": (16, "0%"),
    "risk": (18, "0%"),
    "silent": (13, "0"),
    "gap": (16, "0"),
    "segment": (22, ""),
    "cause": (28, ""),
    "evidence": (60, ""),
    "measure": (70, ""),
}
Value = str | float | None


def write_call_list(
    calls: Sequence[AlertCandidate],
    path: Path,
    lang: str,
    at: int,
    zone: ZoneInfo,
    stopped: Collection[str] = (),
) -> None:
    """Write the calls as an Excel file. Equal arguments give equal bytes.

    Args:
        calls: the candidates of one list, best first, with explanations.
        path: file to write; its folder must exist.
        lang: en or zh.
        at: time of the data, microseconds; it becomes the file's creation time.
        zone: of the shop, for days.
        stopped: measures that the policy has stopped.
    """
    translator = Translator(lang, "report")
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"created": from_micros(at).replace(microsecond=0, tzinfo=None)})
        sheet = book.add_worksheet(translator.text("list.sheet"))
        head = book.add_format({"bold": True, "text_wrap": True, "bottom": 1, "valign": "top"})
        for place, (name, (width, number_format)) in enumerate(COLUMNS.items()):
            style = book.add_format({"num_format": number_format or "@", "text_wrap": True, "valign": "top"})
            sheet.set_column(place, place, width, style)
            sheet.write_string(0, place, translator.text(f"list.col_{name}"), head)
        for row, call in enumerate(calls, start=1):
            for place, value in enumerate(cells(call, row, translator, zone, stopped)):
                if isinstance(value, str):
                    sheet.write_string(row, place, value)  # never a formula, whatever a customer is called
                elif value is not None:
                    sheet.write_number(row, place, value)
        sheet.freeze_panes(1, 2)
        sheet.autofilter(0, 0, max(len(calls), 1), len(COLUMNS) - 1)


def cells(
    call: AlertCandidate, rank: int, translator: Translator, zone: ZoneInfo, stopped: Collection[str]
) -> list[Value]:
    """Return the values of one row, in the order of COLUMNS; None: unknown."""
    explanation = call.explanation
    return [
        float(rank),
        call.customer,
        excel_day(call.act_by, zone) if call.act_by else None,
        call.monthly_worth,
        call.lost_probability if call.act_by else None,
        call.probability,
        call.silent_days,
        None if math.isnan(call.usual_gap_days) else call.usual_gap_days,
        translator.segment(explanation.segment),
        translator.join(f"{translator.cause(c.key)} {translator.percent(c.probability)}" for c in explanation.causes),
        "; ".join(translator.evidence(one.rule, one.numbers) for one in explanation.evidence),
        measure_text(explanation.causes[0].key, explanation.segment, translator, stopped) if explanation.causes else "",
    ]


def measure_text(cause: str, segment: str, translator: Translator, stopped: Collection[str] = ()) -> str:
    """Return the shipped playbook's first step for a cause and a segment; empty if it has none."""
    if is_stopped(stopped, cause, (segment,)):
        return translator.text("list.stopped")
    try:
        steps = load_playbook().measure(cause, segment).steps
    except KeyError:
        return ""
    return steps[0].text(translator.lang) if steps else ""


def excel_day(at: int, zone: ZoneInfo) -> float:
    """Return the day of an instant as Excel counts days.

    >>> excel_day(0, ZoneInfo("UTC"))
    25569.0
    """
    return float(from_micros(at).astimezone(zone).toordinal() - 693_594)
