"""Tables of a policy trial in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from stream_app.cli.tables import show_table
from stream_app.i18n import Translator
from stream_app.report import trial
from stream_app.report.tables import Table
from stream_app.report.trial import Comparison


def show_trial(console: Console, found: Comparison, lang: str) -> None:
    """Print the figures of all policies side by side, who was not called, and the calls by segment.

    Args:
        console: console to print to.
        found: the comparison.
        lang: en or zh.
    """
    words = Translator(lang, "report")
    _show(console, trial.lead(found, words), trial.figure_table(found, words))
    excluded = trial.excluded_table(found, words)
    if excluded.rows:
        _show(console, words.text("trial.excluded_title"), excluded)
    _show(console, words.text("trial.segments"), trial.segment_table(found, words))
    console.print(Text(trial.caution(found, words)), soft_wrap=True)


def _show(console: Console, title: str, table: Table) -> None:
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows]
    show_table(console, title, dict.fromkeys(table.head, 0), rows)
