"""Processes of the demo. Each one logs to a file and is stopped when the demo ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from stream_app.demo import parent_death_guard
from stream_app.errors import DemoFailed

_STOP_SECONDS: Final = 4.0  # shared by all processes; their data is discarded anyway
_LAST_LINES: Final = 3
_LINE_LENGTH: Final = 300  # maximum characters of a quoted log line


class Processes:
    """The running processes, in the order in which they were started.

    Args:
        folder: folder for their logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Start a command in its own process group, which Ctrl-C does not reach."""
        guarded = [
            sys.executable,
            "-P",
            parent_death_guard.__file__,
            str(os.getpid()),
            *command,
        ]  # -P: modules in this folder must not shadow others
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - the demo's own command
                guarded, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, process_group=0
            )

    def check(self) -> None:
        """Raise DemoFailed if any process has exited."""
        for name, process in self._running.items():
            status = process.poll()
            if status is not None:
                raise self.failed(name, f"ended with status {status}")

    def failed(self, names: str, problem: str) -> DemoFailed:
        """Return a DemoFailed error for the named processes (comma-separated), with the last lines of their logs."""
        words = " / ".join(self._last_words(name) for name in names.split(", ")) or "none."
        return DemoFailed(part=names, problem=problem, words=words, folder=self._folder)

    def stop(self) -> None:
        """Stop all processes in reverse order of start: terminate them, and kill those that do not exit in time."""
        running = list(reversed(self._running.values()))
        self._running = {}
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(until - time.monotonic(), 0.05))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _last_words(self, name: str) -> str:
        lines = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(line[:_LINE_LENGTH] for line in lines[-_LAST_LINES:])
