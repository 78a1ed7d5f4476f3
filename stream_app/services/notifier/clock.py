"""The clock of the deliverer: the core is told what it says."""

from __future__ import annotations

import time


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000
