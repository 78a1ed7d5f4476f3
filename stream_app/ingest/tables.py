"""A table in a file, as text or as Parquet: rows of texts, each with the line where it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from stream_app.ingest.parquet_table import ParquetTable
from stream_app.ingest.sources import PARQUET, Source
from stream_app.ingest.text_table import TextTable
from stream_app.mapping.mapping import FileLayout


class Table(Protocol):
    """A table that is read once, from the beginning to the end.

    header: the names of the columns that the rows have.
    """

    header: list[str]

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """(line, row); what cannot be split into the header's columns is a str that says why."""

    def text(self) -> str:
        """The raw text of the row that was given last."""

    def close(self) -> None:
        """Close the file."""

    @property
    def damage(self) -> str:
        """Why the rows ended before the table does; empty if they did not."""

    @property
    def position(self) -> int:
        """Bytes of the file on the disk that were read so far."""


def open_table(source: Source, layout: FileLayout, wanted: Callable[[Sequence[str]], Sequence[int]]) -> Table:
    """The table in a file, Parquet or text by its first bytes.

    wanted: is given the names of all columns and says which places are to be read (of text files all are).
    Raises EmptyLog for a file without even a header, WrongFormat for a damaged Parquet file.
    """
    return ParquetTable(source, wanted) if source.magic == PARQUET else TextTable(source, layout)
