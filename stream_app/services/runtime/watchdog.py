"""Watchdog: ends a process that makes no progress while records are waiting. A supervisor then restarts it."""

from __future__ import annotations

import faulthandler
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from stream_app.core.stall import Progress, Stall
from stream_app.errors import Stalled

LOG_SECONDS: Final = 5.0  # timeout for logging the stacks: the disk may hang, or a thread that holds the logging lock
_CHECKS: Final = 10  # per stall timeout
_log = structlog.stdlib.get_logger(__name__)


class Watchdog(threading.Thread):
    """Checks progress from a separate thread, because the event loop itself may hang.

    Args:
        progress: returns the current progress; called from another thread, so it should only read prepared values.
        after: number of seconds without progress, despite lag, after which the process counts as stalled.
        end: called on a stall. By default the process exits at once, because a clean stop could hang too.
    """

    def __init__(
        self, progress: Callable[[], Progress], after: float, end: Callable[[Stalled], None] | None = None
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._progress = progress
        self._interval = after / _CHECKS
        self._stall = Stall(after, longest_look=2 * self._interval)
        self._end = end or end_process
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop checking. Call this before a graceful shutdown, which may be slow."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Check until stopped or the process has stalled."""
        while not self._stopped.wait(self._interval):
            progress = self._progress()
            if self._stall.stalled(time.monotonic(), progress):
                lag = "an unknown number of" if progress.lag is None else progress.lag
                self._end(Stalled(seconds=self._stall.still_seconds, lag=lag))
                return


def end_process(stalled: Stalled) -> None:
    """Log the stacks of all threads, then exit with the error's exit status, even if logging fails or hangs."""
    try:
        logging = threading.Thread(target=_log_stacks, args=(stalled,), daemon=True)
        logging.start()
        logging.join(LOG_SECONDS)
    finally:
        os._exit(stalled.exit_code)


def _log_stacks(stalled: Stalled) -> None:
    _log.critical("Stalled", problem=str(stalled), threads=thread_dump())


def thread_dump() -> str:
    """Return the stacks of all threads of this process."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file=file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")
