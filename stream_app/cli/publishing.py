"""`stream-app publish` as people see it: a progress bar, then how far it has come."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from stream_app.adapters.kafka.topics import require_topics
from stream_app.cli.signals import stopped_by_signals
from stream_app.config import SHOP_TOPICS, LiveConfig
from stream_app.ingest import Progress as Reading
from stream_app.publish import Request, Summary, Watcher, publish_log

_SHOWN_EVERY_SECONDS = 0.1


class _Bars(Watcher):
    """Progress bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._reading: TaskID | None = None
        self._publishing: TaskID | None = None
        self._shown = 0.0

    def reading(self, progress: Reading) -> None:
        if self._reading is None:
            self._reading = self._progress.add_task("Reading the log", total=1000, note="")
        self._progress.update(self._reading, completed=round(progress.share * 1000))

    def publishing(self, summary: Summary) -> None:
        if self._publishing is None:
            self._publishing = self._progress.add_task("Publishing", total=summary.total, note="")
        elif summary.events < summary.total and time.monotonic() - self._shown < _SHOWN_EVERY_SECONDS:
            return
        self._shown = time.monotonic()
        rate = summary.events / max(summary.seconds, 1e-3)
        until = f"{summary.until:%Y-%m-%d %H:%M}" if summary.until else ""
        self._progress.update(
            self._publishing, completed=summary.events, note=f"{rate:,.0f} events/s, the log's time {until}"
        )


def run_publish(config: LiveConfig, request: Request, console: Console) -> None:
    """Publish, and say how far it came; a signal ends it in order, with exit status 0."""
    require_topics(config, (*SHOP_TOPICS, "ticks"))
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with stopped_by_signals() as stop, Progress(*columns, console=console) as progress:
        summary = publish_log(config, request, _Bars(progress), stop)
    console.print(told(summary, request), highlight=False)


def told(summary: Summary, request: Request) -> str:
    """What a publication came to, in a few sentences."""
    rate = summary.events / max(summary.seconds, 1e-3)
    passed = f"{summary.events:,} of {summary.total:,} events and {summary.ticks:,} ticks"
    said = [f"{passed} in {summary.seconds:,.1f} s ({rate:,.0f} events/s): {summary.sent:,} records sent"]
    if summary.skipped:
        said[0] += f", {summary.skipped:,} were there from an earlier run"
    if summary.rejected:
        kept = f"are in {request.rejected}" if request.rejected else "are kept with --rejected FILE"
        said.append(f"{summary.rejected:,} lines were rejected; they {kept}")
    for field, words in summary.unknown_words.items():
        counted = ", ".join(f"{word} ({count:,})" for word, count in words.items())
        said.append(f"{field} has words that count as other, send one of those in docs/events.md: {counted}")
    if not summary.finished:
        until = f" at {summary.until:%Y-%m-%d %H:%M:%S} of the log's time" if summary.until else ""
        said.append(f"Stopped{until}; the same command goes on from there")
    said.append("Workers read it with ticks.clock = log, beside a trainer and a desk")
    return ". ".join(said) + "."
