"""Timestamp merge of co-partitioned topics: one order, whatever the speeds at which they are fetched."""

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
Entry: TypeAlias = tuple[int, int, int, ItemT]  # index of the topic, offset, time in µs, the item
MAX_BYTES: Final = 48 << 20  # of all buffers of a partition number
UNENDING: Final = 1 << 63  # an offset that no topic reaches
_UNKNOWN: Final = -1  # an offset before the first fetch
_LAST: Final = 1 << 63  # µs: later than all times
_TIME: Final = 2  # index of the time in an entry; a named tuple would triple the cost of a push


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
        self.promised = 0  # the topic has records up to this offset, whatever the last fetch found
        self.pushed = 0  # items ever
        self.fetches: deque[_Fetch] = deque()
        self.fetched_bytes = 0  # of all in `fetches`

    @property
    def position(self) -> int:
        return self.entries[0][1] if self.entries else self.end

    @property
    def caught_up(self) -> bool:
        return self.end >= self.high_watermark != _UNKNOWN and self.end >= self.promised

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the remaining items; the bytes of a fetch are spread evenly over its items."""
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
    """Merges the topics of one partition number by the smallest (time, topic, offset), as Kafka Streams does.

    A worker that is catching up reads its topics at different speeds. An empty buffer therefore holds the others back
    while its lag may be above zero. A topic is caught up when its last fetch ended at its high watermark. A log that
    was published completely has one order, however it is cut into fetches; at the head of the log nothing waits,
    unless more records are promised.

    The order is by heads: an event that is late within its topic keeps its place there and is next once it is the head.

    Only `pop` consumes. A caller that stops early returns the rest with `put_back`, so that `positions` cover only what
    was consumed.

    Args:
        topics: names, in order of precedence among equal times.
        max_bytes: limit of all buffers together; a topic whose buffer exceeds its equal share is not fetched. Each
            topic may exceed its share by one fetch, since a fetch is not cut.

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
    >>> merge.positions, merge.buffered_items, merge.buffered_bytes
    ({'ticks': 1, 'orders': 8}, 1, 100)
    """

    def __init__(self, topics: Sequence[str], max_bytes: int = MAX_BYTES) -> None:
        self.topics: Final = tuple(topics)
        self._share = max_bytes // len(self.topics)
        self._queues: list[_Queue[ItemT]] = []
        self._by_topic: dict[str, _Queue[ItemT]] = {}
        self.begin({})

    def begin(self, positions: Mapping[str, int]) -> None:
        """Begin after an assignment with empty buffers and unknown lags.

        Args:
            positions: next offset to consume of each topic; a topic without one begins at its first fetch, since the
                oldest events of a log may have been deleted.
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

        Items received before are dropped, so a redelivery is harmless. A fetch may have no items, but only `end` and
        `high_watermark`: a log may end in control records, such as the markers of transactions.

        Args:
            topic: one of `topics`.
            start: offset at which the fetch began.
            items: fetched.
            times: one per item, µs; they need not ascend within a topic.
            offsets: one per item, ascending, in [start, end).
            end: offset at which the next fetch begins.
            high_watermark: end of the log in this fetch response.
            size: bytes of all items.

        Raises:
            AlignmentGap: the fetch begins after the next expected offset.
        """
        queue = self._by_topic[topic]
        expected = start if queue.end == _UNKNOWN else queue.end
        # 1. Never skip a gap: its events would be lost silently.
        if start > expected:
            raise AlignmentGap(topic=topic, expected=expected, start=start)
        # 2. A fetch that ends before the expected offset is outdated, and so is its high watermark.
        if end < expected:
            return
        # 3. The next regular fetch determines the lag; a redelivered one may be older than what is known.
        queue.high_watermark = high_watermark if start == expected else max(high_watermark, queue.high_watermark)
        queue.end = end
        # 4. Keep only what is new.
        seen = 0 if start == expected else bisect_left(offsets, expected)
        entries = list(zip(repeat(self.topics.index(topic)), offsets, times, items, strict=False))[seen:]
        if entries:
            queue.add(entries, size * len(entries) // len(items))

    def promise(self, topic: str, end: int) -> None:
        """Hold the others back while a topic is empty and not fetched up to `end`, even if it seems caught up.

        A publisher writes its topics concurrently, and a fetch of one may be older than a fetch of another. The latest
        promise counts, so that a wrong one is corrected by the next.

        Args:
            topic: one of `topics`.
            end: an offset; UNENDING: whenever the topic is empty, more records will follow.
        """
        self._by_topic[topic].promised = end

    def pop(self, limit: int, only: str | None = None) -> list[Entry[ItemT]]:
        """Take the next entries in order.

        Args:
            limit: maximum number of entries.
            only: take from this topic only, without regard to the others.

        Returns:
            (index of the topic in `topics`, offset, time in µs, item). Fewer than `limit`, or none, when a topic is
            empty and not known to be caught up, or when no entries are left.
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
        """Take from the topic with the smallest head while it is smallest; return whether it is empty and may lag."""
        index = heads[0][1]
        queue = self._queues[index]
        entries = queue.entries
        # 1. The run ends at the second smallest head: a child of the heap's root.
        rival_time, rival_index = min(heads[1:3], default=(_LAST, index))
        bound = rival_time + (index < rival_index)
        # 2. Its first entry is below the bound. Times need not ascend, so each one is compared.
        room = limit - len(taken)
        while room and entries and entries[0][_TIME] < bound:
            taken.append(entries.popleft())
            room -= 1
        # 3. Its new head joins the heads; without one, the others continue only if the topic is caught up.
        if entries:
            heapreplace(heads, (entries[0][_TIME], index))
            return False
        heappop(heads)
        return not queue.caught_up

    def put_back(self, entries: Sequence[Entry[ItemT]]) -> None:
        """Return the last entries of the last `pop`, in their order; the next `pop` takes them again."""
        for entry in reversed(entries):
            self._queues[entry[0]].entries.appendleft(entry)

    def wants(self, topic: str) -> bool:
        """Return whether to fetch more of a topic; a topic that holds the others back is empty, so it is fetched."""
        return self._by_topic[topic].buffered_bytes < self._share

    @property
    def positions(self) -> dict[str, int]:
        """Next offset to consume of each topic: of the first item not popped, or the end of the last fetch.

        A topic that began without a position is missing until its first fetch; nothing is popped before that.
        """
        return {topic: queue.position for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def heads(self) -> list[ItemT]:
        """First item of each topic that is not empty."""
        return [queue.entries[0][3] for queue in self._queues if queue.entries]

    @property
    def ends(self) -> dict[str, int]:
        """Next offset to fetch of each topic whose position is known."""
        return {topic: queue.end for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def lags(self) -> dict[str, int | None]:
        """Number of offsets between position and high watermark of each topic; None: not known yet."""
        return {
            topic: None if queue.high_watermark == _UNKNOWN else max(0, queue.high_watermark - queue.position)
            for topic, queue in self._by_topic.items()
        }

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Topics that hold the others back: empty and not known to be caught up."""
        return tuple(topic for topic, queue in self._by_topic.items() if not queue.entries and not queue.caught_up)

    @property
    def waiting_for_promised(self) -> tuple[str, ...]:
        """Topics of `waiting_for` whose last fetch found nothing, although more records are promised."""
        queues = self._by_topic.items()
        return tuple(
            topic for topic, queue in queues if not queue.entries and queue.promised > queue.end >= queue.high_watermark
        )

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the buffered items of all topics."""
        return sum(queue.buffered_bytes for queue in self._queues)

    @property
    def buffered_items(self) -> int:
        """Number of buffered items of all topics."""
        return sum(len(queue.entries) for queue in self._queues)
