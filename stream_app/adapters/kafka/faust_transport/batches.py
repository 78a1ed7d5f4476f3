"""What a fetch response holds of one partition, read batch by batch: a batch that cannot be read is skipped and kept.

aiokafka's own reader raises at such a batch at every attempt, and unpacks whatever it is given.
"""

from __future__ import annotations

import struct
from typing import Any, Final, TypeAlias

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.reading import (
    HEADER_BYTES,
    LOG_HEADER_BYTES,
    MAGIC_AT,
    Fault,
    consumer_record,
    count_of,
    legacy_records,
    records_of,
    unpacked,
)
from stream_app.adapters.kafka.faust_transport.salvage import MAX_KEPT_BYTES, salvage
from stream_app.adapters.kafka.faust_transport.unpacking import PADDING, Unpacker
from stream_app.core.messages.unreadable import Kept, Unreadable

# So much of one partition is handed over at once; the rest waits, still packed.
TAKEN_BYTES: Final = 32 << 20
TAKEN_RECORDS: Final = 100_000
_LENGTH: Final = struct.Struct(">8xi")  # of what follows the header of the log
Taken: TypeAlias = ConsumerRecord | Unreadable


class FetchedBytes:
    """The bytes of a partition in a fetch response, in place of aiokafka's `MemoryRecords`, which hides them."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data or b""

    def has_next(self) -> bool:
        """Whether there is anything to read. Broken bytes are: aiokafka steps over one offset for them, unseen."""
        return bool(self.data)

    def size_in_bytes(self) -> int:
        """The number of bytes."""
        return len(self.data)


class Batches:
    """The batches of one partition in one fetch response, in place of aiokafka's `PartitionRecords`.

    Args:
        tp: the partition.
        data: the bytes.
        position: the offset that was asked for.
        faults: decides when a batch is skipped.
        unpacker: for compressed batches.
    """

    def __init__(self, tp: TP, data: bytes, position: int, faults: Faults, unpacker: Unpacker) -> None:
        self.next_fetch_offset = position  # aiokafka reads it
        self.done = False
        self._tp, self._faults, self._unpacker = tp, faults, unpacker
        self._data, self._size, self._at = memoryview(data + bytes(PADDING)), len(data), 0

    def take(self, high_watermark: int | None) -> tuple[list[Taken], int]:
        """The next records, a bounded number of them, and the bytes that they had unpacked.

        The bytes end with a batch that cannot be read: it is fetched again. If it then fails in the same way it is
        skipped; what can be read of it is among the records, and for the rest there is `Unreadable`.

        Args:
            high_watermark: the end of the partition by this response, if it is known.

        Raises TooManyUnreadable.
        """
        taken: list[Taken] = []
        size = 0
        while not self.done and size < TAKEN_BYTES and len(taken) < TAKEN_RECORDS:
            size += self._take_batch(taken, high_watermark)
        return taken, size

    def _take_batch(self, taken: list[Taken], high_watermark: int | None) -> int:
        """Read the batch that is next; returns its bytes."""
        end = self._end()
        if self.done:
            return 0
        try:
            records, following, size = self._read(end, high_watermark)
        except Exception as error:  # noqa: BLE001 - its bytes are in memory: whatever it is, they are to blame
            self._fail(error, end, high_watermark, taken)
            return 0
        self._add(taken, records)
        self._at, self.next_fetch_offset = end, following
        return size

    def _end(self) -> int:
        """Where the batch that is next ends; after the bytes if it is broken."""
        if self._at + LOG_HEADER_BYTES < self._size:
            (length,) = _LENGTH.unpack_from(self._data, self._at)
            end: int = self._at + LOG_HEADER_BYTES + length
            if self._at + MAGIC_AT < end <= self._size:
                return end
        # A response ends where the broker has cut it. Only the first batch is always whole.
        self.done = self._at > 0
        return self._size + 1

    def _read(self, end: int, high_watermark: int | None) -> tuple[list[ConsumerRecord], int, int]:
        """The records of the batch, the offset after it, and its bytes."""
        if end <= self._size and self._data[self._at + MAGIC_AT] < 2:
            data = self._data[self._at : end]
            records, following = legacy_records(self._tp, data, self._unpacker)
            if not self._is_ahead(following, high_watermark):
                raise Fault(self._misplaced(following))
            return records, following, len(data)
        batch, data = self._unpacked(end, high_watermark)
        records = [] if batch.is_control_batch else records_of(self._tp, batch, data)
        return records, batch.next_offset, len(data)

    def _unpacked(self, end: int, high_watermark: int | None) -> tuple[Any, memoryview]:
        if end > self._size:
            raise Fault("it breaks off")
        batch, data = unpacked(self._data[self._at : end], self._unpacker)
        if not self._is_ahead(batch.next_offset, high_watermark):
            raise Fault(self._misplaced(batch.next_offset))
        return batch, data

    def _is_ahead(self, following: int, high_watermark: int | None) -> bool:
        """Whether a batch may lie where it was found: the checksum does not cover its base offset."""
        return self.next_fetch_offset < following and (high_watermark is None or following <= high_watermark)

    def _misplaced(self, following: int) -> str:
        return f"it says that it ends before offset {following}, and was found at {self.next_fetch_offset}"

    def _add(self, taken: list[Taken], records: list[ConsumerRecord]) -> None:
        """Keep what lies after the position: it may lie within a batch."""
        if records and records[0].offset < self.next_fetch_offset:
            records = [one for one in records if one.offset >= self.next_fetch_offset]
        taken += records

    def _fail(self, error: Exception, end: int, high_watermark: int | None, taken: list[Taken]) -> None:
        position, problem = self.next_fetch_offset, f"{type(error).__name__}: {error}"
        if isinstance(error, Fault):
            problem = str(error)
        # 1. Once may be chance: it is fetched again.
        if not self._faults.is_lasting(self._tp, position, problem):
            self.done = True
            return
        # 2. Twice is not: go on behind it.
        following = self._following(end, high_watermark)
        kept = self._salvaged(end, high_watermark, problem)
        if isinstance(error, MemoryError) and not any(isinstance(one, Unreadable) for one in kept):
            raise error  # there is nothing wrong with it: memory has run out
        self._faults.skip(self._tp, position, following - 1, problem)
        taken += [one for one in kept if position <= one.offset < following]
        self._at, self.next_fetch_offset = end, following
        self.done = end > self._size

    def _following(self, end: int, high_watermark: int | None) -> int:
        """The offset after a bad batch: as its header says, else where the next one begins, else the next offset."""
        data = self._data
        guesses = []
        if self._at + HEADER_BYTES <= self._size:
            header = data[self._at : self._at + HEADER_BYTES]
            guesses.append(DefaultRecordBatch(header).next_offset if header[MAGIC_AT] > 1 else _offset(header) + 1)
        if end + LOG_HEADER_BYTES <= self._size:
            guesses.append(_offset(data[end:]))
        return next((one for one in guesses if self._is_ahead(one, high_watermark)), self.next_fetch_offset + 1)

    def _salvaged(self, end: int, high_watermark: int | None, problem: str) -> list[Taken]:
        """What can be read of a bad batch, and the rest as it is."""
        try:
            batch, data = self._unpacked(end, high_watermark)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - see _take_batch
            kept = bytes(self._data[self._at : min(end, self._size, self._at + MAX_KEPT_BYTES)])
            return [Unreadable(Kept(self.next_fetch_offset, 0, None, kept), f"a record batch: {problem}")]
        return [
            one if isinstance(one, Unreadable) else consumer_record(self._tp, one, one.offset, one.timestamp)
            for one in salvage(batch, count_of(data), data[HEADER_BYTES:])
        ]


def _offset(data: memoryview) -> int:
    return int.from_bytes(data[:8], "big", signed=True)
