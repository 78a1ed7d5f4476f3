"""Parquet tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stream_app.errors import WrongFormat
from stream_app.ingest.sources import Source

BATCH_ROWS: Final = 8_192


class ParquetTable:
    """A Parquet table (see tables.Table). Line numbers are row numbers, and values are converted to text as in CSV."""

    def __init__(self, source: Source, wanted: Callable[[Sequence[str]], Sequence[int]]) -> None:
        self.damage = ""
        self._size, self._read_rows, self._row = source.size, 0, [""]
        try:
            self._file = pq.ParquetFile(source.path)
        except (pa.ArrowException, OSError) as error:
            raise WrongFormat(
                file=source.name, expected="Parquet", found=error, remedy="Copy the file again; it may be truncated."
            ) from error
        names = self._file.schema_arrow.names
        self.header: list[str] = [names[place] for place in wanted(names)]

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """See tables.Table."""
        try:
            for batch in self._file.iter_batches(BATCH_ROWS, columns=self.header):
                columns = [_texts(batch.column(name)) for name in self.header]
                for self._row in map(list, zip(*columns, strict=True)):
                    self._read_rows += 1
                    yield self._read_rows, self._row
        except (pa.ArrowException, OSError) as error:
            self.damage = f"the Parquet file is damaged here ({error})"

    def text(self) -> str:
        """See tables.Table."""
        return json.dumps(dict(zip(self.header, self._row, strict=True)), ensure_ascii=False)

    @property
    def position(self) -> int:
        """See tables.Table."""
        return int(self._size * self._read_rows / max(self._file.metadata.num_rows, 1))

    def close(self) -> None:
        """See tables.Table."""
        self._file.close()


def _texts(column: pa.Array) -> list[str]:
    """Convert values to text as in CSV: nulls become empty, and instants include their UTC offset if known.

    >>> _texts(pa.array([1.5, None])), _texts(pa.array([0], pa.timestamp("ns", "UTC")))
    (['1.5', ''], ['1970-01-01 00:00:00+00:00'])
    """
    if pa.types.is_timestamp(column.type):
        # Without pandas, Python has no nanoseconds; events have a precision of microseconds.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    elif pa.types.is_binary(column.type):
        return [(value or b"").decode("utf-8", "surrogateescape") for value in column.to_pylist()]
    return ["" if value is None else str(value) for value in column.to_pylist()]
