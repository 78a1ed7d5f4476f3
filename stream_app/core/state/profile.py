"""Profile of a customer at one time, for explanations: state vector, counters, open complaints and shop."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.complaints import steps_of
from stream_app.core.state.counters import COUNTER, Counters, contacts_per_week
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import NEVER, SLOT, StateVector

_HOURS_PER_DAY: Final = 24.0


class CustomerProfile:
    """The data that evidence rules and segments are computed from.

    Args:
        vector: the customer's state vector.
        counters: the customer's counters.
        now: time of the profile, days since 1970-01-01 UTC.
        horizon: the shop's horizon, days.
        shop: the customer's shop.
        solve_days: service target for resolving a complaint, days.
    """

    def __init__(
        self,
        vector: StateVector[float],
        counters: Counters[int],
        now: float,
        horizon: float,
        shop: KnownShop,
        solve_days: float,
    ) -> None:
        self.vector = vector
        self.counters = counters
        self.now = now
        self.shop = shop
        self.solve_days = solve_days
        self.frame = StateFrame(np.array([vector]), np.array([now]), horizon)

    def slot(self, name: str) -> float:
        """Return the value of a slot of the state vector."""
        return float(self.vector[SLOT[name]])

    def counter(self, name: str) -> int:
        """Return the total of a counter (one of counters.COUNTED) over the last two periods."""
        return self.counters[COUNTER[name]] + self.counters[COUNTER[f"{name}_before"]]

    def distinct(self, name: str) -> int:
        """Return the number of bits set in a bitmap (one of counters.COUNTED) over the last two periods.

        This is a lower bound on the number of distinct names.
        """
        return (self.counters[COUNTER[name]] | self.counters[COUNTER[f"{name}_before"]]).bit_count()

    @cached_property
    def silent_days(self) -> float:
        """Days since the last order, or since the last event for customers without an order."""
        has_ordered = self.slot("last_order") != NEVER
        return float(self.frame.recency[0] if has_ordered else self.frame.silence[0])

    @cached_property
    def repeats(self) -> int:
        """Number of gaps between order days."""
        return int(self.frame.repeats[0])

    @cached_property
    def usual_gap_days(self) -> float:
        """Mean gap between order days, in days; NaN for one-time buyers."""
        return float(self.frame.mean_gap[0]) if self.repeats else float("nan")

    @cached_property
    def orders(self) -> int:
        """Number of orders that count."""
        return int(self.slot("orders"))

    @cached_property
    def mean_amount(self) -> float:
        """Geometric mean of the customer's order amounts."""
        return float(np.expm1(self.slot("log_money") / self.orders)) if self.orders else 0.0

    @cached_property
    def open_days(self) -> list[float]:
        """Ages of the open complaints, in days, oldest first."""
        return sorted((self.now - case.opened for case in steps_of(self.vector) if case.is_open), reverse=True)

    @cached_property
    def answer_hours(self) -> float:
        """Longest wait for an answer to a complaint so far, in hours; 0 without complaints."""
        waits = [
            (case.answered if case.was_answered else self.now) - case.opened
            for case in steps_of(self.vector)
            if case.was_answered or (case.is_open and not case.was_answered)
        ]
        return max(waits, default=0.0) * _HOURS_PER_DAY

    @cached_property
    def contacts_per_week(self) -> float:
        """Recent number of messages to the customer per week."""
        return contacts_per_week(self.counters, self.now)
