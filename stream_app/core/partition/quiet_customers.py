"""Decisions on quiet customers: every active customer is scored once per period, even without events.

This module decides when; `score_batch.py` computes the scores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import xxhash

from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending
from stream_app.core.model.lost_probability import Ended, StepCounts, StepGrid
from stream_app.core.partition.score_batch import ScoreBatch
from stream_app.core.partition.timers import Timers
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.state.vector import LAST_ORDER
from stream_app.core.units import DAY_US, SECOND_US


def phase_of(customer: str, period: int) -> int:
    """Return the offset of a customer's decisions within the period, in microseconds (whole seconds).

    Customers' offsets are spread evenly over the period.

    >>> 0 <= phase_of("c1", 7 * DAY_US) < 7 * DAY_US
    True
    """
    key = xxhash.xxh3_64_intdigest(customer.encode("utf-8", "surrogatepass"))
    return key % max(period // SECOND_US, 1) * SECOND_US


class DueDecisions:
    """Timers for the next decision on each active customer, and the decisions waiting for a label.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        batch: receives the states to score, as of the time of each decision.
    """

    def __init__(self, settings: Settings, working_set: WorkingSet, batch: ScoreBatch) -> None:
        self._settings, self._working_set, self._batch = settings, working_set, batch
        self.timers: Timers[Customer] = Timers(settings.decide_every // 1024)
        self.waiting: deque[Pending] = deque()  # in order of (decided_at, customer)
        self.made = 0  # number of decisions since the process started
        self._grid = StepGrid.of(settings) if settings.plans_calls else None
        self._ended: list[Ended] = []

    def schedule_first(self, customer: Customer, after: int) -> None:
        """Set the timer for the first decision on a customer who has become active.

        Args:
            customer: a customer who has no timer.
            after: the decision is made after this time, microseconds.
        """
        period = self._settings.decide_every
        self._set_timer(customer, after + 1 + (phase_of(customer.name, period) - after - 1) % period)

    def make_due(self, until: int, limit: int) -> int | None:
        """Make the decisions that are due before a time.

        Args:
            until: the time, microseconds.
            limit: maximum number of decisions.

        Returns:
            None if all due decisions were made, otherwise the time of the last decision made.
        """
        period = self._settings.decide_every
        # At most one period at a time, since each decision sets a timer for the customer's next one, a period later.
        while (due := self.timers.next_due) < until:
            due_now = self.timers.take_before(min(until, due + period), limit)
            for due_at, _, customer in due_now:
                self._decide(customer, due_at)
            limit -= len(due_now)
            if limit <= 0 and self.timers.next_due < until:
                return due_now[-1][0]
        return None

    def restore(self, customers: Sequence[Customer]) -> None:
        """Set the timers of restored customers and queue their waiting decisions."""
        for customer in customers:
            if customer.due:
                self.timers.add(customer.due, customer.name, customer)
        waiting = [pending for customer in customers for pending in customer.waiting]
        self.waiting.extend(sorted(waiting, key=lambda one: (one.decided_at, one.customer)))

    def _decide(self, customer: Customer, due: int) -> None:
        """Make the due decision and set the next timer, or stop scoring a customer who is no longer active."""
        self._working_set.changed.add(customer)
        if due - round(customer.vector[LAST_ORDER] * DAY_US) > self._settings.active_window:
            customer.due = 0
            self._batch.forget(customer)
            return
        self.made += 1
        if self._grid is not None:
            self._end_steps(customer, due, self._grid)
        pending = Pending(customer.name, due)
        customer.waiting.append(pending)
        customer.fresh += 1
        customer.packed = None
        self.waiting.append(pending)
        self._batch.add_decision(customer, pending)
        self._set_timer(customer, due + self._settings.decide_every)

    def _end_steps(self, customer: Customer, due: int, grid: StepGrid) -> None:
        """End a step of the customer's silence, for each decision within the horizon that began one.

        Decisions older than the horizon may still wait for their label; how long depends on batch boundaries.
        """
        period = self._settings.decide_every
        if not grid.begins_step(due, period):
            return
        every_decision, horizon, step = grid.step == period, grid.horizon, grid.step
        for pending in customer.waiting:
            age = due - pending.decided_at
            if age > horizon or pending.counted:
                continue
            if every_decision or grid.begins_step(pending.decided_at, period):
                self._ended.append(Ended(pending, age // step - 1, pending.returned))
                pending.counted = pending.returned

    def take_steps(self) -> StepCounts:
        """Return the steps that ended since the last call. Their decisions must have been scored."""
        counts = StepCounts()
        if self._grid is not None:
            counts.record(self._grid, self._ended)
            self._ended = []
        return counts

    def _set_timer(self, customer: Customer, due: int) -> None:
        customer.due = due
        self.timers.add(due, customer.name, customer)
