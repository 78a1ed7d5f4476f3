"""Base class of both benchmark runs: simulated logs and progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress

from benchmarks.simulated_logs import simulated
from stream_app.simulate import ShopSettings


class Bench:
    """Base class of a run of benchmarks.

    Args:
        logs: folder of the simulated logs.
        progress: where progress is shown.
    """

    def __init__(self, logs: Path, progress: Progress) -> None:
        self._logs, self._progress = logs, progress

    @contextmanager
    def _step(self, description: str) -> Iterator[None]:
        for _ in self._progress.track([None], description=description):
            yield

    def _rounds(self, description: str, count: int) -> Iterable[int]:
        return self._progress.track(range(count), description=description)

    def _log(self, name: str, settings: ShopSettings) -> Path:
        with self._step(f"Simulating {name}, {settings.customers:,} customers"):
            return simulated(self._logs, name, settings)
