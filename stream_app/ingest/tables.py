"""Tables in text or Parquet files: rows of strings with their line numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stream_app.ingest.parquet_table import ParquetTable
from stream_app.ingest.sources import PARQUET, Source
from stream_app.ingest.text_table import TextTable
from stream_app.mapping.mapping import FileLayout


class Table(Protocol):
    """A table that is read once from start to end.

    Attributes:
        header: names of the columns of the rows.
    """

    header: list[str]

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield line numbers and rows; a row that cannot be split into columns is a str with the reason."""

    def text(self) -> str:
        """Return the raw text of the last row."""

    def close(self) -> None:
        """Close the file."""

    @property
    def damage(self) -> str:
        """Why the rows ended early; empty if they did not."""

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""


def open_table(source: Source, layout: FileLayout, wanted: Callable[[Sequence[str]], Sequence[int]]) -> Table:
    """Return the table in a file, Parquet or text depending on its first bytes.

    Args:
        source: the file.
        layout: layout of a text file.
        wanted: given the names of all columns, returns the places of those to read; text files are read completely.

    Raises:
        EmptyLog: the file has no header.
        WrongFormat: a Parquet file is damaged.
    """
    return ParquetTable(source, wanted) if source.magic == PARQUET else TextTable(source, layout)
