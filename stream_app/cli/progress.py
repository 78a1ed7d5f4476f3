"""Progress bars for commands."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from stream_app.cli.output import messages


class ProgressBars(Progress):
    """Progress bars on standard error, one per task: percentage, elapsed time and a note."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=messages(),
        )
        self._by_label: dict[str, TaskID] = {}

    def show(self, label: str, **changes: Any) -> None:
        """Update `completed`, `total` (default 1.0) or `note` of a task. The first update adds the task."""
        if label not in self._by_label:
            self._by_label[label] = self.add_task(label, total=1.0, note="")
        self.update(self._by_label[label], **changes)
