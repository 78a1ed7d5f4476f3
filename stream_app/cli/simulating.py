"""`stream-app simulate` as people see it."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from stream_app.errors import BadOption
from stream_app.simulate import ShopSettings, write_log

_WORDS = {"simulate": "Simulating the shop", "write": "Writing its log"}


def run_simulate(customers: int, days: int, seed: int, out: Path | None, console: Console) -> None:
    """Write a simulated log to a file or to standard output."""
    try:
        settings = ShopSettings(customers=customers, days=days)
    except ValueError as error:
        raise BadOption(option="--customers or --days", value=(customers, days), remedy=f"{error}.") from error
    with Progress(console=console) as progress:
        tasks = {what: progress.add_task(words, total=1.0, visible=False) for what, words in _WORDS.items()}

        def show(what: str, share: float) -> None:
            progress.update(tasks[what], completed=share, visible=True)

        if out is None:
            written = write_log(settings, seed, sys.stdout.buffer, show)
            sys.stdout.buffer.flush()
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("wb") as file:
                written = write_log(settings, seed, file, show)
    console.print(f"{written:,} events of {customers:,} customers over {days} days" + (f" in {out}" if out else ""))
