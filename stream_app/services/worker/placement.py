"""Whether the records that come lie in the partitions of their customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stream_app.core.partition.placement import PLACEMENT_REMEDY

WINDOW: Final = 1_000  # records of a topic
MAX_SHARE: Final = 0.01  # of misplaced records, above which the worker is not ready
FEWEST: Final = 10  # below it a share says nothing


class Placement:
    """The share of misplaced records among the last ones of each topic.

    >>> placement = Placement()
    >>> placement.note({"orders": 99}, {"orders": 1})
    >>> placement.ready, placement.told({"orders": "shop.orders"}).partition(":")[0]
    (True, "1 of the last 99 records of shop.orders are in another partition than their customer's")
    >>> placement.note({"orders": 101}, {"orders": 49})
    >>> placement.ready
    False
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}  # records, misplaced: the last full window, by role
        self._now: dict[str, tuple[int, int]] = {}

    def note(self, records: Mapping[str, int], misplaced: Mapping[str, int]) -> None:
        """Note the records of a commit by role, and how many of them were misplaced."""
        for role, count in records.items():
            total, wrong = self._now.get(role, (0, 0))
            if total >= WINDOW:
                self._before[role], total, wrong = (total, wrong), 0, 0
            self._now[role] = total + count, wrong
        for role, count in misplaced.items():
            total, wrong = self._now.get(role, (0, 0))
            self._now[role] = total, wrong + count

    @property
    def ready(self) -> bool:
        """Whether no topic holds more than a few of them."""
        return all(wrong < FEWEST or wrong <= MAX_SHARE * total for total, wrong in self._windows().values())

    def told(self, topics: Mapping[str, str]) -> str:
        """Return what is wrong and the remedy; empty if nothing is. `topics`: names by role."""
        found = [
            f"{wrong} of the last {total} records of {topics[role]}"
            for role, (total, wrong) in sorted(self._windows().items())
            if wrong
        ]
        if not found:
            return ""
        return f"{', '.join(found)} are in another partition than their customer's: {PLACEMENT_REMEDY}"

    def _windows(self) -> dict[str, tuple[int, int]]:
        windows = {}
        for role, (total, wrong) in self._now.items():
            before_total, before_wrong = self._before.get(role, (0, 0))
            windows[role] = total + before_total, wrong + before_wrong
        return windows
