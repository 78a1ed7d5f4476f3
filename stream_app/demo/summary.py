"""What the demo came to, and where to go from there."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream_app.demo.screen import EXAMPLES, VERSION
from stream_app.demo.simulation import Plan, ShopSimulation
from stream_app.demo.state import OPEN, DemoState
from stream_app.demo.voice import DemoVoice
from stream_app.simulate import truth

_NEXT: Final = (
    ("make report", "summary.report_demo"),
    ("{command} replay LOG --out results", "summary.report"),
    ("{command} topics create", "summary.live"),
)


def print_summary(
    board: DemoState, shop: ShopSimulation, plan: Plan, seconds: float, voice: DemoVoice, console: Console
) -> None:
    """Print it."""
    if not board.counts[OPEN]:
        console.print(voice.say("demo.partial"), highlight=False)
        return
    told = [voice.say("summary.came", **_numbers(voice, events=shop.sent, customers=plan.customers, seconds=seconds))]
    told.append(_learned(board, voice))
    told.append(_truth(board, plan, voice))
    console.print()
    console.print(Text(voice.say("summary.title"), style="bold"))
    for sentence in told:
        console.print(sentence, highlight=False)
    console.print()
    console.print(voice.say("summary.next"), highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for command, key in _NEXT:
        table.add_row(Text(f"  {command.format(command=own_command())}", style="cyan"), voice.say(key))
    console.print(table)


def own_command() -> str:
    """What to type to run `stream-app`: its name where the shell finds it, else the way to it from here."""
    path = Path(sysconfig.get_path("scripts")) / "stream-app"
    found = shutil.which("stream-app")
    if found is not None and Path(found).resolve() == path.resolve():
        return "stream-app"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _learned(board: DemoState, voice: DemoVoice) -> str:
    counts = board.counts
    ended = counts["returned"] + counts["fell"] + counts["met"] + counts["lost"]
    return voice.say(
        "summary.learned",
        **_numbers(
            voice,
            labels=board.figure("trainer", EXAMPLES),
            version=board.figure("worker", VERSION),
            opened=counts[OPEN],
            returned=counts["returned"],
            fell=counts["fell"],
            met=counts["met"],
            lost=counts["lost"],
            open=counts[OPEN] - ended,
        ),
    )


def _truth(board: DemoState, plan: Plan, voice: DemoVoice) -> str:
    """How many of those who were listed have really left: the only look at what the simulator knows."""
    left = {one.customer_id for one in truth(plan.shop, plan.seed) if one.left_at is not None}
    listed = [alert.customer_id for alert in board.opened.values() if not alert.urgent]
    active = board.active_customers()
    share = sum(customer in left for customer in listed) / max(len(listed), 1)
    base = sum(customer in left for customer in active) / max(len(active), 1)
    percents = {"share": voice.percent(share), "base": voice.percent(base)}
    return voice.say("summary.truth", active=voice.number(len(active)), **percents)


def _numbers(voice: DemoVoice, **vector: float) -> dict[str, str]:
    return {name: voice.number(value) for name, value in vector.items()}
