"""Python's cyclic collector, kept from walking over every customer again and again.

By itself it looks at all live objects whenever their number has grown by a quarter: seconds of standstill at a million
customers, and a cost an event that grows with them. What we keep has no cycles; what asyncio leaves behind is young.
"""

from __future__ import annotations

import gc
from typing import Final

FULL_EVERY_SECONDS: Final = 3_600.0
YOUNG_EVERY_SECONDS: Final = 30.0  # most of what is young has gone by itself by then: at 0.5 this took 7 % of a worker
_YOUNG: Final = 1  # the generation up to which is collected every time


class Collector:
    """Collects what is young often, and everything once an hour."""

    def __init__(self, now: float) -> None:
        gc.disable()
        self._full_at = self._young_at = now

    def look(self, now: float) -> None:
        """Collect; `now` is seconds of a clock that never goes back. Called twice a second."""
        if now - self._full_at >= FULL_EVERY_SECONDS:
            gc.collect()
            self._full_at = now
        elif now - self._young_at >= YOUNG_EVERY_SECONDS:
            gc.collect(_YOUNG)
            self._young_at = now
