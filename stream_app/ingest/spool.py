"""On-disk event storage, sorted by DuckDB, for logs larger than memory."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final, Literal

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order, encode
from stream_app.errors import NotSorted

# Events at the same instant are sorted by kind, as when read from Kafka (decoding.ROLES).
KIND_RANK: Final[dict[type[Event], int]] = {Contact: 0, Browsing: 1, Cart: 2, Complaint: 3, Order: 4}
DEFAULT_MEMORY: Final = "512MB"
BATCH_ROWS: Final = 4_096
# A whole row group is held in memory, here and in DuckDB, so its rows and bytes are limited. Smaller groups are
# inefficient; DuckDB works on 2,048 rows at a time.
ROW_GROUP_ROWS: Final = 32_768
ROW_GROUP_BYTES: Final = 8_388_608
MIN_ROW_GROUP_ROWS: Final = 2_048
# DuckDB holds about 120,000 rows in memory while sorting, regardless of their width. Wide events are stored in a
# separate file, and their rows hold the offset and length. They are rare: most events have 200 to 400 bytes.
WIDE_BYTES: Final = 2_048
_WIDE_PREFIX: Final = b"@"
_KEYS: Final = {"events": pa.int64(), "lines": pa.string()}
_COLUMNS: Final = ("key", "kind", "seq", "payload")
_decoder = msgspec.json.Decoder(Event)


class Spool:
    """Rows (key, rank of the kind, sequence number, event) in a Parquet file; `sort` orders them by the first three.

    Args:
        workdir: folder for the file, and for DuckDB's temporary files.
        name: `events` to sort events into replay order; their key is an instant in microseconds. `lines` to group the
            lines of each order; their key is the id of the order.
        memory: memory limit of DuckDB, 256MB or more.
    """

    def __init__(self, workdir: Path, name: Literal["events", "lines"], memory: str = DEFAULT_MEMORY) -> None:
        self._workdir, self._memory = workdir, memory
        self._path = workdir / f"{name}.parquet"
        self._key = _KEYS[name]
        self._schema = pa.schema(zip(_COLUMNS, (self._key, pa.int8(), pa.int64(), pa.binary()), strict=True))
        # Level 1 (fast), since the file is read only once or twice.
        self._writer = pq.ParquetWriter(
            self._path, self._schema, compression="zstd", compression_level=1, use_dictionary=False
        )
        self._rows: list[tuple[int | str, int, int, bytes]] = []
        self._wide = self._path.with_suffix(".wide").open("w+b")
        self._bytes = 0
        self._total_rows, self._total_bytes = 0, 0

    def add(self, key: int | str, seq: int, event: Event) -> None:
        """Append an event; `seq` orders events with the same key and kind."""
        payload = encode(event)
        if len(payload) > WIDE_BYTES:
            payload = self._store_wide(payload)
        self._rows.append((key, KIND_RANK[type(event)], seq, payload))
        self._bytes += len(payload)
        if len(self._rows) >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _store_wide(self, payload: bytes) -> bytes:
        offset = self._wide.seek(0, os.SEEK_END)
        self._wide.write(payload)
        return b"%c%d %d" % (_WIDE_PREFIX, offset, len(payload))

    def _flush(self) -> None:
        if self._rows:
            keys, kinds, seqs, payloads = zip(*self._rows, strict=True)
            keyed = _numbers("q", keys) if self._key == pa.int64() else _bytes(map(str.encode, keys))
            columns = [keyed.cast(self._key), _numbers("b", kinds), _numbers("q", seqs), _bytes(payloads)]
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
            self._total_rows, self._total_bytes = self._total_rows + len(payloads), self._total_bytes + self._bytes
            self._rows.clear()
            self._bytes = 0

    def finish(self) -> None:
        """Finish writing. After this, the spool can be read."""
        self._flush()
        self._writer.close()

    def sort(self) -> None:
        """Sort the rows by (key, rank, seq), on disk if they do not fit into memory.

        Raises:
            NotSorted: DuckDB failed, for example because memory or disk space was insufficient.
        """
        self.finish()
        fitting = self._total_rows * ROW_GROUP_BYTES // max(self._total_bytes, 1)
        group_rows = min(max(fitting, MIN_ROW_GROUP_ROWS), ROW_GROUP_ROWS)
        ordered = self._path.with_suffix(".sorted.parquet")
        overflow = self._workdir / f"{self._path.stem}-sorting"
        try:
            self._sort_to(ordered, overflow, group_rows)
        except duckdb.Error as error:
            raise NotSorted(memory=self._memory, folder=self._workdir, problem=str(error).partition("\n")[0]) from error
        shutil.rmtree(overflow, ignore_errors=True)
        ordered.replace(self._path)

    def _sort_to(self, ordered: Path, overflow: Path, group_rows: int) -> None:
        with contextlib.closing(duckdb.connect()) as database:
            # One thread needs half the memory of two and leaves the other cores to other processes.
            database.execute("SET threads = 1")
            database.execute(f"SET memory_limit = {_literal(self._memory)}")
            database.execute(f"SET temp_directory = {_literal(overflow)}")
            unsorted = re.sub(r"([\[*?])", r"[\1]", str(self._path))  # with escaped glob characters
            database.execute(
                f"COPY (FROM read_parquet({_literal(unsorted)}) ORDER BY key, kind, seq)"
                f" TO {_literal(ordered)}"
                f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {group_rows})"
            )

    def batches(self, size: int) -> Iterator[list[Event]]:
        """Yield the events in row order, in lists of `size`."""
        for rows in self._read(size, ["payload"]):
            yield self._decode(rows.column(0))

    def rows(self) -> Iterator[tuple[str | int, int, Event]]:
        """Yield (key, seq, event) in row order."""
        for rows in self._read(BATCH_ROWS, ["key", "seq", "payload"]):
            yield from zip(
                rows.column(0).to_pylist(), rows.column(1).to_pylist(), self._decode(rows.column(2)), strict=True
            )

    def _read(self, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self._path) as file:
            yield from file.iter_batches(size, columns=list(columns))

    def _decode(self, payloads: pa.Array) -> list[Event]:
        lines: list[bytes] = payloads.to_pylist()
        if self._wide.tell():
            lines = [self._load_wide(line) if line.startswith(_WIDE_PREFIX) else line for line in lines]
        return _decoder.decode_lines(b"\n".join(lines))

    def _load_wide(self, line: bytes) -> bytes:
        offset, length = map(int, line[1:].split())
        self._wide.seek(offset)
        return self._wide.read(length)

    def remove(self) -> None:
        """Delete the files."""
        self._writer.close()
        self._wide.close()
        for path in (self._path, self._path.with_suffix(".wide")):
            path.unlink(missing_ok=True)


# Arrays are built from buffers, since `pa.array` of a list imports pandas if installed (1.5 s, 150 MB).
def _numbers(code: Literal["b", "q"], values: Iterable[int]) -> pa.Array:
    numbers = array(code, values)
    kind = pa.int64() if code == "q" else pa.int8()
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def _bytes(values: Iterable[bytes]) -> pa.Array:
    pieces = list(values)
    ends = array("i", accumulate(map(len, pieces), initial=0))
    return pa.Array.from_buffers(pa.binary(), len(pieces), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))])


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
