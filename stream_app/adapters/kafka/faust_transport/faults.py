"""When a batch that cannot be read is skipped, and when there are too many of them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from faust.types import TP

from stream_app.errors import TooManyUnreadable

MOST: Final = 100  # batches that are skipped
WITHIN_SECONDS: Final = 600.0
_log = logging.getLogger(__name__)


class Faults:
    """The bad batches of a process.

    Args:
        skipped: called for each batch that is skipped.
        clock: seconds that only grow.
    """

    def __init__(self, skipped: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._skipped, self._clock = skipped, clock
        self._seen: dict[TP, tuple[int, str]] = {}
        self._times: deque[float] = deque(maxlen=MOST + 1)

    def is_lasting(self, tp: TP, first: int, problem: str) -> bool:
        """Whether a batch fails for the second time in the same way: then its bytes are wrong in Kafka itself."""
        fault = (first, problem)
        if self._seen.get(tp) == fault:
            del self._seen[tp]
            return True
        self._seen[tp] = fault
        return False

    def skip(self, tp: TP, first: int, last: int, problem: str) -> None:
        """Note that a batch is skipped. Raises TooManyUnreadable if there have been too many."""
        place = {"topic": tp.topic, "partition": tp.partition, "first": first, "last": last}
        now = self._clock()
        self._times.append(now)
        if len(self._times) > MOST and now - self._times[0] <= WITHIN_SECONDS:
            raise TooManyUnreadable(**place, limit=MOST, minutes=WITHIN_SECONDS / 60, problem=problem)
        _log.warning("a record batch cannot be read and is skipped", extra={**place, "problem": problem})
        self._skipped()
