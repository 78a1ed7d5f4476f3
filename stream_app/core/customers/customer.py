"""A customer in the working set of a partition."""

from __future__ import annotations

from array import array
from typing import Final

import xxhash

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.alerts.urgent_case import Target, UrgentCase
from stream_app.core.model.labels import Pending
from stream_app.core.state.counters import EMPTY_COUNTERS, Counters
from stream_app.core.state.vector import EMPTY, ID_RING, StateVector

# Of the hash of an event id. A new event is taken for one of 16 recent ones once in 2^40 / 16 = 69 billion events.
ID_BYTES: Final = 5
_ID_MASK: Final = (1 << 8 * ID_BYTES) - 1
_EMPTY: Final = EMPTY.tobytes()


class Customer:
    """All that a partition knows of one customer."""

    __slots__ = (
        *("alert", "bounces", "cases", "counters", "due", "fresh", "ids", "index", "name", "packed", "vector"),
        *("placed", "waiting"),
    )

    def __init__(
        self, name: str, index: int, vector: bytes = _EMPTY, ids: bytes = b"", counters: bytes = EMPTY_COUNTERS
    ) -> None:
        self.name = name
        self.index = index  # in the partition's ranking
        self.vector: StateVector[float] = array("d", vector)
        self.counters: Counters[int] = array("H", counters)
        self.ids = array("Q", ids)  # hashes of the recent event ids, oldest first
        self.waiting: list[Pending] = []  # decisions whose label is not known yet, oldest first
        self.fresh = 0  # of them, the latest so many were made on the facts as they still are
        self.due = 0  # the next decision, microseconds; 0: none
        self.alert: Alert | None = None
        self.cases: dict[Target, UrgentCase] = {}  # urgent ones on which the staff has worked
        self.bounces = False  # whether his present visit has had one page view so far; not stored, for metrics alone
        self.placed: bool | None = None  # whether he belongs to this partition; not stored; None: not looked at yet
        self.packed: bytes | None = None  # the waiting decisions as they are stored; None: they have changed since

    def touch(self) -> None:
        """Say that the facts change: what the models saw of earlier decisions does not follow from them any more."""
        if self.fresh:
            self.fresh, self.packed = 0, None

    def is_duplicate(self, event_id: str) -> bool:
        """Whether an event is among the recent ones, noting it if not: producers send events twice after a timeout.

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
