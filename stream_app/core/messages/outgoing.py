"""Records of the outbox: what a partition has to produce, and the sequence number that each carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, TypeVar

import msgspec

# Bytes of a record with key and headers. Brokers accept a batch of 1 MiB by default, older ones 1,000,012 bytes.
MAX_RECORD_BYTES: Final = 900_000
SEQUENCE: Final = "sequence"  # the header of a relayed record
MOST_REPEATED: Final = 100_000  # records; many times what an outbox holds
_SEQUENCE_DIGITS: Final = 15  # enough for 1,000 records per second over 30,000 years
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, lt=10**_SEQUENCE_DIGITS)]


class Outgoing(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A record of the outbox: a value to produce, and its destination."""

    topic: str  # the role of the topic: labelled, nominations, scores, alerts, contacts, dead_letters
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []

    @property
    def payload(self) -> bytes:
        """Value of the record; only a dead letter may have none."""
        return self.value or b""

    @property
    def size(self) -> int:
        """Size on the wire in bytes, rounded up: key, value and headers."""
        parts = len(self.key or b"") + len(self.value or b"") + RECORD_OVERHEAD
        return parts + sum(map(header_bytes, self.headers))


RECORD_OVERHEAD: Final = 200  # bytes per record in addition to key, value and headers, including its batch


def header_bytes(header: tuple[str, bytes | None]) -> int:
    """Return the size of a header on the wire in bytes, rounded up; its two length fields take at most 5 bytes each.

    >>> header_bytes(("trace", b"12"))
    17
    """
    name, value = header
    return len(name.encode("utf-8", "surrogatepass")) + len(value or b"") + 10


_packer: Final = msgspec.msgpack.Encoder()
_MessageT = TypeVar("_MessageT")


def pack(message: msgspec.Struct) -> bytes:
    """Return a message as MessagePack."""
    return _packer.encode(message)


def sequence_of(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return the sequence number of a relayed record, 0 for a record of another producer.

    >>> sequence_of([("sequence", b"7")]), sequence_of([("sequence", b"abc")]), sequence_of([])
    (7, 0, 0)
    """
    value = dict(headers).get(SEQUENCE) or b""
    return int(value) if value.isdigit() and len(value) <= _SEQUENCE_DIGITS else 0


def is_duplicate(sequence: int, highest: int) -> bool:
    """Return whether a record was received before, by its sequence number and the highest one so far.

    After a crash a relay repeats what was pending, some thousand records. If the highest number is further ahead, it is
    invalid: trusting it would drop all records of the partition.

    >>> is_duplicate(7, 7), is_duplicate(8, 7), is_duplicate(8, 999_999_999)
    (True, False, False)
    """
    return highest - MOST_REPEATED < sequence <= highest


def unpack(value: bytes, kind: type[_MessageT]) -> _MessageT:
    """Return the message that `pack` encoded. Raise msgspec.MsgspecError for other bytes."""
    return msgspec.msgpack.decode(value, type=kind)
