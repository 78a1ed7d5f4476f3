"""Placement check: the share of records that are not in their customer's partition, and how to fix it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KEY_REMEDY: Final = "Use customer_id as plain text for the record key."
PARTITIONER_REMEDY: Final = (
    "Partition by murmur2, as Java does. librdkafka (Python, Go, C#, PHP): partitioner=murmur2_random."
)
PLACEMENT_REMEDY: Final = f"{KEY_REMEDY} {PARTITIONER_REMEDY} `stream-app topics check` covers other clients."
Counts = tuple[int, int]
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
        # By role: numbers of records and of misplaced records in the last full window, and since then.
        self._windows: dict[str, tuple[Counts, Counts]] = {}

    def add(self, records: Mapping[str, int], misplaced: Mapping[str, int]) -> None:
        """Add the numbers of records and of misplaced records in a commit, by topic role."""
        for role in {*records, *misplaced}:
            before, (total, wrong) = self._windows.get(role, ((0, 0), (0, 0)))
            if role in records and total >= WINDOW:
                before, total, wrong = (total, wrong), 0, 0
            self._windows[role] = before, (total + records.get(role, 0), wrong + misplaced.get(role, 0))

    @property
    def ready(self) -> bool:
        """Whether the share of misplaced records is acceptable in every topic."""
        return all(wrong < FEWEST or wrong <= MAX_SHARE * total for total, wrong in self._sums().values())

    def problem(self, topics: Mapping[str, str]) -> str:
        """Return a problem and its remedy, both empty if no record is misplaced.

        Args:
            topics: topic names by role.
        """
        found = [
            f"{wrong} of the last {total} records of {topics[role]}"
            for role, (total, wrong) in sorted(self._sums().items())
            if wrong
        ]
        if not found:
            return ""
        return f"{', '.join(found)} are in a partition other than their customer's: {PLACEMENT_REMEDY}"

    def _sums(self) -> dict[str, Counts]:
        return {role: (before[0] + now[0], before[1] + now[1]) for role, (before, now) in self._windows.items()}
