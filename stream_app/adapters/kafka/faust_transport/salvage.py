"""Record-by-record reader for batches that the client library rejects.

It returns the readable records and keeps the bytes of the others. It is slow and only used for malformed batches. Every
number is validated before use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.core.messages.unreadable import Unreadable

# By default producers reject records larger than 1 MiB before compression.
MAX_RECORD_BYTES: Final = 2 << 20
MAX_HEADERS: Final = 250_000  # per batch; each header becomes an object
MAX_KEPT_BYTES: Final = 1 << 20  # limit of a dead letter
_NUMBER_BITS: Final = 63


def salvage(tp: TP, batch: Any, count: int, payload: memoryview) -> Iterator[ConsumerRecord | Unreadable]:
    """Yield the records of a batch in order of offset.

    Args:
        tp: partition.
        batch: aiokafka's batch; only its header is used.
        count: number of records according to the header.
        payload: decompressed records.
    """
    at, next_offset, room = 0, batch.base_offset, MAX_HEADERS
    gapless = count == batch.last_offset_delta + 1  # otherwise compaction may have removed records
    for _ in range(count):
        begin = at
        try:
            start, at = _bounds(payload, at)
        except (ValueError, IndexError) as error:
            yield _kept(batch, next_offset, payload[begin:], f"the batch is truncated: {error}")
            return
        one = _read(tp, batch, next_offset, payload[start:at], room)
        room -= len(one.headers)
        in_place = one.offset == next_offset if gapless else next_offset <= one.offset < batch.next_offset
        if isinstance(one, ConsumerRecord) and not in_place:
            reason = f"the record has offset {one.offset} where {next_offset} is expected"
            one = Unreadable(next_offset, batch.max_timestamp, one.key, one.value, reason, one.headers)
        yield one
        next_offset = one.offset + 1


def longest(payload: memoryview, count: int) -> int:
    """Return the size of the longest record. Raises ValueError or IndexError if a record length is wrong."""
    at = found = 0
    for _ in range(count):
        start, at = _bounds(payload, at)
        found = max(found, at - start)
    return found


def _bounds(payload: memoryview, at: int) -> tuple[int, int]:
    """Return the positions at which the body of a record starts and ends."""
    length, start = _number(payload, at)
    if not 0 <= length <= len(payload) - start:
        raise ValueError("a record is longer than the batch")
    return start, start + length


def _read(tp: TP, batch: Any, offset: int, body: memoryview, room: int) -> ConsumerRecord | Unreadable:
    """Parse and return one record, or an Unreadable with the given `offset` if the record's own cannot be read."""
    if len(body) > MAX_RECORD_BYTES:
        return _kept(batch, offset, body, f"the record has {len(body)} bytes, more than {MAX_RECORD_BYTES}")
    try:
        record, is_utf8 = _parsed(tp, batch, body, room)
    except (ValueError, IndexError) as error:
        return _kept(batch, offset, body, f"the record cannot be read: {error}")
    if is_utf8:
        return record
    reason = "the name of a header is not UTF-8"
    return Unreadable(offset, record.timestamp, record.key, record.value, reason, record.headers)


def _parsed(tp: TP, batch: Any, body: memoryview, room: int) -> tuple[ConsumerRecord, bool]:
    """Parse a record. Return it, and whether its header names are UTF-8."""
    _, at = _number(body, 0)  # attributes: unused
    timestamp_delta, at = _number(body, at)
    offset_delta, at = _number(body, at)
    key, at = _bytes(body, at)
    value, at = _bytes(body, at)
    count, at = _number(body, at)
    if not 0 <= count <= room:
        raise ValueError(f"it has {count} headers; the limit is {MAX_HEADERS} per batch")
    headers, is_utf8 = [], True
    for _ in range(count):
        name, at = _bytes(body, at)
        content, at = _bytes(body, at)
        if name is None:
            raise ValueError("a header has no name")
        text = name.decode(errors="replace")
        is_utf8 &= text.encode() == name
        headers.append((text, content))
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes are left")
    is_append_time = bool(batch.timestamp_type)
    timestamp = batch.max_timestamp if is_append_time else batch.first_timestamp + timestamp_delta
    record = ConsumerRecord(
        tp.topic,
        tp.partition,
        batch.base_offset + offset_delta,
        timestamp,
        int(is_append_time),
        key,
        value,
        None,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        tuple(headers),
    )
    return record, is_utf8


def _kept(batch: Any, offset: int, body: memoryview, reason: str) -> Unreadable:
    return Unreadable(offset, batch.max_timestamp, None, bytes(body[:MAX_KEPT_BYTES]), reason)


def _bytes(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = _number(data, at)
    if length < 0:
        return None, at
    if length > len(data) - at:
        raise ValueError("a field is longer than the record")
    return bytes(data[at : at + length]), at + length


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """Return a zigzag varint and the position after it."""
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
