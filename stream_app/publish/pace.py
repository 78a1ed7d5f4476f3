"""Pace of publishing: as fast as possible, or a multiple of real time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event as Flag
from typing import Final

from stream_app.errors import BadOption

FLAT_OUT: Final = math.inf
_NAP_SECONDS: Final = 0.2  # longest delay in noticing a stop or a broker error


def speed_factor(text: str) -> float:
    """Return the factor of a speed. Raises BadOption.

    >>> speed_factor("1000x"), speed_factor("0.5"), speed_factor("max")
    (1000.0, 0.5, inf)
    """
    speed = text.strip().lower()
    if speed == "max":
        return FLAT_OUT
    try:
        factor = float(speed.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < math.inf:
        raise BadOption(option="--speed", value=text, remedy="Use a form like 1000x, or max.")
    return factor


class Pace:
    """Pace relative to the first time asked for, which is never delayed."""

    def __init__(self, factor: float, stop: Flag, clock: Callable[[], float] = time.monotonic) -> None:
        self.flat_out = factor == FLAT_OUT
        self._factor, self._stop, self._clock = factor, stop, clock
        self._began: tuple[int, float] | None = None  # log time (microseconds) and clock (seconds)

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Wait until a time of the log (microseconds) or a stop; call `meanwhile` regularly."""
        if self._began is None:
            self._began = at, self._clock()
        began_at, began = self._began
        due = began + (at - began_at) / self._factor / 1e6
        while (left := due - self._clock()) > 0 and not self._stop.is_set():
            meanwhile()
            self._stop.wait(min(left, _NAP_SECONDS))
