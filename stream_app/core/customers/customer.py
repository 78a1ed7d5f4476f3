"""State of one customer, as held in memory by a partition."""

from __future__ import annotations

from array import array
from typing import Final

import xxhash

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.alerts.sla import Target, UrgentCase
from stream_app.core.model.labels import Pending
from stream_app.core.state.counters import EMPTY_COUNTERS, Counters
from stream_app.core.state.vector import EMPTY, ID_RING, StateVector

# Bytes of a hashed event id. A new event collides with one of 16 recent ones once in 2^40 / 16 = 69 billion events.
ID_BYTES: Final = 5
_ID_MASK: Final = (1 << 8 * ID_BYTES) - 1
_EMPTY: Final = EMPTY.tobytes()


class Customer:
    """A customer of a partition.

    Args:
        name: the customer id.
        index: index in the partition's ranking.
        vector: the state vector as bytes.
        ids: hashes of recent event ids, 8 bytes each, oldest first.
        counters: the counters as bytes.
    """

    __slots__ = (
        *("alert", "bounces", "cases", "counters", "due", "fresh", "ids", "index", "name", "packed", "vector"),
        *("placed", "waiting"),
    )

    def __init__(
        self, name: str, index: int, vector: bytes = _EMPTY, ids: bytes = b"", counters: bytes = EMPTY_COUNTERS
    ) -> None:
        self.name = name
        self.index = index
        self.vector: StateVector[float] = array("d", vector)
        self.counters: Counters[int] = array("H", counters)
        self.ids = array("Q", ids)
        self.waiting: list[Pending] = []  # unlabelled decisions, oldest first
        self.fresh = 0  # how many of the latest decisions were made on the current state vector
        self.due = 0  # time of the next decision, microseconds; 0: none
        self.alert: Alert | None = None
        self.cases: dict[Target, UrgentCase] = {}  # urgent cases that the staff has worked on
        self.bounces = False  # whether the current visit has only one page view so far; for metrics, not stored
        self.placed: bool | None = None  # whether the customer belongs to this partition; not stored; None: unknown
        self.packed: bytes | None = None  # encoded waiting decisions; None: they have changed

    def touch(self) -> None:
        """Mark the state vector as changed, so that features of earlier decisions are stored and not recomputed."""
        if self.fresh:
            self.fresh, self.packed = 0, None

    def is_duplicate(self, event_id: str) -> bool:
        """Return whether an event is one of the recent events; if not, record it.

        After a timeout, producers may send the same event again.

        >>> customer = Customer("c1", 0)
        >>> customer.is_duplicate("e1"), customer.is_duplicate("e1")
        (False, True)
        """
        key = xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass")) & _ID_MASK
        if key in self.ids:
            return True
        self.ids.append(key)
        if len(self.ids) > ID_RING:
            del self.ids[0]
        return False
