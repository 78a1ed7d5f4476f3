"""Timestamp merge of co-partitioned topics. The order does not depend on how fast each topic is fetched.

The time of a record is the `occurred_at` of its payload (see `inputs.py`), not the time at which Kafka stored it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import repeat
from typing import Final, Generic, TypeAlias, TypeVar

from stream_app.errors import AlignmentGap

ItemT = TypeVar("ItemT")
Entry: TypeAlias = tuple[int, int, int, ItemT]  # index of the topic, offset, time in µs, item
MAX_BYTES: Final = 48 << 20  # total size limit of all buffers of a partition number
UNENDING: Final = 1 << 63  # an offset that no topic ever reaches
_UNKNOWN: Final = -1  # offset of a topic before its first fetch
_LAST: Final = 1 << 63  # µs; later than any time
_TIME: Final = 2  # index of the time in an entry; named tuples would triple the cost of a push


@dataclass(slots=True)
class _Fetch:
    until: int  # number of items pushed up to and including this fetch
    items: int
    size: int  # bytes


class _Queue(Generic[ItemT]):
    """Buffer of one topic."""

    __slots__ = ("end", "entries", "fetched_bytes", "fetches", "high_watermark", "promised", "pushed")

    def __init__(self, end: int) -> None:
        self.entries: deque[Entry[ItemT]] = deque()
        self.end = end  # next offset to fetch
        self.high_watermark = _UNKNOWN
        self.promised = 0  # the topic has records up to this offset, even if the last fetch did not return them
        self.pushed = 0  # total number of items pushed
        self.fetches: deque[_Fetch] = deque()
        self.fetched_bytes = 0  # total bytes of `fetches`

    @property
    def position(self) -> int:
        return self.entries[0][1] if self.entries else self.end

    @property
    def caught_up(self) -> bool:
        return self.end >= self.high_watermark != _UNKNOWN and self.end >= self.promised

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the remaining items, assuming that all items of a fetch have the same size."""
        taken = self.pushed - len(self.entries)
        while self.fetches and self.fetches[0].until <= taken:
            self.fetched_bytes -= self.fetches.popleft().size
        if not self.fetches:
            return 0
        first = self.fetches[0]
        gone = max(0, first.items - (first.until - taken))
        return self.fetched_bytes - first.size * gone // first.items

    def add(self, entries: Sequence[Entry[ItemT]], size: int) -> None:
        self.entries.extend(entries)
        self.pushed += len(entries)
        self.fetches.append(_Fetch(self.pushed, len(entries), size))
        self.fetched_bytes += size


class RecordMerge(Generic[ItemT]):
    """Merges the topics of one partition number in order of (time, topic, offset), as Kafka Streams does.

    A worker that is catching up reads its topics at different speeds. An empty buffer therefore holds the others back
    as long as its topic may have a lag. A topic is caught up when its last fetch ended at its high watermark. A
    completely published log always has the same order, regardless of how it is split into fetches. At the head of the
    log nothing waits, unless more records are promised.

    Only the heads of the topics are compared: a late event keeps its position within its topic, and is taken next once
    it becomes the head.

    Only `pop` consumes items. A caller that stops early returns the remaining items with `put_back`, so that
    `positions` cover only consumed items.

    Args:
        topics: topic names, in order of precedence for equal times.
        max_bytes: total size limit of all buffers. A topic is not fetched while its buffer exceeds its equal share.
            Each topic may exceed its share by one fetch, since fetches are not split.

    >>> merge = RecordMerge[str](["ticks", "orders"])
    >>> merge.begin({"ticks": 0, "orders": 7})
    >>> merge.push("orders", 7, ["b", "c"], times=[20, 30], offsets=[7, 8], end=9, high_watermark=9, size=200)
    >>> merge.pop(10), merge.waiting_for  # the lag of the ticks is not known yet
    ([], ('ticks',))
    >>> merge.push("ticks", 0, ["tick"], times=[20], offsets=[0], end=1, high_watermark=1, size=40)
    >>> ready = merge.pop(10)
    >>> ready
    [(0, 0, 20, 'tick'), (1, 7, 20, 'b'), (1, 8, 30, 'c')]
    >>> merge.put_back(ready[2:])
    >>> merge.positions, merge.buffered_bytes
    ({'ticks': 1, 'orders': 8}, 100)
    """

    def __init__(self, topics: Sequence[str], max_bytes: int = MAX_BYTES) -> None:
        self.topics: Final = tuple(topics)
        self._share = max_bytes // len(self.topics)
        self._queues: list[_Queue[ItemT]] = []
        self._by_topic: dict[str, _Queue[ItemT]] = {}
        self.begin({})

    def begin(self, positions: Mapping[str, int]) -> None:
        """Start after an assignment, with empty buffers and unknown lags.

        Args:
            positions: next offset to consume in each topic. A topic without a position starts at its first fetch, since
                the oldest records of a log may have been deleted.
        """
        self._queues = [_Queue(positions.get(topic, _UNKNOWN)) for topic in self.topics]
        self._by_topic = dict(zip(self.topics, self._queues, strict=True))

    def push(  # noqa: PLR0913, PLR0917 - the parts of a fetch response
        self,
        topic: str,
        start: int,
        items: Sequence[ItemT],
        times: Sequence[int],
        offsets: Sequence[int],
        end: int,
        high_watermark: int,
        size: int,
    ) -> None:
        """Buffer the result of one fetch.

        Items received before are dropped, so redelivery is harmless. A fetch may contain no items and only advance
        `end` and `high_watermark`, since a log may end with control records such as transaction markers.

        Args:
            topic: one of `topics`.
            start: start offset of the fetch.
            items: fetched items.
            times: one time per item, µs; need not be ascending within a topic.
            offsets: one offset per item, ascending, in [start, end).
            end: start offset of the next fetch.
            high_watermark: end of the log as of this fetch response.
            size: total bytes of all items.

        Raises:
            AlignmentGap: the fetch starts after the next expected offset.
        """
        queue = self._by_topic[topic]
        expected = start if queue.end == _UNKNOWN else queue.end
        # 1. Never skip a gap, since its events would be lost silently.
        if start > expected:
            raise AlignmentGap(topic=topic, expected=expected, start=start)
        # 2. A fetch that ends before the expected offset is outdated, and so is its high watermark.
        if end < expected:
            return
        # 3. The next regular fetch determines the lag. A redelivered fetch may be older than what is already known.
        queue.high_watermark = high_watermark if start == expected else max(high_watermark, queue.high_watermark)
        queue.end = end
        # 4. Keep only new items.
        seen = 0 if start == expected else bisect_left(offsets, expected)
        entries = list(zip(repeat(self.topics.index(topic)), offsets, times, items, strict=False))[seen:]
        if entries:
            queue.add(entries, size * len(entries) // len(items))

    def promise(self, topic: str, end: int) -> None:
        """Hold back the other topics while a topic is empty and not fetched up to `end`, even if it seems caught up.

        A publisher writes its topics concurrently, and the fetch of one topic may be older than that of another. Each
        new promise replaces the previous one, so the next call corrects a wrong value.

        Args:
            topic: one of `topics`.
            end: promised end offset; UNENDING if more records will follow whenever the topic is empty.
        """
        self._by_topic[topic].promised = end

    def pop(self, limit: int, only: str | None = None) -> list[Entry[ItemT]]:
        """Remove and return the next entries in order.

        Args:
            limit: maximum number of entries.
            only: take entries only from this topic, regardless of the others.

        Returns:
            (index of the topic in `topics`, offset, time in µs, item). Fewer than `limit` entries are returned if a
            topic is empty and not known to be caught up, or if no entries are left.
        """
        if only is not None:
            entries = self._by_topic[only].entries
            return [entries.popleft() for _ in range(min(limit, len(entries)))]
        taken: list[Entry[ItemT]] = []
        if self.waiting_for:
            return taken
        heads = [(queue.entries[0][_TIME], index) for index, queue in enumerate(self._queues) if queue.entries]
        heapify(heads)
        while heads and len(taken) < limit:
            if self._take_run(heads, taken, limit):
                break
        return taken

    def _take_run(self, heads: list[tuple[int, int]], taken: list[Entry[ItemT]], limit: int) -> bool:
        """Take from the topic with the smallest head while it is smallest. Return whether it is empty and may lag."""
        index = heads[0][1]
        queue = self._queues[index]
        entries = queue.entries
        # 1. The run ends at the second smallest head: a child of the heap's root.
        rival_time, rival_index = min(heads[1:3], default=(_LAST, index))
        bound = rival_time + (index < rival_index)
        # 2. Its first entry is below the bound. Times need not be ascending, so each one is compared.
        room = limit - len(taken)
        while room and entries and entries[0][_TIME] < bound:
            taken.append(entries.popleft())
            room -= 1
        # 3. Its new head joins the heap. If there is none, the others continue only if the topic is caught up.
        if entries:
            heapreplace(heads, (entries[0][_TIME], index))
            return False
        heappop(heads)
        return not queue.caught_up

    def put_back(self, entries: Sequence[Entry[ItemT]]) -> None:
        """Put back the last entries of the last `pop`, in order. The next `pop` returns them again."""
        for entry in reversed(entries):
            self._queues[entry[0]].entries.appendleft(entry)

    def wants(self, topic: str) -> bool:
        """Return whether to fetch more from a topic. A topic that holds others back is empty, so it is fetched."""
        return self._by_topic[topic].buffered_bytes < self._share

    @property
    def positions(self) -> dict[str, int]:
        """Next offset to consume in each topic: that of the first item not yet popped, or the end of the last fetch.

        A topic that started without a position is missing until its first fetch. Nothing is popped before that.
        """
        return {topic: queue.position for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def ends(self) -> dict[str, int]:
        """Next offset to fetch from each topic whose position is known."""
        return {topic: queue.end for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def lags(self) -> dict[str, int | None]:
        """Number of offsets between each topic's position and its high watermark, or None if not known yet."""
        return {
            topic: None if queue.high_watermark == _UNKNOWN else max(0, queue.high_watermark - queue.position)
            for topic, queue in self._by_topic.items()
        }

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Topics that hold back the others: they are empty and not known to be caught up."""
        return tuple(topic for topic, queue in self._by_topic.items() if not queue.entries and not queue.caught_up)

    @property
    def waiting_for_promised(self) -> tuple[str, ...]:
        """Topics of `waiting_for` whose last fetch was empty although more records are promised."""
        queues = self._by_topic.items()
        return tuple(
            topic for topic, queue in queues if not queue.entries and queue.promised > queue.end >= queue.high_watermark
        )

    @property
    def waiting(self) -> int:
        """Number of buffered items."""
        return sum([len(queue.entries) for queue in self._queues])

    @property
    def buffered_bytes(self) -> int:
        """Bytes of all buffered items."""
        return sum(queue.buffered_bytes for queue in self._queues)
