"""Reader of mapped tables. Converts rows to events and groups the lines of each order on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import Event, Rejected
from stream_app.errors import NoSuchColumn
from stream_app.ingest.rejections import Rejection
from stream_app.ingest.sources import Source
from stream_app.ingest.spool import Spool
from stream_app.ingest.tables import Table, open_table
from stream_app.ingest.wire import Reject
from stream_app.mapping.columns import Columns, mapped_columns
from stream_app.mapping.mapping import Mapping
from stream_app.mapping.orders import OrderLines, merge_groups
from stream_app.mapping.rows import RowReader

BATCH_ROWS: Final = 4_096
Numbered = tuple[int, Event]
T = TypeVar("T")


class MappedReader:
    """Reads mapped tables once.

    Attributes:
        lines: number of rows read.
        skipped: number of rows skipped by the mapping.
    """

    def __init__(self, mapping: Mapping, bounds: Bounds, workdir: Path, memory: str) -> None:
        self.lines = 0
        self.skipped = 0
        self._mapping, self._bounds = mapping, bounds
        self._order: OrderLines | None = None
        self._order_id, self._order_at = "", 0
        self._grouped = Spool(workdir, "lines", memory) if mapping.orders.group_by else None

    def read(
        self, sources: Sequence[Source], reject: Reject, on_bytes: Callable[[int], None]
    ) -> Iterator[list[Numbered]]:
        """Yield batches of (place in the log, event). Grouped orders come last, with the place of their first line.

        Args:
            sources: the files.
            reject: called with a Rejection for each row that cannot be read.
            on_bytes: called with the number of bytes read from the current file.
        """
        try:
            for source in sources:
                yield from self._read_file(source, reject, on_bytes)
            yield from self._orders()
        finally:
            if self._grouped is not None:
                self._grouped.remove()

    def _orders(self) -> Iterator[list[Numbered]]:
        if self._grouped is not None:
            self._flush_order()
            self._grouped.sort()
            yield from batched(merge_groups(self._grouped.rows()), BATCH_ROWS)

    def _read_file(self, source: Source, reject: Reject, on_bytes: Callable[[int], None]) -> Iterator[list[Numbered]]:
        batch: list[Numbered] = []
        with closing(open_mapped(source, self._mapping)) as table:
            read = RowReader(self._mapping, Columns(source.name, table.header), self._bounds).read
            for line, row in table.rows():
                self.lines += 1
                row_id = f"{source.index}-{line}"
                event = Rejected(row) if isinstance(row, str) else read(row, row_id)
                if event is None:
                    self.skipped += 1
                elif isinstance(event, Rejected):
                    reject(Rejection(source.name, line, event.reason, event.field, table.text()))
                elif self._grouped is not None and event.event_id != row_id:
                    self._add_line(event)
                else:
                    batch.append((self.lines, event))
                if self.lines % BATCH_ROWS == 0:
                    yield batch
                    batch = []
                    on_bytes(table.position)
            if table.damage:
                reason = f"{table.damage}: the rows before it are used; copy the file again"
                reject(Rejection(source.name, 0, reason, "", table.text()))
        yield batch

    def _add_line(self, line: Event) -> None:
        """Add a line to the current order or start the next one. Lines of an order are usually adjacent."""
        if self._order is not None and self._order_id == line.event_id:
            self._order.add(line)
        else:
            self._flush_order()
            self._order, self._order_id, self._order_at = OrderLines(line), line.event_id, self.lines

    def _flush_order(self) -> None:
        if self._order is not None and self._grouped is not None:
            self._grouped.add(self._order_id, self._order_at, self._order.event())
            self._order = None


def open_mapped(source: Source, mapping: Mapping) -> Table:
    """Open a table after checking its columns. Raise NoSuchColumn if a column that the mapping reads is missing."""

    def wanted(names: Sequence[str]) -> list[int]:
        return mapped_columns(mapping, Columns(source.name, names))

    table = open_table(source, mapping.file, wanted)
    try:
        wanted(table.header)
    except NoSuchColumn:
        table.close()
        raise
    return table


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last list may be shorter.

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
