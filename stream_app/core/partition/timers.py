"""Due moments in stream time: a calendar queue that hands out what is due in order of (due, customer)."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Timers(Generic[ItemT]):
    """Timers in buckets of equal width, of which only the one that is being worked off is kept sorted.

    Adding and taking cost the same at a million timers as at a thousand, where a heap would pay for its depth.
    Calendar queue: Brown, Communications of the ACM 31(10), 1988.

    Args:
        width: of a bucket, microseconds; about a thousandth of the usual distance to the due moment.

    >>> timers = Timers(width=10)
    >>> for due, name in [(25, "b"), (25, "a"), (7, "c"), (31, "d")]:
    ...     timers.add(due, name, None)
    >>> timers.next_due
    7
    >>> [name for due, name, _ in timers.take_before(26)], len(timers)
    (['c', 'a', 'b'], 1)
    """

    __slots__ = ("_buckets", "_current", "_current_end", "_size", "_starts", "_width", "next_due")

    def __init__(self, width: int) -> None:
        self._width = max(width, 1)
        self._buckets: dict[int, list[tuple[int, str, ItemT]]] = {}
        self._starts: list[int] = []
        self._current: list[tuple[int, str, ItemT]] = []  # latest first, so that taking is popping
        self._current_end = 0  # index of the first bucket after the current one
        self._size = 0
        self.next_due = _NEVER  # microseconds; nothing is due before it

    def __len__(self) -> int:
        return self._size

    def add(self, due: int, customer: str, item: ItemT) -> None:
        """Set a timer; (due, customer) must be unique."""
        self._size += 1
        index = due // self._width
        if index < self._current_end:
            self._current.append((due, customer, item))
            self._current.sort(key=_order, reverse=True)
        elif (bucket := self._buckets.get(index)) is not None:
            bucket.append((due, customer, item))
        else:
            self._buckets[index] = [(due, customer, item)]
            heappush(self._starts, index)
        self.next_due = min(self.next_due, due)

    def take_before(self, until: int, limit: int = 1 << 62) -> list[tuple[int, str, ItemT]]:
        """Remove and return what is due strictly before `until`, by (due, customer), at most `limit` of it."""
        taken: list[tuple[int, str, ItemT]] = []
        while self.next_due < until and len(taken) < limit:
            taken.append(self._current.pop() if self._current else self._open_next().pop())
            self.next_due = self._current[-1][0] if self._current else self._first_of_next()
        self._size -= len(taken)
        return taken

    def _open_next(self) -> list[tuple[int, str, ItemT]]:
        index = heappop(self._starts)
        self._current = sorted(self._buckets.pop(index), key=_order, reverse=True)
        self._current_end = index + 1
        return self._current

    def _first_of_next(self) -> int:
        """The earliest due of the next bucket."""
        if not self._starts:
            return _NEVER
        return min(due for due, _, _ in self._buckets[self._starts[0]])


_NEVER = 1 << 62


def _order(timer: tuple[int, str, object]) -> tuple[int, str]:
    return timer[0], timer[1]
