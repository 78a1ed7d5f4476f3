"""Replay summary for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stream_app.i18n import Translator
from stream_app.report import summary as texts

Figures = Mapping[str, Any]
BEST_EXPERTS: Final = 3
# What a line may not be broken within: words, numbers and known Chinese words, with the punctuation around them.
_UNIT: Final = r"[（“《]*(?:{words}[!-~–×−£€¥]+|.)[，。；：、！？）”》%]*|\n"


def summary(metrics: Figures, lang: str, report: Path | None = None) -> RenderableType:
    """Return the summary of a replay: headline, verdict, scores and the path of the report.

    Args:
        metrics: result of `stream_app.replay.evaluation.metrics`.
        lang: en or zh; any other value raises ValueError.
        report: path of the report, if there is one.
    """
    translator = Translator(lang, "report")
    words = translator.text("terminal.words")
    sentences = [texts.against(metrics, translator), texts.pays(metrics, translator)]
    parts: list[RenderableType] = [
        Prose(Text(texts.headline(metrics, translator), style="bold"), words),
        Prose(Text(texts.caution(metrics, translator), style="dim"), words),
        *[Prose(Text(text), words) for text in sentences if text],
        Text(),
        Prose(verdict_line(metrics, translator), words),
        scores(metrics, translator),
        *unknown_words(metrics, translator),
    ]
    if report is not None:
        for name, path in (("report", report), ("list", report.with_name(texts.CALL_LIST))):
            parts.append(
                Text.assemble((f"{translator.text(f'terminal.{name}')}{translator.colon}", "dim"), (str(path), "cyan"))
            )
    return Padding(Group(*parts), (1, 2))


class Prose:
    """Text that is wrapped between words, and in Chinese between characters, but never within a word or number.

    Args:
        text: the text; a line break starts a new line.
        words: Chinese words that are not to be broken, separated by blanks.
    """

    def __init__(self, text: Text, words: str = "") -> None:
        self._text, self._words = text, words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for the width of the console."""
        start = 0
        for line in lines(self._text.plain, options.max_width, self._words):
            found = self._text[start : start + len(line)]
            found.rstrip()
            yield found
            start += len(line)


def lines(text: str, width: int, words: str = "") -> list[str]:
    """Return the lines of a text, each at most `width` cells wide without the blanks at its end.

    >>> lines("每月流失 238 位客户。", 11, "流失 客户")
    ['每月流失 ', '238 位', '客户。']
    """
    known = "".join(f"{re.escape(word)}|" for word in words.split())
    found, line = [], ""
    for unit in re.findall(_UNIT.format(words=known), text, re.DOTALL):
        if line and (line.endswith("\n") or cell_len((line + unit).rstrip()) > width):
            found.append(line)
            line = ""
        line += unit
    return [*found, line]


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
    days = translator.number(m["protocol"]["horizon_days"])
    title = translator.text("terminal.table", days=days)
    table = Table(title=title, title_justify="left", title_style="dim", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(translator.text("terminal.score"), overflow="fold")
    for key in ("auc", "lift", "loss", "ece"):
        table.add_column(translator.text(f"terminal.{key}"), justify="right")
    experts = sorted(m["experts"].items(), key=lambda item: (-(item[1]["auc"] or 0), item[0]))[:BEST_EXPERTS]
    rows = [("product", m["product"]), ("longest_silence_first", m["longest_silence_first"]), *experts]
    for name, s in rows:
        table.add_row(
            translator.name("expert", name),
            translator.number(s["auc"], 3),
            translator.number(s["lift10"], 2),
            translator.number(s.get("log_loss"), 3),
            translator.number(s.get("ece"), 3),
            style="bold cyan" if name == "product" else None,
        )
    return table
