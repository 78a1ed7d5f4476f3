"""Input topics of a partition task: fetched records, decoded and merged into one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

from stream_app.core.messages.dead_letters import DeadLetter, Record
from stream_app.core.messages.decoding import AT_ONCE, EVENTS, ROLES, TICKS, Item, decode_record
from stream_app.core.messages.outgoing import header_bytes
from stream_app.core.messages.schema import Tick
from stream_app.core.partition.record_merge import UNENDING, RecordMerge

RECORD_BYTES: Final = 256  # memory of a buffered record besides its parts; without it, empty records would be free
_HEADER_BYTES: Final = 100  # memory of a header besides its value
# An item, the broker's append time of its record in milliseconds, and the record if it may become a dead letter later.
_Entry = tuple[Item, int, Record | None]


class TaskInputs(RecordMerge[_Entry]):
    """Records that were fetched and not yet applied.

    Args:
        buffer_bytes: limit of all buffers together.
        skew: how far an event may lie after the broker's append time, microseconds.
        keeps_records: whether records are kept whole, since they may become dead letters when they are applied.
        follows_publisher: whether records wait for the next tick of the publisher that writes them.
    """

    def __init__(self, buffer_bytes: int, skew: int, *, keeps_records: bool, follows_publisher: bool) -> None:
        super().__init__(ROLES, buffer_bytes)
        self._skew, self._keeps_records, self._follows_publisher = skew, keeps_records, follows_publisher

    def receive(self, role: str, start: int, records: Sequence[Record], end: int, high_watermark: int) -> None:
        """Buffer the result of one fetch; see `RecordMerge.push`."""
        items, times = decode_record(role, records, self._skew)
        appended = [record.timestamp for record in records]
        offsets = [record.offset for record in records]
        size = RECORD_BYTES * len(records) + sum([len(record.value or b"") for record in records])
        kept: Iterable[Record | None] = repeat(None)
        if self._keeps_records:
            kept, size = records, size + _bytes_beside_values(records)
        elif AT_ONCE in times:
            size += _bytes_beside_values([item.record for item in items if isinstance(item, DeadLetter)])
        entries = list(zip(items, appended, kept, strict=False))
        self.push(role, start, entries, times, offsets, end, high_watermark, size)
        if role == TICKS:
            latest = next((item for item in reversed(items) if isinstance(item, Tick)), None)
            if latest is not None:
                self.follow_publisher(latest.ends or {}, more=more_ticks_follow(latest))

    def follow_publisher(self, ends: Mapping[str, int], *, more: bool) -> None:
        """Hold records back until everything before the publisher's latest tick has been fetched.

        The topics of a publisher race: otherwise a reader at the head would apply the orders of months before it has
        fetched the page views of the first day.

        Args:
            ends: by role, the offset behind the last record before the tick.
            more: whether another tick will follow, which is then waited for too.
        """
        if self._follows_publisher:
            self.promise(TICKS, UNENDING if more else 0)
            for role in EVENTS:
                self.promise(role, ends.get(role, 0))

    @property
    def waiting_since(self) -> int:
        """The broker's append time of the oldest waiting record, milliseconds; 0: no record waits."""
        return min((appended for _, appended, _ in self.heads), default=0)


def more_ticks_follow(tick: Tick) -> bool:
    """Return whether a publisher wrote a tick and will write another one."""
    return tick.ends is not None and not tick.complete


def _bytes_beside_values(records: Sequence[Record]) -> int:
    """Return the approximate memory of the keys and headers of records that are kept whole."""
    keys = sum(len(record.key or b"") for record in records)
    headers = [header for record in records for header in record.headers]
    return keys + sum(_HEADER_BYTES + header_bytes(header) for header in headers)
