"""Placement check: the share of records that are not in their customer's partition, and how to fix it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KEY_REMEDY: Final = "Use customer_id as plain text for the record key."
PARTITIONER_REMEDY: Final = (
    "Partition by murmur2, as Java does. librdkafka (Python, Go, C#, PHP): partitioner=murmur2_random."
)
PLACEMENT_REMEDY: Final = f"{KEY_REMEDY} {PARTITIONER_REMEDY} `stream-app topics check` covers other clients."
WINDOW: Final = 1_000  # number of records per topic
MAX_SHARE: Final = 0.01  # share of misplaced records above which the worker is not ready
FEWEST: Final = 10  # with fewer misplaced records, the share is not significant


class Placement:
    """Tracks the share of misplaced records among the latest records of each topic.

    >>> placement = Placement()
    >>> placement.add({"orders": 99}, {"orders": 1})
    >>> placement.ready, placement.problem({"orders": "shop.orders"}).partition(":")[0]
    (True, "1 of the last 99 records of shop.orders are in a partition other than their customer's")
    >>> placement.add({"orders": 101}, {"orders": 49})
    >>> placement.ready
    False
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}  # by role: records and misplaced records in the last full window
        self._now: dict[str, tuple[int, int]] = {}

    def add(self, records: Mapping[str, int], misplaced: Mapping[str, int]) -> None:
        """Add the numbers of records and of misplaced records in a commit, by topic role."""
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
        """Whether the share of misplaced records is acceptable in every topic."""
        return all(wrong < FEWEST or wrong <= MAX_SHARE * total for total, wrong in self._windows().values())

    def problem(self, topics: Mapping[str, str]) -> str:
        """Return a problem and its remedy, both empty if no record is misplaced.

        Args:
            topics: topic names by role.
        """
        found = [
            f"{wrong} of the last {total} records of {topics[role]}"
            for role, (total, wrong) in sorted(self._windows().items())
            if wrong
        ]
        if not found:
            return ""
        return f"{', '.join(found)} are in a partition other than their customer's: {PLACEMENT_REMEDY}"

    def _windows(self) -> dict[str, tuple[int, int]]:
        windows = {}
        for role, (total, wrong) in self._now.items():
            before_total, before_wrong = self._before.get(role, (0, 0))
            windows[role] = total + before_total, wrong + before_wrong
        return windows
