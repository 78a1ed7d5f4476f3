"""The `stream-app publish` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
from stream_app.cli.output import messages
from stream_app.cli.progress import ProgressBars
from stream_app.config import SHOP_TOPICS
from stream_app.ingest import LogFormat
from stream_app.publish import Request, Summary, publish_log, speed_factor
from stream_app.services.runtime.signals import stopped_by_signals


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
    with stopped_by_signals() as stop, ProgressBars() as bars:

        def show(summary: Summary) -> None:
            until = f"{summary.until:%Y-%m-%d %H:%M}" if summary.until else ""
            note = f"{_rate(summary):,.0f} events/s, log time {until}"
            bars.show("Publishing", completed=summary.events, total=summary.total, note=note)

        summary = publish_log(
            settings, request, stop, lambda done: bars.show("Reading the log", completed=done.share), show
        )
    messages().print(summarized(summary, request), highlight=False)


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
