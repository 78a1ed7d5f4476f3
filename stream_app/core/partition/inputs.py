"""Input topics of a partition task: decodes fetched records and merges them into one order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Final

from stream_app.core.messages.dead_letters import DeadLetter, Record
from stream_app.core.messages.decoding import AT_ONCE, CONTACTS, CONTROL, EVENTS, ROLES, TICKS, Item, decode_record
from stream_app.core.messages.outgoing import header_bytes
from stream_app.core.messages.schema import Tick
from stream_app.core.partition.progress import UNKNOWN_END
from stream_app.core.partition.record_merge import UNENDING, Entry, RecordMerge

RECORD_BYTES: Final = 256  # overhead of a buffered record, so that empty records count towards the limit
_HEADER_BYTES: Final = 100  # overhead of a header in addition to its value
# An item, the time when the broker appended its record (ms), and the record itself if it may become a dead letter.
_Entry = tuple[Item, int, Record | None]


class TaskInputs(RecordMerge[_Entry]):
    """Records that have been fetched but not yet applied.

    Args:
        buffer_bytes: total size limit of all buffers.
        skew: how far an event may be ahead of the broker's append time, microseconds.
        keeps_records: whether to keep whole records, because they may become dead letters when they are applied.
        follows_publisher: whether records wait for the next tick from the publisher that writes them.

    Attributes:
        mixed_until: see `Position.mixed_until`.
    """

    def __init__(self, buffer_bytes: int, skew: int, *, keeps_records: bool, follows_publisher: bool) -> None:
        super().__init__(ROLES, buffer_bytes)
        self._skew, self._keeps_records, self._follows_publisher = skew, keeps_records, follows_publisher
        self.mixed_until = 0

    def receive(self, role: str, start: int, records: Sequence[Record], end: int, high_watermark: int) -> None:
        """Decode and buffer the result of one fetch; see `RecordMerge.push`."""
        if role == CONTACTS and self.mixed_until == UNKNOWN_END:
            self.mixed_until = high_watermark
        items, times = decode_record(role, records, self._skew, self.mixed_until if role == CONTACTS else 0)
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

        A publisher's topics advance independently. Without this, a reader at the head could apply months of orders
        before it has fetched the first day's page views.

        Args:
            ends: offset after the last record before the tick, by role.
            more: whether another tick will follow, for which records also have to wait.
        """
        if self._follows_publisher:
            self.promise(TICKS, UNENDING if more else 0)
            for role in EVENTS:
                self.promise(role, ends.get(role, 0))

    def pop_control(self, limit: int) -> list[Entry[_Entry]]:
        """Remove and return the next control messages, regardless of the other topics; at most `limit`.

        After an upgrade they are first on the contacts topic, and then on their own.
        """
        if self.mixed_until == UNKNOWN_END:
            return []
        if self.positions.get(CONTACTS, 0) >= self.mixed_until:
            return self.pop(limit, CONTROL)
        run = self.pop(limit, CONTACTS)
        end = bisect_left(run, self.mixed_until, key=itemgetter(1))
        self.put_back(run[end:])
        return run[:end]

    @property
    def waiting_since(self) -> int:
        """Time when the broker appended the oldest waiting record, milliseconds, or 0 if no record is waiting."""
        heads = [queue.entries[0][3] for queue in self._queues if queue.entries]
        return min((appended for _, appended, _ in heads), default=0)


def more_ticks_follow(tick: Tick) -> bool:
    """Return whether a publisher has written a tick and will write another one."""
    return tick.ends is not None and not tick.complete


def _bytes_beside_values(records: Sequence[Record]) -> int:
    """Return the approximate memory used by the keys and headers of records that are kept whole."""
    keys = sum(len(record.key or b"") for record in records)
    headers = [header for record in records for header in record.headers]
    return keys + sum(_HEADER_BYTES + header_bytes(header) for header in headers)
