"""Replay summary for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stream_app.i18n import Translator
from stream_app.report import summary as texts

Figures = Mapping[str, Any]
BEST_EXPERTS: Final = 3


def summary(metrics: Figures, lang: str, report: Path | None = None) -> RenderableType:
    """Return the summary of a replay: headline, verdict, scores and the path of the report.

    Args:
        metrics: result of `stream_app.replay.evaluation.metrics`.
        lang: en or zh; any other value raises ValueError.
        report: path of the report, if there is one.
    """
    translator = Translator(lang, "report")
    parts: list[RenderableType] = [
        Text(texts.headline(metrics, translator), style="bold"),
        Text(
            f"{texts.against(metrics, translator)}{translator.sentence_gap}{texts.money(metrics, translator)}".strip()
        ),
        Text(),
        verdict_line(metrics, translator),
        scores(metrics, translator),
        *unknown_words(metrics, translator),
    ]
    if report is not None:
        parts.append(
            Text.assemble((f"{translator.text('terminal.report')}{translator.colon}", "dim"), (str(report), "cyan"))
        )
    return Padding(Group(*parts), (1, 2))


def verdict_line(m: Figures, translator: Translator) -> Text:
    """Return the verdict and the conditions that are not met."""
    verdict = texts.verdict(m, translator)
    line = Text.assemble(
        (verdict.title, "bold green" if verdict.ready else "bold yellow"), translator.colon, verdict.text
    )
    for condition in verdict.conditions:
        if not condition.met:
            line.append(f"\n  ✗ {condition.text}{' – ' if condition.wait else ''}{condition.wait}", "yellow")
    return line


def unknown_words(m: Figures, translator: Translator) -> list[Text]:
    """Return lines with the unknown values by field, and what to do about them."""
    lines = [
        Text(f"  {field}{translator.colon}{words}", "yellow") for field, words in texts.unknown_words(m, translator)
    ]
    return [Text(translator.text("data.unknown_words_lead"), "bold yellow"), *lines, Text()] if lines else []


def scores(m: Figures, translator: Translator) -> Table:
    """Return the table of stream-app, the baseline and the best experts."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    capacity = translator.number(m["protocol"]["capacity"])
    table.add_column(translator.text("terminal.score"))
    for key in ("auc", "lift", "precision", "loss", "ece"):
        table.add_column(translator.text(f"terminal.{key}", n=capacity), justify="right")
    experts = sorted(m["experts"].items(), key=lambda item: (-(item[1]["auc"] or 0), item[0]))[:BEST_EXPERTS]
    rows = [("product", m["product"]), ("longest_silence_first", m["longest_silence_first"]), *experts]
    for name, s in rows:
        table.add_row(
            translator.name("expert", name),
            translator.number(s["auc"], 3),
            translator.number(s["lift10"], 2),
            translator.percent(s["precision_at_capacity"]),
            translator.number(s.get("log_loss"), 3),
            translator.number(s.get("ece"), 3),
            style="bold cyan" if name == "product" else None,
        )
    return table
