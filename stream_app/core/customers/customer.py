"""State of one customer, as held in memory by a partition."""

from __future__ import annotations

from array import array
from typing import Final

import msgspec
import xxhash

from stream_app.core.alerts.contact_history import ContactHistory
from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.alerts.sla import CaseKey, UrgentCase
from stream_app.core.model.labels import Pending
from stream_app.core.state.counters import EMPTY_COUNTERS, Counters
from stream_app.core.state.order_amounts import OrderAmounts
from stream_app.core.state.vector import ID_RING, StateVector, new_vector
from stream_app.core.uplift.holdout import FirstDraw

# Bytes of a hashed event id. A new event collides with one of 16 recent ones once in 2^40 / 16 = 69 billion events.
ID_BYTES: Final = 5
_IDS_BYTES: Final = ID_BYTES * ID_RING


class Customer(msgspec.Struct, eq=False, gc=False):
    """A customer of a partition. Customers have no cycles, so the garbage collector does not track them."""

    name: str  # customer id
    index: int  # index in the partition's ranking
    vector: StateVector[float] = msgspec.field(default_factory=new_vector)
    ids: bytes = b""  # hashes of recent event ids, ID_BYTES each, oldest first
    counters: Counters[int] = msgspec.field(default_factory=lambda: array("H", EMPTY_COUNTERS))
    waiting: list[Pending] = msgspec.field(default_factory=list)  # unlabelled decisions, oldest first
    fresh: int = 0  # how many of the latest decisions were made on the current state vector
    due: int = 0  # time of the next decision, microseconds; 0: none
    alert: Alert | None = None
    consent: int = 0  # see consent.py
    history: ContactHistory | None = None  # our contacts; kept only if calls are planned
    draw: FirstDraw | None = None  # in the latest holdout experiment
    amounts: OrderAmounts | None = None  # of the latest orders; kept only if calls are planned
    bounces: bool = False  # whether the current visit has only one page view so far; for metrics, not stored
    placed: bool | None = None  # whether the customer belongs to this partition; not stored; None: unknown
    packed: bytes | None = None  # encoded waiting decisions; None: they have changed
    _cases: dict[CaseKey, UrgentCase] | None = None  # few customers have any

    @property
    def has_cases(self) -> bool:
        """Whether the customer has urgent cases."""
        return bool(self._cases)

    @property
    def cases(self) -> dict[CaseKey, UrgentCase]:
        """Urgent cases; see `sla_watch.py`. Created when first used."""
        if self._cases is None:
            self._cases = {}
        return self._cases

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
        try:
            digest = xxhash.xxh3_64_digest(event_id)  # of its UTF-8
        except UnicodeEncodeError:
            digest = xxhash.xxh3_64_digest(event_id.encode("utf-8", "surrogatepass"))
        key = digest[: -ID_BYTES - 1 : -1]  # the low bytes, lowest first
        place = self.ids.find(key)
        while place > 0 and place % ID_BYTES:  # parts of two hashes
            place = self.ids.find(key, place + 1)
        if place >= 0:
            return True
        self.ids = (self.ids + key)[-_IDS_BYTES:]
        return False
