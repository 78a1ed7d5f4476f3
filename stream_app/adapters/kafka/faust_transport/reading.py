"""Parses record batches with aiokafka's parser, within memory limits."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.salvage import MAX_HEADERS, MAX_RECORD_BYTES, longest
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
from stream_app.core.messages.dead_letters import Record

# Events have unique ids, so 1 MiB never holds this many, however well they compress. Each record becomes an object of
# a few hundred bytes, and a batch that decompresses to 32 MiB could hold 4,000,000 records of 7 bytes.
MAX_RECORDS: Final = 100_000

LOG_HEADER_BYTES: Final = 12  # size of the log header: base offset and length of the rest
MAGIC_AT: Final = 16  # byte position of the format version
HEADER_BYTES: Final = 61
_ATTRIBUTES_AT: Final = 22  # byte position of the codec
_COUNT: Final = struct.Struct(">57xi")  # reads the number of records
_LEGACY_BYTES: Final = 26  # size of the smallest batch
_LEGACY_ATTRIBUTES_AT: Final = 17
_CODEC: Final = 7  # mask of the codec in the attributes


class Fault(ValueError):
    """The bytes of a batch are malformed."""


def unpacked(data: memoryview, unpacker: Unpacker) -> tuple[Any, memoryview]:
    """Validate and decompress a batch.

    Returns:
        aiokafka's batch and the bytes that it reads; both are valid until the next batch is decompressed.

    Raises:
        Fault: the batch is malformed. Codecs raise exceptions of their own.
    """
    if len(data) < HEADER_BYTES or data[MAGIC_AT] != 2:
        raise Fault(f"it is not a record batch (version {data[MAGIC_AT]}, {len(data)} bytes)")
    batch = DefaultRecordBatch(data)
    if not batch.validate_crc():
        raise Fault("the checksum does not match")
    count = count_of(data)
    if not 0 <= count <= MAX_RECORDS:
        raise Fault(f"it has {count} records; the limit is {MAX_RECORDS}")
    codec = data[_ATTRIBUTES_AT] & _CODEC
    if not codec or batch.is_control_batch:
        return batch, data
    head = bytearray(data[:HEADER_BYTES])
    head[_ATTRIBUTES_AT] &= ~_CODEC
    plain = unpacker.unpack(codec, data[HEADER_BYTES:], head)
    return DefaultRecordBatch(plain), plain


def count_of(data: memoryview) -> int:
    """Return the number of records according to the header of the batch."""
    return int(_COUNT.unpack_from(data)[0])


def records_of(batch: Any, data: memoryview) -> list[Record]:
    """Return the records of a batch returned by `unpacked`. Raises Fault, or exceptions of aiokafka's parser."""
    if len(data) > MAX_RECORD_BYTES and longest(data[HEADER_BYTES:], count_of(data)) > MAX_RECORD_BYTES:
        raise Fault(f"a record has more than {MAX_RECORD_BYTES} bytes")
    records: list[Record] = []  # aiokafka's: making objects of our own took longer than parsing
    next_offset, headers = batch.base_offset, 0
    for record in batch:
        offset = record.offset
        # Brokers do not validate the offsets of uncompressed records.
        if offset < next_offset:
            raise Fault(f"offset {offset} follows {next_offset - 1}")
        next_offset = offset + 1
        if record.headers:
            headers += len(record.headers)
            if headers > MAX_HEADERS:
                raise Fault(f"its records have more than {MAX_HEADERS} headers")
        records.append(record)
    if next_offset > batch.next_offset:
        raise Fault(f"offset {next_offset - 1} lies after its end")
    return records


def legacy_records(tp: TP, data: memoryview, unpacker: Unpacker) -> tuple[list[Record], int]:
    """Return the records of a message set (the format before Kafka 0.11), and the offset after them.

    Raises:
        Fault: the message is malformed. aiokafka and codecs raise exceptions of their own.
    """
    if len(data) < _LEGACY_BYTES:
        raise Fault(f"it has {len(data)} bytes")
    batch = LegacyRecordBatch(data, data[MAGIC_AT])
    if not batch.validate_crc():
        raise Fault("the checksum does not match")
    codec = data[_LEGACY_ATTRIBUTES_AT] & _CODEC
    end = batch.next_offset
    if not codec:
        return [consumer_record(tp, one, one.offset, one.timestamp) for one in batch], end
    # Without its codec flag, the wrapper is a plain message whose value contains the compressed messages.
    wrapper = bytearray(data)
    wrapper[_LEGACY_ATTRIBUTES_AT] &= ~_CODEC
    (outer,) = LegacyRecordBatch(wrapper, data[MAGIC_AT])
    inner = _messages(unpacker.unpack(codec, memoryview(outer.value or b"")))
    # From version 1 on inner offsets are relative, and the wrapper's timestamp applies if the broker set it.
    shift = end - 1 - inner[-1].offset if inner and data[MAGIC_AT] else 0
    offsets = [one.offset + shift for one in inner]
    if any(later <= earlier for earlier, later in pairwise((-1, *offsets, end))):
        raise Fault("the offsets of its messages do not ascend")
    by_broker = outer.timestamp_type
    return [
        consumer_record(tp, one, offset, outer.timestamp if by_broker else one.timestamp)
        for one, offset in zip(inner, offsets, strict=True)
    ], end


def _messages(data: memoryview) -> list[Any]:
    """Return the messages of a set, which must not be nested."""
    found: list[Any] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + LOG_HEADER_BYTES - 4 : at + LOG_HEADER_BYTES], "big")
        one = data[at : at + LOG_HEADER_BYTES + length]
        if not _LEGACY_BYTES <= len(one) == LOG_HEADER_BYTES + length or one[_LEGACY_ATTRIBUTES_AT] & _CODEC:
            raise Fault("an inner message is malformed")
        if len(found) == MAX_RECORDS:
            raise Fault(f"it has more than {MAX_RECORDS} records")
        found += LegacyRecordBatch(one, one[MAGIC_AT])
        at += len(one)
    return found


def consumer_record(tp: TP, record: Any, offset: int, timestamp: int | None) -> ConsumerRecord:
    """Convert a parsed record to the type that aiokafka returns."""
    key, value = record.key, record.value
    return ConsumerRecord(
        tp.topic,
        tp.partition,
        offset,
        timestamp or 0,
        record.timestamp_type,
        key,
        value,
        record.checksum,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        tuple(record.headers),
    )
