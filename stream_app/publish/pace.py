"""How fast a log is published: flat out, or so many times as fast as it happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event as Flag
from typing import Final

from stream_app.errors import BadOption

FLAT_OUT: Final = math.inf
_NAP_SECONDS: Final = 0.2  # how long a stop or an error of the broker may go unnoticed


def speed_factor(text: str) -> float:
    """The factor of a speed; raises BadOption.

    >>> speed_factor("1000x"), speed_factor("0.5"), speed_factor("max")
    (1000.0, 0.5, inf)
    """
    said = text.strip().lower()
    if said == "max":
        return FLAT_OUT
    try:
        factor = float(said.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < math.inf:
        raise BadOption(option="--speed", value=text, remedy="Write 1000x, or max.")
    return factor


class Pace:
    """Holds the publisher back until the log's own time has come. The first instant that is asked for comes at once."""

    def __init__(self, factor: float, stop: Flag, clock: Callable[[], float] = time.monotonic) -> None:
        self.flat_out = factor == FLAT_OUT
        self._factor, self._stop, self._clock = factor, stop, clock
        self._began: tuple[int, float] | None = None  # log time in microseconds, seconds of the clock

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Return when an instant of the log (microseconds) has come, or when all is to stop.

        meanwhile: is called now and then.
        """
        if self._began is None:
            self._began = at, self._clock()
        began_at, began = self._began
        due = began + (at - began_at) / self._factor / 1e6
        while (left := due - self._clock()) > 0 and not self._stop.is_set():
            meanwhile()
            self._stop.wait(min(left, _NAP_SECONDS))
