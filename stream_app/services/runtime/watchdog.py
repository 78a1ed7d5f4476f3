"""Ends a process that stands still while work is waiting, so that its supervisor starts it anew."""

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

LAST_WORDS_SECONDS: Final = 5.0  # a thread that hangs with the log's lock in its hands must not keep the process alive
_LOOKS: Final = 10  # in the time that is too long
_log = structlog.stdlib.get_logger(__name__)


class Watchdog:
    """Looks at the progress from a thread of its own, since the event loop may be what hangs.

    Args:
        progress: how far the process is; called from the thread, so it should only read what the loop has put there.
        after: seconds without a move, while there is lag, that are too long.
        end: what to do then; by default the process is gone at once, without a clean stop that could hang too.
    """

    def __init__(
        self, progress: Callable[[], Progress], after: float, end: Callable[[Stalled], None] | None = None
    ) -> None:
        self._progress = progress
        self._interval = after / _LOOKS
        self._stall = Stall(after, longest_look=2 * self._interval)
        self._end = end or end_process
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a graceful stop takes its time."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            progress = self._progress()
            if self._stall.stalled(time.monotonic(), progress):
                lag = "an unknown number of" if progress.lag is None else progress.lag
                self._end(Stalled(seconds=self._stall.still_seconds, lag=lag))
                return


def end_process(stalled: Stalled) -> None:
    """Log what every thread is doing, then leave at once with the exit status of the error."""
    last_words = threading.Thread(target=_tell, args=(stalled,), daemon=True)
    last_words.start()
    last_words.join(LAST_WORDS_SECONDS)
    os._exit(stalled.exit_code)


def _tell(stalled: Stalled) -> None:
    _log.critical("stalled", problem=str(stalled), threads=thread_dump())


def thread_dump() -> str:
    """Where every thread of this process is, as text."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file=file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")
