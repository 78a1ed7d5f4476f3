"""Which messages of Faust may be acknowledged: those whose records are in a stored commit."""

from __future__ import annotations

from collections import deque
from typing import Any

from faust.types import EventT
from faust.types.tuples import TP


class Acknowledgements:
    """Messages in the order of their arrival, held until what they carried is stored.

    Offsets committed to Kafka serve lag displays only, so nothing depends on them but that they never run ahead.
    """

    def __init__(self) -> None:
        self._held: dict[TP, deque[tuple[int, EventT[Any]]]] = {}

    def hold(self, tp: TP, end: int, event: EventT[Any]) -> None:
        """Hold a message whose records end before the offset `end`."""
        self._held.setdefault(tp, deque()).append((end, event))

    def release(self, tp: TP, position: int) -> None:
        """Acknowledge every message of a partition whose records all lie before a position."""
        held = self._held.get(tp)
        while held and held[0][0] <= position:
            held.popleft()[1].ack()

    def forget(self, keep: set[TP]) -> None:
        """Drop the messages of partitions that are somebody else's now."""
        for tp in set(self._held) - keep:
            del self._held[tp]
