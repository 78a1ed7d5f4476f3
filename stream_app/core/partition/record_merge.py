"""One order over the topics of a partition number, whatever the speeds at which they are fetched."""

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
_UNKNOWN: Final = -1  # an offset that no fetch has told yet
_NEVER: Final = 1 << 63  # µs: later than all times
_TIME: Final = 2  # where the time stands in an entry; a named tuple would triple the cost of a push


@dataclass(slots=True)
class _Fetch:
    until: int  # how many items had been pushed when this fetch was in
    items: int
    size: int  # bytes


class _Queue(Generic[ItemT]):
    """What is buffered of one topic."""

    __slots__ = ("end", "entries", "fetched_bytes", "fetches", "high_watermark", "promised", "pushed")

    def __init__(self, end: int) -> None:
        self.entries: deque[Entry[ItemT]] = deque()
        self.end = end  # next offset to fetch
        self.high_watermark = _UNKNOWN
        self.promised = 0  # there are records up to this offset, whatever the last fetch has found
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
        """Bytes of what is left; a fetch's bytes are spread evenly over its items."""
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
    """Merges the topics of one partition number as Kafka Streams does: the smallest (time, topic, offset) of the heads.

    A worker that catches up reads its topics at different speeds. An empty buffer therefore holds the others back
    while its lag may be above zero, and for no longer: caught up means that the topic's own last fetch ended at its
    high watermark. A log that was published completely has one order, however it is cut into fetches; at the head of
    the log nothing waits, unless more is promised.

    The order is by heads: an event that comes late in its own topic keeps its place there, and goes next once it is
    the head.

    Only `pop` consumes. Who stops in the middle gives the rest back with `put_back`; `positions` then count only what
    was truly consumed.

    Args:
        topics: names, in order of precedence among equal times.
        max_bytes: of all buffers together; a topic whose buffer holds its equal share is not wanted. One fetch of each
            topic may come on top, since a fetch is not cut.

    >>> merge = RecordMerge[str](["ticks", "orders"])
    >>> merge.begin({"ticks": 0, "orders": 7})
    >>> merge.push("orders", 7, ["b", "c"], times=[20, 30], offsets=[7, 8], end=9, high_watermark=9, size=200)
    >>> merge.pop(10), merge.waiting_for  # how far the ticks are is not known
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
        """Start anew after an assignment: every buffer is dropped and every lag unknown.

        Args:
            positions: for each topic the next offset to consume; a topic without one begins where its first fetch does,
                since the oldest events of a log may be gone.
        """
        self._queues = [_Queue(positions.get(topic, _UNKNOWN)) for topic in self.topics]
        self._by_topic = dict(zip(self.topics, self._queues, strict=True))

    def push(  # noqa: PLR0913, PLR0917 - what a fetch response tells
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
        """Buffer what one fetch brought.

        What was seen before is cut off, so a redelivery does no harm. A fetch without items tells of `end` and
        `high_watermark` only: a log may end in records that are nobody's, such as the markers of transactions.

        Args:
            topic: one of `topics`.
            start: offset at which the fetch began.
            items: what was fetched.
            times: µs, one for each item; inside a topic they need not ascend.
            offsets: ascending, one for each item, in [start, end).
            end: offset at which the next fetch begins.
            high_watermark: the end of the topic's log as this fetch response told it.
            size: bytes of all items.

        Raises:
            AlignmentGap: the fetch begins after the offset that is expected next.
        """
        queue = self._by_topic[topic]
        expected = start if queue.end == _UNKNOWN else queue.end
        # 1. Never over a gap: its events would be lost without a trace.
        if start > expected:
            raise AlignmentGap(topic=topic, expected=expected, start=start)
        # 2. A fetch that ends before what we have is of an earlier time, and so is its high watermark.
        if end < expected:
            return
        # 3. The regular fetch has the last word on the lag; a redelivered one may be older than what we know.
        queue.high_watermark = high_watermark if start == expected else max(high_watermark, queue.high_watermark)
        queue.end = end
        # 4. Only what is new.
        seen = 0 if start == expected else bisect_left(offsets, expected)
        entries = list(zip(repeat(self.topics.index(topic)), offsets, times, items, strict=False))[seen:]
        if entries:
            queue.add(entries, size * len(entries) // len(items))

    def promise(self, topic: str, end: int) -> None:
        """Hold the others back while a topic is empty and not fetched up to `end`, although it seems to be caught up.

        A publisher writes its topics at once, and a fetch of one of them may be older than one of another. The latest
        promise counts, so that a wrong one lasts no longer than until the next.

        Args:
            topic: one of `topics`.
            end: an offset; UNENDING: whenever the topic is empty, more is to come.
        """
        self._by_topic[topic].promised = end

    def pop(self, limit: int, only: str | None = None) -> list[Entry[ItemT]]:
        """Take the next entries in order.

        Args:
            limit: at most so many.
            only: take from this topic alone, without regard to the others.

        Returns:
            (index of the topic in `topics`, offset, time in µs, item); fewer than `limit`, or none, when a topic is
            empty and not known to be caught up, or when nothing is left.
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
        """Take from the topic with the smallest head while it stays the smallest; True: it is empty and may lag."""
        index = heads[0][1]
        queue = self._queues[index]
        entries = queue.entries
        # 1. The run goes on up to the second smallest head: a child of the heap's root.
        rival_time, rival_index = min(heads[1:3], default=(_NEVER, index))
        bound = rival_time + (index < rival_index)
        # 2. Its first entry is below the bound. Times need not ascend, so each one is looked at.
        room = limit - len(taken)
        while room and entries and entries[0][_TIME] < bound:
            taken.append(entries.popleft())
            room -= 1
        # 3. Its new head takes its place among the heads; if it has none, the others go on only if it has caught up.
        if entries:
            heapreplace(heads, (entries[0][_TIME], index))
            return False
        heappop(heads)
        return not queue.caught_up

    def put_back(self, entries: Sequence[Entry[ItemT]]) -> None:
        """Give back the last entries of the last `pop`, in their order: they come again with the next one."""
        for entry in reversed(entries):
            self._queues[entry[0]].entries.appendleft(entry)

    def wants(self, topic: str) -> bool:
        """Whether to fetch more of a topic. One that holds the others back is empty, hence always wanted."""
        return self._by_topic[topic].buffered_bytes < self._share

    @property
    def positions(self) -> dict[str, int]:
        """The next offset to consume of each topic: of the first item not popped, or where the last fetch ended.

        A topic that was begun without a position is absent until its first fetch: nothing is popped before that.
        """
        return {topic: queue.position for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def heads(self) -> list[ItemT]:
        """What waits at the front of each topic that has something."""
        return [queue.entries[0][3] for queue in self._queues if queue.entries]

    @property
    def ends(self) -> dict[str, int]:
        """The next offset to fetch of each topic whose position is known."""
        return {topic: queue.end for topic, queue in self._by_topic.items() if queue.end != _UNKNOWN}

    @property
    def lags(self) -> dict[str, int | None]:
        """How many offsets lie between position and high watermark, of each topic; None: not known yet."""
        return {
            topic: None if queue.high_watermark == _UNKNOWN else max(0, queue.high_watermark - queue.position)
            for topic, queue in self._by_topic.items()
        }

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The topics that hold the others back: empty and not known to be caught up."""
        return tuple(topic for topic, queue in self._by_topic.items() if not queue.entries and not queue.caught_up)

    @property
    def promised_by(self) -> tuple[str, ...]:
        """Those of `waiting_for` in which the last fetch found nothing, although more is promised."""
        queues = self._by_topic.items()
        return tuple(
            topic for topic, queue in queues if not queue.entries and queue.promised > queue.end >= queue.high_watermark
        )

    @property
    def buffered_bytes(self) -> int:
        """Bytes of what is buffered, over all topics."""
        return sum(queue.buffered_bytes for queue in self._queues)

    @property
    def buffered_items(self) -> int:
        """How many items are buffered, over all topics."""
        return sum(len(queue.entries) for queue in self._queues)
