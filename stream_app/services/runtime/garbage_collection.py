"""Runs Python's cyclic garbage collector on a schedule, so that it does not keep rescanning all customers.

By default a full collection runs whenever the number of objects has grown by a quarter, which pauses a process with a
million customers for seconds. Customer states have no cycles, and the cycles that asyncio creates are short-lived.
"""

from __future__ import annotations

import gc
from typing import Final

FULL_EVERY_SECONDS: Final = 3_600.0
YOUNG_EVERY_SECONDS: Final = 30.0  # reference counting frees most objects; every 0.5 s took 7 % of a worker's time
_YOUNG: Final = 1  # generation


class Collector:
    """Collects young objects often and everything once per hour. Disables automatic collection."""

    def __init__(self, now: float) -> None:
        gc.disable()
        self._full_at = self._young_at = now

    def collect(self, now: float) -> None:
        """Collect if it is time; `now` is monotonic seconds. Called twice per second."""
        if now - self._full_at >= FULL_EVERY_SECONDS:
            gc.collect()
            self._full_at = now
        elif now - self._young_at >= YOUNG_EVERY_SECONDS:
            gc.collect(_YOUNG)
            self._young_at = now
