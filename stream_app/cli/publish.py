"""The command `stream-app publish`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from stream_app.adapters.kafka.topics import require_topics
from stream_app.cli.options import (
    BootstrapOption,
    ColumnsOption,
    ConfigOption,
    FormatOption,
    KindOption,
    KindsOption,
    LogsArgument,
    SetOption,
    load_settings,
    pairs,
)
from stream_app.cli.output import messages, progress_bars
from stream_app.cli.signals import stopped_by_signals
from stream_app.config import SHOP_TOPICS
from stream_app.ingest import LogFormat
from stream_app.ingest import Progress as Reading
from stream_app.publish import Request, Summary, Watcher, publish_log, speed_factor

app = typer.Typer(add_completion=False)
_SHOWN_EVERY_SECONDS = 0.1


@app.command()
def publish(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    logs: LogsArgument,
    speed: Annotated[str, typer.Option(help="Multiple of real time, such as 1000x, or max for top speed.")] = "max",
    form: FormatOption = "jsonl",
    columns: ColumnsOption = None,
    kinds: KindsOption = None,
    kind: KindOption = None,
    open_end: Annotated[bool, typer.Option("--open-end", help="Leave the log open: more events will follow.")] = False,
    after_other_logs: Annotated[
        bool, typer.Option("--after-other-logs", help="Append even if the topics contain other logs.")
    ] = False,
    rejected: Annotated[Path | None, typer.Option(help="Output file for rejected lines.")] = None,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Publish a recorded log to Kafka, with its own ticks.

    After an interruption, the same command resumes without gaps or duplicates.
    """
    settings = load_settings(config, bootstrap, given)
    request = Request(
        logs=tuple(logs),
        form=LogFormat(form, pairs(columns), pairs(kinds), kind),
        speed=speed_factor(speed),
        open_end=open_end,
        after_other_logs=after_other_logs,
        rejected=rejected,
    )
    require_topics(settings, (*SHOP_TOPICS, "ticks"))
    console = messages()
    with stopped_by_signals() as stop, progress_bars(console) as progress:
        summary = publish_log(settings, request, _Bars(progress), stop)
    console.print(summarized(summary, request), highlight=False)


class _Bars(Watcher):
    """Progress bars for reading and publishing."""

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
        until = f"{summary.until:%Y-%m-%d %H:%M}" if summary.until else ""
        note = f"{_rate(summary):,.0f} events/s, log time {until}"
        self._progress.update(self._publishing, completed=summary.events, note=note)


def summarized(summary: Summary, request: Request) -> str:
    """Summarize a publication in a few sentences."""
    passed = f"{summary.events:,} of {summary.total:,} events and {summary.ticks:,} ticks"
    sentences = [
        f"{passed} in {summary.seconds:,.1f} s ({_rate(summary):,.0f} events/s): {summary.sent:,} records sent"
    ]
    if summary.skipped:
        sentences[0] += f", {summary.skipped:,} already sent by an earlier run"
    if summary.rejected:
        kept = f"see {request.rejected}" if request.rejected else "use --rejected FILE to keep them"
        sentences.append(f"{summary.rejected:,} lines were rejected; {kept}")
    for field, words in summary.unknown_words.items():
        counted = ", ".join(f"{word} ({count:,})" for word, count in words.items())
        sentences.append(
            f"Unknown values of {field} count as other (docs/reference/events.md lists the known ones): {counted}"
        )
    if not summary.finished:
        until = f" at log time {summary.until:%Y-%m-%d %H:%M:%S}" if summary.until else ""
        sentences.append(f"Stopped{until}; run the same command to resume")
    sentences.append("To process the log, run workers with ticks.clock = log, a trainer and an allocator")
    return ". ".join(sentences) + "."


def _rate(summary: Summary) -> float:
    return summary.events / max(summary.seconds, 1e-3)
