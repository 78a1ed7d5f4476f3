"""Pace at which a log is published: as fast as possible, or a multiple of real time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event as Flag
from typing import Final

from stream_app.core.units import SECOND_US
from stream_app.errors import BadOption

FLAT_OUT: Final = math.inf
_NAP_SECONDS: Final = 0.2  # maximum time until a stop or a broker error is noticed


def speed_factor(text: str) -> float:
    """Parse a speed such as `1000x` or `max` and return its factor. Raises BadOption.

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
        raise BadOption(option="--speed", value=text, remedy="Write 1000x, or max.")
    return factor


class Pace:
    """Delays a publication to a multiple of the log's pace. The first event time is due immediately.

    Args:
        factor: speed, or FLAT_OUT.
        stop: flag that ends all waiting.
        clock: returns monotonic seconds.
    """

    def __init__(self, factor: float, stop: Flag, clock: Callable[[], float] = time.monotonic) -> None:
        self.flat_out = factor == FLAT_OUT
        self._factor, self._stop, self._clock = factor, stop, clock
        self._began: tuple[int, float] | None = None  # event time in microseconds, clock in seconds

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Wait until an event time (microseconds) is due or `stop` is set, calling `meanwhile` periodically."""
        while (left := self.left(at)) > 0 and not self._stop.is_set():
            meanwhile()
            self._stop.wait(min(left, _NAP_SECONDS))

    def left(self, at: int) -> float:
        """Return the number of seconds until an event time (microseconds) is due."""
        if self._began is None:
            self._began = at, self._clock()
        began_at, began = self._began
        return began + (at - began_at) / self._factor / SECOND_US - self._clock()
