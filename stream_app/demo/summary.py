"""Summary of a finished demo, with suggested next commands."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream_app.core.training.quality import RECENT_DAYS
from stream_app.demo.settings import HORIZON_DAYS
from stream_app.demo.simulation import Plan, ShopSimulation
from stream_app.demo.state import OPEN, DemoState
from stream_app.demo.wording import AUC, EXAMPLES, VERSION
from stream_app.i18n import LANGUAGES, Translator

_NEXT: Final = (
    ("make report{make_lang}", "summary.report_demo"),
    ("{command} replay LOG{lang} --out results", "summary.report"),
    ("{command} topics create", "summary.live"),
)


def print_summary(
    state: DemoState, shop: ShopSimulation, plan: Plan, seconds: float, translator: Translator, console: Console
) -> None:
    """Print the summary of a demo that took `seconds`."""
    if not state.counts[OPEN]:
        console.print(translator.text("demo.partial"), highlight=False)
        return
    totals = {"events": shop.sent, "customers": plan.customers, "seconds": seconds}
    sentences = [
        translator.text("summary.came", **_numbers(translator, totals)),
        _learned(state, translator),
        _quality(state, translator),
    ]
    console.print()
    console.print(Text(translator.text("summary.title"), style="bold"))
    for sentence in filter(None, sentences):
        console.print(sentence, highlight=False)
    console.print()
    console.print(translator.text("summary.next"), highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    named = translator.lang != LANGUAGES[0]  # which commands use by default
    words = {
        "command": own_command(),
        "lang": f" --lang {translator.lang}" if named else "",
        "make_lang": f" REPORT_LANG={translator.lang}" if named else "",
    }
    for command, key in _NEXT:
        table.add_row(Text(f"  {command.format_map(words)}", style="cyan"), translator.text(key))
    console.print(table)


def own_command() -> str:
    """Return the command that runs `stream-app`: its name if it is on the PATH, otherwise its path."""
    path = Path(sysconfig.get_path("scripts")) / "stream-app"
    found = shutil.which("stream-app")
    if found is not None and Path(found).resolve() == path.resolve():
        return "stream-app"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _learned(state: DemoState, translator: Translator) -> str:
    counts = state.outcomes | {"opened": state.counts[OPEN]}
    figures = {"labels": state.figure("trainer", EXAMPLES), "version": state.figure("worker", VERSION)}
    return translator.text("summary.learned", **_numbers(translator, counts | figures))


def _quality(state: DemoState, translator: Translator) -> str:
    """Return a sentence on how well the model has ranked the customers, or "" if that is not known yet."""
    auc = state.figure("trainer", AUC)
    if not auc > 0:  # NaN while there are labels of one kind only
        return ""
    return translator.text(
        "summary.quality", share=translator.percent(auc), auc=f"{auc:.2f}", days=HORIZON_DAYS, recent=RECENT_DAYS
    )


def _numbers(translator: Translator, values: Mapping[str, float]) -> dict[str, str]:
    return {name: translator.number(value) for name, value in values.items()}
