"""Records that a service cannot use: counted, logged and passed over. They stay in Kafka, at the logged offset."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from faust.types.tuples import TP

from stream_app.core.events import Rejected
from stream_app.metrics import SkippedMetrics

_LINES: Final = 10  # of the log in a minute; a topic full of foreign records must not fill the disk
_MINUTE: Final = 60.0  # seconds
_REASON_CHARS: Final = 300
_log = logging.getLogger(__name__)


class Skipped:
    """What a service has passed over.

    Args:
        metrics: of the process.
        role: of the topic.
        clock: seconds that never go back.
    """

    def __init__(self, metrics: SkippedMetrics, role: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._clock = metrics.records.labels(role), clock
        self._since = clock()
        self._lines = self._unlogged = 0

    def note(self, tp: TP, offset: int, rejected: Rejected) -> None:
        """Count a record, and log it unless many were logged within the last minute."""
        self._count.inc()
        now = self._clock()
        if now - self._since >= _MINUTE:
            self._since, self._lines = now, 0
        if self._lines >= _LINES:
            self._unlogged += 1
            return
        self._lines += 1
        place = {"topic": tp.topic, "partition": tp.partition, "offset": offset}
        why = {"reason": rejected.reason[:_REASON_CHARS], "field": rejected.field[:_REASON_CHARS]}
        _log.warning("record skipped", extra=place | why | {"unlogged": self._unlogged})
        self._unlogged = 0
