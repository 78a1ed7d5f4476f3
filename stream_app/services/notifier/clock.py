"""Wall clock of the notifier; the core gets the time as an argument."""

from __future__ import annotations

import time


def now_us() -> int:
    """Return the wall-clock time in microseconds since 1970."""
    return time.time_ns() // 1_000
