"""Reads a batch that the client library refuses, record by record: the good ones are records, the others are kept.

Slow, and only for bad batches. Every number is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from stream_app.core.messages.unreadable import Kept, Unreadable

# A producer refuses a record of more than 1 MiB before it packs it, unless told otherwise.
MAX_RECORD_BYTES: Final = 2 << 20
MAX_HEADERS: Final = 250_000  # of all records of a batch: each becomes an object
MAX_KEPT_BYTES: Final = 1 << 20  # no dead letter holds more
_NUMBER_BITS: Final = 63


class Record(NamedTuple):
    """A record as aiokafka's parser gives it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


def salvage(batch: Any, count: int, payload: memoryview) -> Iterator[Record | Unreadable]:
    """The records of a batch, in order of offset.

    Args:
        batch: aiokafka's batch, of which only the header is read.
        count: the number of records by its header.
        payload: the records, unpacked.
    """
    at, next_offset, room = 0, batch.base_offset, MAX_HEADERS
    gapless = count == batch.last_offset_delta + 1  # else compaction has removed records
    for _ in range(count):
        begin = at
        try:
            start, at = _bounds(payload, at)
        except (ValueError, IndexError) as error:
            yield _kept(batch, next_offset, payload[begin:], f"the batch breaks off: {error}")
            return
        one = _read(batch, next_offset, payload[start:at], room)
        room -= len(one.headers)
        if isinstance(one, Record) and not _is_in_place(one.offset, next_offset, batch.next_offset, gapless):
            reason = f"the record says it has offset {one.offset}, and stands where {next_offset} is next"
            one = Unreadable(Kept(next_offset, batch.max_timestamp, one.key, one.value, one.headers), reason)
        yield one
        next_offset = one.offset + 1


def longest(payload: memoryview, count: int) -> int:
    """The bytes of the longest record. Raises ValueError or IndexError if the records are not as long as they say."""
    at = found = 0
    for _ in range(count):
        start, at = _bounds(payload, at)
        found = max(found, at - start)
    return found


def _bounds(payload: memoryview, at: int) -> tuple[int, int]:
    """Where a record begins behind its length, and where it ends."""
    length, start = _number(payload, at)
    if not 0 <= length <= len(payload) - start:
        raise ValueError("a record is longer than the batch")
    return start, start + length


def _is_in_place(offset: int, next_offset: int, end: int, gapless: bool) -> bool:
    return offset == next_offset if gapless else next_offset <= offset < end


def _read(batch: Any, offset: int, body: memoryview, room: int) -> Record | Unreadable:
    """One record; `offset` stands for it if its own cannot be read."""
    if len(body) > MAX_RECORD_BYTES:
        return _kept(batch, offset, body, f"the record has {len(body)} bytes, more than {MAX_RECORD_BYTES}")
    try:
        record, is_utf8 = _parsed(batch, body, room)
    except (ValueError, IndexError) as error:
        return _kept(batch, offset, body, f"the record cannot be read: {error}")
    if is_utf8:
        return record
    kept = Kept(offset, record.timestamp, record.key, record.value, record.headers)
    return Unreadable(kept, "the name of a header is not UTF-8")


def _parsed(batch: Any, body: memoryview, room: int) -> tuple[Record, bool]:
    """The record, and whether the names of its headers are UTF-8."""
    _, at = _number(body, 0)  # attributes: none are in use
    timestamp_delta, at = _number(body, at)
    offset_delta, at = _number(body, at)
    key, at = _bytes(body, at)
    value, at = _bytes(body, at)
    count, at = _number(body, at)
    if not 0 <= count <= room:
        raise ValueError(f"it has {count} headers; the limit is {MAX_HEADERS} a batch")
    headers, is_utf8 = [], True
    for _ in range(count):
        name, at = _bytes(body, at)
        content, at = _bytes(body, at)
        if name is None:
            raise ValueError("a header has no name")
        told = name.decode(errors="replace")
        is_utf8 &= told.encode() == name
        headers.append((told, content))
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes are left")
    is_append_time = bool(batch.timestamp_type)
    timestamp = batch.max_timestamp if is_append_time else batch.first_timestamp + timestamp_delta
    return Record(batch.base_offset + offset_delta, timestamp, int(is_append_time), key, value, headers), is_utf8


def _kept(batch: Any, offset: int, body: memoryview, reason: str) -> Unreadable:
    return Unreadable(Kept(offset, batch.max_timestamp, None, bytes(body[:MAX_KEPT_BYTES])), reason)


def _bytes(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = _number(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise ValueError("a field is longer than the record")
    return bytes(data[at : at + length]), at + length


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """A zigzag number of variable length, and where it ends."""
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
        if shift > _NUMBER_BITS:
            raise ValueError("a number has no end")
