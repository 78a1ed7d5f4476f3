"""Tables in text or Parquet files, read as rows of strings with line numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stream_app.ingest.parquet_table import ParquetTable
from stream_app.ingest.sources import PARQUET, Source
from stream_app.ingest.text_table import TextTable
from stream_app.mapping.mapping import FileLayout


class Table(Protocol):
    """A table that can be read once, from start to end.

    Attributes:
        header: names of the columns.
    """

    header: list[str]

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield (line number, row). A row that cannot be split into columns is replaced with a str that states why."""

    def text(self) -> str:
        """Return the raw text of the last row."""

    def close(self) -> None:
        """Close the file."""

    @property
    def damage(self) -> str:
        """Reason why the rows ended early; empty if they did not."""

    @property
    def position(self) -> int:
        """Number of bytes of the file read so far."""


def open_table(source: Source, layout: FileLayout, wanted: Callable[[Sequence[str]], Sequence[int]]) -> Table:
    """Open the table in a file, as Parquet or text depending on its first bytes.

    Args:
        source: the file.
        layout: layout of a text file.
        wanted: given the names of all columns, returns the indices of those to read. Ignored for text files.

    Raises:
        EmptyLog: the file has no header.
        WrongFormat: a Parquet file is damaged.
    """
    return ParquetTable(source, wanted) if source.magic == PARQUET else TextTable(source, layout)
