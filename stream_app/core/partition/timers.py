"""Stream-time timers: a calendar queue that returns due items in order of (due, customer).

`quiet_customers.py` uses it to score quiet customers, `sla_watch.py` to watch service targets.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

from stream_app.core.units import NOT_DUE

ItemT = TypeVar("ItemT")


class Timers(Generic[ItemT]):
    """Timers in buckets of equal width. Only the current bucket is kept sorted.

    Adding and removing timers costs the same for a million timers as for a thousand, unlike in a heap.
    Calendar queue: Brown, Communications of the ACM 31(10), 1988.

    Args:
        width: bucket width, microseconds; about a thousandth of the typical time until an item is due.

    >>> timers = Timers(width=10)
    >>> for due, name in [(25, "b"), (25, "a"), (7, "c"), (31, "d")]:
    ...     timers.add(due, name, None)
    >>> timers.next_due
    7
    >>> [name for due, name, _ in timers.take_before(26)], timers.next_due
    (['c', 'a', 'b'], 31)
    """

    __slots__ = ("_buckets", "_current", "_current_end", "_starts", "_width", "next_due")

    def __init__(self, width: int) -> None:
        self._width = max(width, 1)
        self._buckets: dict[int, list[tuple[int, str, ItemT]]] = {}
        self._starts: list[int] = []
        self._current: list[tuple[int, str, ItemT]] = []  # latest first, so that timers are removed by popping
        self._current_end = 0  # index of the first bucket after the current one
        self.next_due = NOT_DUE  # microseconds; nothing is due before it

    def add(self, due: int, customer: str, item: ItemT) -> None:
        """Set a timer. Its (due, customer) must be unique."""
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

    def take_before(self, until: int, limit: int = NOT_DUE) -> list[tuple[int, str, ItemT]]:
        """Remove and return at most `limit` timers due strictly before `until`, in order of (due, customer)."""
        taken: list[tuple[int, str, ItemT]] = []
        while self.next_due < until and len(taken) < limit:
            taken.append(self._current.pop() if self._current else self._open_next().pop())
            self.next_due = self._current[-1][0] if self._current else self._first_of_next()
        return taken

    def _open_next(self) -> list[tuple[int, str, ItemT]]:
        index = heappop(self._starts)
        self._current = sorted(self._buckets.pop(index), key=_order, reverse=True)
        self._current_end = index + 1
        return self._current

    def _first_of_next(self) -> int:
        if not self._starts:
            return NOT_DUE
        return min(due for due, _, _ in self._buckets[self._starts[0]])


def _order(timer: tuple[int, str, object]) -> tuple[int, str]:
    return timer[0], timer[1]
