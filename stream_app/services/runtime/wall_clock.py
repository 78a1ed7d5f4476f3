"""The wall clock in the unit of all times."""

from __future__ import annotations

import time

from stream_app.core.units import MICROSECOND_NS


def now_us() -> int:
    """Return the wall-clock time in microseconds since the Unix epoch."""
    return time.time_ns() // MICROSECOND_NS
