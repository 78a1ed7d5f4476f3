"""State of one customer in the memory of a partition."""

from __future__ import annotations

from array import array
from typing import Final

import xxhash

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.alerts.sla import Target, UrgentCase
from stream_app.core.model.labels import Pending
from stream_app.core.state.counters import EMPTY_COUNTERS, Counters
from stream_app.core.state.vector import EMPTY, ID_RING, StateVector

# Bytes of a hashed event id. A new event is mistaken for one of 16 recent ones once in 2^40 / 16 = 69 billion events.
ID_BYTES: Final = 5
_ID_MASK: Final = (1 << 8 * ID_BYTES) - 1
_EMPTY: Final = EMPTY.tobytes()


class Customer:
    """A customer of a partition.

    Args:
        name: the customer id.
        index: in the ranking of the partition.
        vector: state vector, as bytes.
        ids: hashes of recent event ids, 8 bytes each, oldest first.
        counters: as bytes.
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
        self.waiting: list[Pending] = []  # decisions without a label, oldest first
        self.fresh = 0  # number of the latest decisions that were made on the present state vector
        self.due = 0  # time of the next decision, microseconds; 0: none
        self.alert: Alert | None = None
        self.cases: dict[Target, UrgentCase] = {}  # urgent cases on which the staff has worked
        self.bounces = False  # the current visit has one page view so far; not stored, for metrics only
        self.placed: bool | None = None  # whether the customer belongs to this partition; not stored; None: unknown
        self.packed: bytes | None = None  # the waiting decisions as stored; None: changed since

    def touch(self) -> None:
        """Mark the state vector as changed: what the models saw at earlier decisions can't be recomputed from it."""
        if self.fresh:
            self.fresh, self.packed = 0, None

    def is_duplicate(self, event_id: str) -> bool:
        """Return whether an event is among the recent ones, and remember it if not.

        Producers may send an event twice after a timeout.

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
