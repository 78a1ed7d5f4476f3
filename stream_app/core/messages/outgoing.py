"""Outbox records: the records that a partition has to produce, and their sequence numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeVar

import msgspec

# Bytes of a record with key and headers. Brokers accept batches of 1 MiB by default, or 1,000,012 bytes in old
# versions.
MAX_RECORD_BYTES: Final = 900_000
SEQUENCE: Final = "sequence"  # header of relayed records
MOST_REPEATED: Final = 100_000  # number of records; many times the size of an outbox
_SEQUENCE_DIGITS: Final = 15  # enough for 1,000 records per second over 30,000 years
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, lt=10**_SEQUENCE_DIGITS)]


class Outgoing(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """An outbox record: a value to produce, and its destination."""

    topic: str  # role of the topic: labelled, nominations, scores, alerts, control or dead_letters
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []

    @property
    def payload(self) -> bytes:
        """Value of the record. Only dead letters may have None."""
        return self.value or b""

    @property
    def size(self) -> int:
        """Size of key, value and headers on the wire in bytes, rounded up."""
        parts = len(self.key or b"") + len(self.value or b"") + RECORD_OVERHEAD
        return parts + sum(map(header_bytes, self.headers))


RECORD_OVERHEAD: Final = 200  # bytes per record in addition to key, value and headers, including its batch


def header_bytes(header: tuple[str, bytes | None]) -> int:
    """Return the wire size of a header in bytes, rounded up. Each of its two length fields takes at most 5 bytes.

    >>> header_bytes(("trace", b"12"))
    17
    """
    name, value = header
    return len(name.encode("utf-8", "surrogatepass")) + len(value or b"") + 10


pack: Final[Callable[[msgspec.Struct], bytes]] = msgspec.msgpack.Encoder().encode
_MessageT = TypeVar("_MessageT")


def sequence_of(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return the sequence number of a relayed record, or 0 for a record from another producer.

    >>> sequence_of([("sequence", b"7")]), sequence_of([("sequence", b"abc")]), sequence_of([])
    (7, 0, 0)
    """
    value = dict(headers).get(SEQUENCE) or b""
    return int(value) if value.isdigit() and len(value) <= _SEQUENCE_DIGITS else 0


def is_duplicate(sequence: int, highest: int) -> bool:
    """Return whether a record is a duplicate, given its sequence number and the highest one received so far.

    After a crash, a relay resends its pending records, a few thousand at most. If the highest number is further ahead
    than that, it is invalid, and trusting it would drop all records of the partition.

    >>> is_duplicate(7, 7), is_duplicate(8, 7), is_duplicate(8, 999_999_999)
    (True, False, False)
    """
    return highest - MOST_REPEATED < sequence <= highest


def unpack(value: bytes, kind: type[_MessageT]) -> _MessageT:
    """Decode a message encoded by `pack`. Raise msgspec.MsgspecError for other bytes."""
    return msgspec.msgpack.decode(value, type=kind)
