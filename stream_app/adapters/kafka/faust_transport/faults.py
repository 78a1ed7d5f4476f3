"""Policy for unreadable batches: when to skip one, and when there are too many."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from faust.types import TP

from stream_app.errors import TooManyUnreadable

MOST: Final = 100  # skipped batches
WITHIN_SECONDS: Final = 600.0
_log = logging.getLogger(__name__)


class Faults:
    """Keeps track of the unreadable batches that a process encounters.

    Args:
        skipped: called for each skipped batch.
        clock: returns monotonic seconds.
    """

    def __init__(self, skipped: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._skipped, self._clock = skipped, clock
        self._seen: dict[TP, tuple[int, str]] = {}
        self._times: deque[float] = deque(maxlen=MOST + 1)

    def is_lasting(self, tp: TP, first: int, problem: str) -> bool:
        """Return whether a batch has failed twice in the same way, which means that its bytes in Kafka are at fault."""
        lasting = self._seen.pop(tp, None) == (first, problem)
        if not lasting:
            self._seen[tp] = first, problem
        return lasting

    def skip(self, tp: TP, first: int, last: int, problem: str) -> None:
        """Record a skipped batch. Raises TooManyUnreadable if the limit is exceeded."""
        place = {"topic": tp.topic, "partition": tp.partition, "first": first, "last": last}
        now = self._clock()
        self._times.append(now)
        if len(self._times) > MOST and now - self._times[0] <= WITHIN_SECONDS:
            raise TooManyUnreadable(**place, limit=MOST, minutes=WITHIN_SECONDS / 60, problem=problem)
        _log.warning("Unreadable record batch skipped", extra={**place, "problem": problem})
        self._skipped()
