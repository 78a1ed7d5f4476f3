"""Reads one partition's record batches from a fetch response. Skips unreadable batches and keeps their bytes.

aiokafka's own reader fails on such a batch every time, and decompresses without a limit.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatch
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.reading import (
    HEADER_BYTES,
    LOG_HEADER_BYTES,
    MAGIC_AT,
    Fault,
    count_of,
    legacy_records,
    records_of,
    unpacked,
)
from stream_app.adapters.kafka.faust_transport.salvage import MAX_KEPT_BYTES, salvage
from stream_app.adapters.kafka.faust_transport.unpacking import PADDING, Unpacker
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.unreadable import Unreadable

# Limits on what is returned at once per partition; the rest stays compressed.
TAKEN_BYTES: Final = 32 << 20
TAKEN_RECORDS: Final = 100_000
_LENGTH: Final = struct.Struct(">8xi")  # size of the batch without its log header


class FetchedBytes:
    """Bytes of a partition in a fetch response. Replaces aiokafka's `MemoryRecords`, which does not expose them."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data or b""

    def has_next(self) -> bool:
        """Return whether there are bytes to read, even malformed ones: else aiokafka would silently skip an offset."""
        return bool(self.data)

    def size_in_bytes(self) -> int:
        """Return the number of bytes."""
        return len(self.data)


class Batches:
    """Record batches of one partition in a fetch response. Replaces aiokafka's `PartitionRecords`.

    Args:
        tp: partition.
        data: bytes of the response.
        position: requested offset.
        faults: decides when a batch is skipped.
        unpacker: decompresses batches.
    """

    def __init__(self, tp: TP, data: bytes, position: int, faults: Faults, unpacker: Unpacker) -> None:
        self.next_fetch_offset = position  # read by aiokafka
        self.done = False
        self._tp, self._faults, self._unpacker = tp, faults, unpacker
        self._data, self._size, self._at = memoryview(data + bytes(PADDING)), len(data), 0

    def take(self, high_watermark: int | None) -> tuple[list[Record], int]:
        """Return the next records, up to a limit, with their decompressed size.

        Reading stops at an unreadable batch, which is then fetched again. If it fails in the same way, it is skipped:
        its readable records are returned, and `Unreadable` values replace the others.

        Args:
            high_watermark: end of the partition according to this response, if known.

        Raises:
            TooManyUnreadable: the limit of skipped batches is exceeded.
        """
        taken: list[Record] = []
        size = 0
        while not self.done and size < TAKEN_BYTES and len(taken) < TAKEN_RECORDS:
            size += self._take_batch(taken, high_watermark)
        return taken, size

    def _take_batch(self, taken: list[Record], high_watermark: int | None) -> int:
        end = self._end()
        if self.done:
            return 0
        try:
            records, following, size = self._read(end, high_watermark)
        except Exception as error:  # noqa: BLE001 - the bytes are in memory, so they are the cause of any error
            self._fail(error, end, high_watermark, taken)
            return 0
        if records and records[0].offset < self.next_fetch_offset:  # the position lies inside the batch
            records = [one for one in records if one.offset >= self.next_fetch_offset]
        taken += records
        self._at, self.next_fetch_offset = end, following
        return size

    def _end(self) -> int:
        """Return the position at which the next batch ends. For a malformed batch it lies beyond the bytes."""
        if self._at + LOG_HEADER_BYTES < self._size:
            (length,) = _LENGTH.unpack_from(self._data, self._at)
            end: int = self._at + LOG_HEADER_BYTES + length
            if self._at + MAGIC_AT < end <= self._size:
                return end
        # The broker truncates a response at its size limit. Only the first batch is always complete.
        self.done = self._at > 0
        return self._size + 1

    def _read(self, end: int, high_watermark: int | None) -> tuple[list[Record], int, int]:
        """Return the records of the next batch, the offset after it, and its size."""
        if end <= self._size and self._data[self._at + MAGIC_AT] < 2:
            data = self._data[self._at : end]
            records, following = legacy_records(self._tp, data, self._unpacker)
            self._require_ahead(following, high_watermark)
            return records, following, len(data)
        batch, data = self._unpacked(end, high_watermark)
        records = [] if batch.is_control_batch else records_of(batch, data)
        return records, batch.next_offset, len(data)

    def _unpacked(self, end: int, high_watermark: int | None) -> tuple[Any, memoryview]:
        if end > self._size:
            raise Fault("it is truncated")
        batch, data = unpacked(self._data[self._at : end], self._unpacker)
        self._require_ahead(batch.next_offset, high_watermark)
        return batch, data

    def _is_ahead(self, following: int, high_watermark: int | None) -> bool:
        """Return whether a batch may start at this position. The checksum does not cover the base offset."""
        return self.next_fetch_offset < following and (high_watermark is None or following <= high_watermark)

    def _require_ahead(self, following: int, high_watermark: int | None) -> None:
        if not self._is_ahead(following, high_watermark):
            at = self.next_fetch_offset
            raise Fault(f"by its header it ends before offset {following}, but it was found at {at}")

    def _fail(self, error: Exception, end: int, high_watermark: int | None, taken: list[Record]) -> None:
        position, problem = self.next_fetch_offset, f"{type(error).__name__}: {error}"
        if isinstance(error, Fault):
            problem = str(error)
        # 1. A first failure may be transient: fetch the batch again.
        if not self._faults.is_lasting(self._tp, position, problem):
            self.done = True
            return
        # 2. A second one is not: continue after the batch.
        following = self._following(end, high_watermark)
        kept = self._salvaged(end, high_watermark, problem)
        if isinstance(error, MemoryError) and not any(isinstance(one, Unreadable) for one in kept):
            raise error  # the batch is fine: the process is out of memory
        self._faults.skip(self._tp, position, following - 1, problem)
        taken += [one for one in kept if position <= one.offset < following]
        self._at, self.next_fetch_offset = end, following
        self.done = end > self._size

    def _following(self, end: int, high_watermark: int | None) -> int:
        """Return the offset after an unreadable batch: from its header, else the next batch, else the next offset."""
        data = self._data
        guesses = []
        if self._at + HEADER_BYTES <= self._size:
            header = data[self._at : self._at + HEADER_BYTES]
            guesses.append(DefaultRecordBatch(header).next_offset if header[MAGIC_AT] > 1 else _offset(header) + 1)
        if end + LOG_HEADER_BYTES <= self._size:
            guesses.append(_offset(data[end:]))
        return next((one for one in guesses if self._is_ahead(one, high_watermark)), self.next_fetch_offset + 1)

    def _salvaged(self, end: int, high_watermark: int | None, problem: str) -> list[Record]:
        """Return the readable records of a batch, and an `Unreadable` for each of the others."""
        try:
            batch, data = self._unpacked(end, high_watermark)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - see _take_batch
            kept = bytes(self._data[self._at : min(end, self._size, self._at + MAX_KEPT_BYTES)])
            return [Unreadable(self.next_fetch_offset, 0, None, kept, f"a record batch: {problem}")]
        return list(salvage(self._tp, batch, count_of(data), data[HEADER_BYTES:]))


def _offset(data: memoryview) -> int:
    return int.from_bytes(data[:8], "big", signed=True)
