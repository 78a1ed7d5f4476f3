"""A customer in the working set of a partition, and the codec of what is stored of him."""

from __future__ import annotations

import struct
from array import array
from typing import Final

import xxhash

from stream_app.core.alerts import Episode
from stream_app.core.labels import Pending
from stream_app.core.state import EMPTY, ID_RING, SLOTS, Facts, new_facts
from stream_app.errors import UnusableState

VERSION: Final = 1
_HEADER: Final = struct.Struct("<BBB")  # version, number of facts, number of recent ids
_BITMAP_BYTES: Final = (len(SLOTS) + 7) // 8
MAX_BYTES: Final = _HEADER.size + _BITMAP_BYTES + 8 * len(SLOTS) + 8 * ID_RING  # of an encoded state


class Customer:
    """All that a partition knows of one customer."""

    __slots__ = ("due", "episode", "facts", "fresh", "ids", "index", "name", "waiting")

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index  # in the partition's ranking
        self.facts: Facts[float] = new_facts()
        self.ids = array("Q")  # hashes of the recent event ids, oldest first
        self.waiting: list[Pending] = []  # decisions whose label is not known yet, oldest first
        self.fresh = 0  # of them, the latest so many were made on the facts as they still are
        self.due = 0  # the next decision, microseconds; 0: none
        self.episode: Episode | None = None

    def saw(self, event_id: str) -> bool:
        """Whether an event is among the recent ones, noting it if not: producers send events twice after a timeout."""
        key = xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass"))
        if key in self.ids:
            return True
        self.ids.append(key)
        if len(self.ids) > ID_RING:
            del self.ids[0]
        return False


def encode_state(facts: Facts[float], ids: array[int]) -> bytes:
    """Facts and recent ids as bytes: a bitmap of the facts that differ from an empty state, then their values.

    At most MAX_BYTES long, whatever the customer did; `decode_state(encode_state(facts, ids)) == (facts, ids)`.
    """
    present = [value != empty for value, empty in zip(facts, EMPTY, strict=True)]
    bitmap = sum(1 << place for place, there in enumerate(present) if there)
    values = array("d", (value for value, there in zip(facts, present, strict=True) if there))
    header = _HEADER.pack(VERSION, len(SLOTS), len(ids))
    return header + bitmap.to_bytes(_BITMAP_BYTES, "little") + _little(values) + _little(ids)


def decode_state(stored: bytes) -> tuple[Facts[float], array[int]]:
    """The facts and recent ids of an encoded state; raises UnusableState for a torn, foreign or newer one."""
    if len(stored) < _HEADER.size + _BITMAP_BYTES:
        raise UnusableState(problem=f"it is {len(stored)} bytes long", remedy=_REMEDY)
    version, slots, ids = _HEADER.unpack_from(stored)
    if (version, slots) != (VERSION, len(SLOTS)) or ids > ID_RING:
        raise UnusableState(problem=f"it has version {version} with {slots} facts and {ids} ids", remedy=_REMEDY)
    start = _HEADER.size + _BITMAP_BYTES
    bitmap = int.from_bytes(stored[_HEADER.size : start], "little")
    places = [place for place in range(len(SLOTS)) if bitmap >> place & 1]
    end = start + 8 * len(places)
    if bitmap >> len(SLOTS):
        raise UnusableState(problem="it has facts that nobody knows", remedy=_REMEDY)
    if len(stored) != end + 8 * ids:
        raise UnusableState(problem=f"it is {len(stored)} bytes long, not {end + 8 * ids}", remedy=_REMEDY)
    facts = new_facts()
    for place, value in zip(places, struct.unpack(f"<{len(places)}d", stored[start:end]), strict=True):
        facts[place] = value
    return facts, array("Q", struct.unpack(f"<{ids}Q", stored[end:]))


_REMEDY: Final = f"This program reads version {VERSION} with {len(SLOTS)} facts: use the program that wrote it."


def _little(values: array[float] | array[int]) -> bytes:
    return struct.pack(f"<{len(values)}{values.typecode}", *values)
