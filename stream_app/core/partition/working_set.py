"""Holds a partition's customers in memory."""

from __future__ import annotations

from collections.abc import Iterable

from stream_app.core.alerts.ranking import Ranking
from stream_app.core.customers.customer import Customer


class WorkingSet:
    """The customers of one partition number, their ranking, and the set of customers changed since the last commit.

    Args:
        agreement: minimum time between the two decisions used for the ranking, microseconds.
    """

    def __init__(self, agreement: int) -> None:
        self.by_name: dict[str, Customer] = {}
        self.by_index: list[Customer] = []  # customers by index in the ranking
        self.ranking = Ranking(agreement)
        self.changed: set[Customer] = set()

    def add(self, customers: Iterable[Customer]) -> None:
        """Add customers and assign each an index in the ranking."""
        for customer in customers:
            customer.index = len(self.by_index)
            self.by_name[customer.name] = customer
            self.by_index.append(customer)
        self.ranking.reserve(len(self.by_index))

    def take_changed(self) -> list[Customer]:
        """Return the customers that have changed since the last call, sorted by name."""
        changed = sorted(self.changed, key=lambda customer: customer.name)
        self.changed.clear()
        return changed
