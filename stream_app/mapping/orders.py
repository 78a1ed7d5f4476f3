"""Merges the lines of an order into one event."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import msgspec

from stream_app.core.events.schema import Complaint, Event, Order

_OF_THE_FIRST: Final = frozenset({"event_id", "customer_id", "occurred_at", "shop_id", "action", "form"})
_SUMMED: Final = ("amount", "discount", "items")
_SUMMED_OF_COMPLAINTS: Final = ("amount",)


class OrderLines:
    """Merges the lines of one order, in log order, into one event.

    The event has the earliest time of all lines and the customer of the first line. Amounts, discounts and items are
    summed in log order; if the lines have no item counts, each line counts as one item. Other fields are kept if all
    lines agree. Merged events may be merged again.

    >>> from stream_app.core.events.schema import decode
    >>> text = '{"type":"order","event_id":"o","customer_id":"c","occurred_at":"2024-01-01T00:0%d:00Z","amount":%d}'
    >>> lines = OrderLines(decode(text % (5, 3)))
    >>> lines.add(decode(text % (2, 4)))
    >>> event = lines.event()
    >>> event.amount, event.items, event.occurred_at.minute
    (7.0, 2, 2)
    """

    def __init__(self, first: Event) -> None:
        self._first, self._earliest, self._count = first, first.occurred_at, 1
        summed = _SUMMED if isinstance(first, Order) else _SUMMED_OF_COMPLAINTS if isinstance(first, Complaint) else ()
        self._sums: dict[str, Any] = {name: getattr(first, name) for name in summed}
        # A field missing from the first line stays empty: either all lines lack it, or they disagree.
        skip = _OF_THE_FIRST.union(self._sums)
        named = ((name, getattr(first, name)) for name in first.__struct_fields__ if name not in skip)
        self._agreed = {name: value for name, value in named if value is not None}
        self._disagreed: dict[str, None] = {}

    def add(self, line: Event) -> None:
        """Add the next line."""
        self._count += 1
        if line.occurred_at < self._earliest:
            self._earliest = line.occurred_at
        for name, total in self._sums.items():
            value = getattr(line, name)
            if value is not None:
                self._sums[name] = value if total is None else total + value
        for name, value in self._agreed.items():
            if getattr(line, name) != value:
                self._disagreed[name] = None
        if self._disagreed:
            self._agreed = {name: value for name, value in self._agreed.items() if name not in self._disagreed}

    def event(self) -> Event:
        """Return the merged event."""
        sums = self._sums
        if "items" in sums and sums["items"] is None:
            sums = {**sums, "items": self._count}
        return msgspec.structs.replace(self._first, occurred_at=self._earliest, **sums, **self._disagreed)


def merge_groups(rows: Iterable[tuple[str | int, int, Event]]) -> Iterator[tuple[int, Event]]:
    """Merge (key, seq, line) rows sorted by key and seq; yield (seq of the first line, event) for each key."""
    for _, group in groupby(rows, key=operator.itemgetter(0)):
        _, seq, first = next(group)
        order = OrderLines(first)
        for _, _, line in group:  # noqa: B031 - continues after the first line
            order.add(line)
        yield seq, order.event()
