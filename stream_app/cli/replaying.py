"""`stream-app replay` as people see it: a progress bar, then the summary."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from stream_app.ingest import Progress as Reading
from stream_app.replay.session import Request, Watcher, check_rejected, replay_log
from stream_app.report.terminal import summary

_WORDS = {
    "en": {"read": "Reading the log", "replay": "Replaying", "write": "Writing", "decisions": "decisions"},
    "zh": {"read": "读取日志", "replay": "回放", "write": "写入", "decisions": "次判断"},
}


class _Bars(Watcher):
    """Progress bars."""

    def __init__(self, progress: Progress, lang: str) -> None:
        self._progress, self._words = progress, _WORDS[lang]
        self._reading: TaskID | None = None
        self._replaying: TaskID | None = None

    def reading(self, progress: Reading) -> None:
        if self._reading is None:
            self._reading = self._progress.add_task(self._words["read"], total=1000, note="")
        self._progress.update(self._reading, completed=round(progress.share * 1000))

    def replaying(self, events: int, of: int, decisions: int) -> None:
        if self._replaying is None:
            self._replaying = self._progress.add_task(self._words["replay"], total=of, note="")
        note = f"{decisions:,} {self._words['decisions']}"
        self._progress.update(self._replaying, completed=events, note=note)

    def writing(self, what: str) -> None:
        if self._replaying is not None:
            self._progress.update(self._replaying, note=f"{self._words['write']} {what}")


def run_replay(request: Request, console: Console) -> None:
    """Replay, and show the summary; too many rejected lines are an error only after it."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        figures, log_summary = replay_log(request, _Bars(progress, request.lang))
    console.print(summary(figures, request.lang, request.out / "report.html"))
    check_rejected(request, log_summary)
