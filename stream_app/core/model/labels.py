"""Delayed churn labels: a decision waits, with all that the models saw, until the watermark has passed its horizon."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from stream_app.core.events.schema import Event, Order
from stream_app.core.settings import Settings

RETAINED, CHURNED = 0, 1


def counts_as_order(event: Event, settings: Settings) -> bool:
    """Whether an event is the step of an order that the shop counts as one: placed or paid, as it has decided."""
    return isinstance(event, Order) and event.action == settings.order_action


class Pending:
    """A decision whose label is not known yet: what the models saw and said, so that they can learn from it later."""

    __slots__ = (
        "customer",
        "decided_at",
        "features",
        "index",
        "log_odds",
        "probability",
        "returned",
        "source",
        "version",
    )

    def __init__(self, customer: str, decided_at: int) -> None:
        self.customer = customer
        self.decided_at = decided_at  # microseconds
        self.features = b""  # float16, one a feature
        self.log_odds = b""  # float16, one an expert and the mixture's: the columns of learner.Scores.log_odds
        self.probability = 0.5  # a float32 in exact
        self.source = 0
        self.version = 0
        self.index = 0  # of the decision among all that were made
        self.returned = False  # whether an order later than decided_at, and within the horizon, is known


@dataclass(frozen=True, slots=True)
class Matured:
    """A decision with its label."""

    pending: Pending
    label: int
    matured_at: int  # decided_at + horizon, microseconds


class Returned(NamedTuple):
    """A decision whose customer has ordered since, as first heard of: a late event may yet tell of an earlier order."""

    decided_at: int  # microseconds
    returned_at: int  # microseconds


class Waiting:
    """The decisions of a partition that wait for their labels, oldest first."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._queue: deque[Pending] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, pending: Pending) -> None:
        """Let a decision wait; decisions come in order of (decided_at, customer)."""
        self._queue.append(pending)

    def mature(self, watermark: int) -> Iterator[Matured]:
        """Remove and yield every decision whose horizon has passed by the watermark.

        Both labels are released at the same moment, decided_at + horizon. A customer who orders is known to be retained
        long before, but learning from those answers first would show the models a cohort of customers who all stay.
        """
        queue = self._queue
        while queue and queue[0].decided_at + self._horizon <= watermark:
            pending = queue.popleft()
            label = RETAINED if pending.returned else CHURNED
            yield Matured(pending, label, pending.decided_at + self._horizon)


def record_order(waiting: list[Pending], at: int, horizon: int, closed: int) -> list[Returned]:
    """Tell a customer's waiting decisions of an order, and return those that hear of one for the first time.

    A decision whose horizon ended by `closed` has its label already, whether it was released in this batch or not.
    """
    first = []
    for pending in waiting:
        end = pending.decided_at + horizon
        if pending.decided_at < at <= end and end > closed and not pending.returned:
            pending.returned = True
            first.append(Returned(pending.decided_at, at))
    return first
