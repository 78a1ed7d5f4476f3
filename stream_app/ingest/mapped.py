"""Tables by a mapping: rows -> events, the lines of an order brought together on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

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


class MappedReader:
    """Reads tables by a mapping, once.

    `lines` and `skipped` count the rows that were read and those that the mapping passes over.
    """

    def __init__(self, mapping: Mapping, bounds: Bounds, workdir: Path, memory: str) -> None:
        self.lines = 0
        self.skipped = 0
        self._mapping, self._bounds = mapping, bounds
        self._order: OrderLines | None = None
        self._order_id, self._order_at = "", 0
        self._grouped = Spool.by_group(workdir, memory) if mapping.orders.group_by else None

    def read(
        self, sources: Sequence[Source], reject: Reject, on_bytes: Callable[[int], None]
    ) -> Iterator[list[Numbered]]:
        """Batches of (place in the log, event). Orders of several lines come last, at the place of their first line.

        reject: is told of every row that cannot be read. on_bytes: of the bytes of each file that were read so far.
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
            self._put_order()
            self._grouped.sort()
            yield from _in_batches(merge_groups(self._grouped.rows()))

    def _read_file(self, source: Source, reject: Reject, on_bytes: Callable[[int], None]) -> Iterator[list[Numbered]]:
        table = open_mapped(source, self._mapping)
        batch: list[Numbered] = []
        try:
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
                    self._gather(event)
                else:
                    batch.append((self.lines, event))
                if self.lines % BATCH_ROWS == 0:
                    yield batch
                    batch = []
                    on_bytes(table.position)
            if table.damage:
                reason = f"{table.damage}: what came before is used; copy the file again"
                reject(Rejection(source.name, 0, reason, "", table.text()))
        finally:
            table.close()
        yield batch

    def _gather(self, line: Event) -> None:
        """Add a line to the order of the line before, or begin the next: lines of an order mostly stand together."""
        if self._order is not None and self._order_id == line.event_id:
            self._order.add(line)
        else:
            self._put_order()
            self._order, self._order_id, self._order_at = OrderLines(line), line.event_id, self.lines

    def _put_order(self) -> None:
        if self._order is not None and self._grouped is not None:
            self._grouped.add(self._order_id, self._order_at, self._order.event())
            self._order = None


def open_mapped(source: Source, mapping: Mapping) -> Table:
    """A table with at least the columns that the mapping reads; raises NoSuchColumn where one is missing."""

    def wanted(names: Sequence[str]) -> list[int]:
        return mapped_columns(mapping, Columns(source.name, names))

    table = open_table(source, mapping.file, wanted)
    try:
        wanted(table.header)
    except NoSuchColumn:
        table.close()
        raise
    return table


def _in_batches(events: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    for numbered in events:
        batch.append(numbered)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch
