"""Many customers' facts at their moments of decision, as columns that features are computed from."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats
from stream_app.core.state.complaints import open_since
from stream_app.core.state.vector import (
    DECAYED,
    DECAYED_AT,
    DECAYED_START,
    FIRST_ORDER,
    HALF_LIVES,
    LAST_ORDER,
    LAST_SEEN,
    NEVER,
    ORDER_DAYS,
    RING_END,
    RING_START,
    SLOT,
    SLOTS,
)

LONG_AGO: Final = 400.0  # days; "never" and "longer than a year ago" say the same
_DECAY_LIMIT: Final = 1000.0  # half-lives; 2 ** -1000 is still a number


def mean_gap(repeats: Floats, span: Floats, age: Floats, horizon: float) -> Floats:
    """Mean gap between order days, days: see StateFrame.mean_gap. All arguments but the repeats are in days."""
    return np.where(repeats > 0, span / np.maximum(repeats, 1.0), age + horizon / 2)


class StateFrame:
    """Columns over n customers.

    Args:
        facts: the customers' facts, shape (n, len(SLOTS)).
        now: the moment of each decision, days since 1970-01-01 UTC, shape (n,).
        horizon: days within which an order means that a customer stayed.
    """

    def __init__(self, vector: Floats, now: Floats, horizon: float) -> None:
        if vector.shape != (len(now), len(SLOTS)):
            raise ValueError(f"vectors have the shape {vector.shape}, not {(len(now), len(SLOTS))}")
        # One contiguous row a fact: numpy's vector routines then treat every value alike, whatever the number of rows.
        self.columns = np.ascontiguousarray(vector.T)
        self.vector = vector
        self.now = now
        self.horizon = horizon

    def __getitem__(self, name: str) -> Floats:
        """A fact by its name."""
        return self.columns[SLOT[name]]

    def days_since(self, name: str) -> Floats:
        """Days since a time among the facts, LONG_AGO at most, 0 at least."""
        return np.clip(self.now - self[name], 0.0, LONG_AGO)

    def decayed(self, kind: str, half_life: float) -> Floats:
        """The decayed count of a kind at the moment of decision."""
        index = DECAYED.index(kind)
        age = self.now - self.columns[DECAYED_AT + index]
        value = self.columns[DECAYED_START + index * len(HALF_LIVES) + HALF_LIVES.index(half_life)]
        return value * np.exp2(-np.clip(age / half_life, 0.0, _DECAY_LIMIT))

    @cached_property
    def recency(self) -> Floats:
        """Days since the last order."""
        return np.maximum(self.now - self.columns[LAST_ORDER], 0.0)

    @cached_property
    def silence(self) -> Floats:
        """Days since any event."""
        return np.clip(self.now - self.columns[LAST_SEEN], 0.0, LONG_AGO)

    @cached_property
    def age(self) -> Floats:
        """Days since the first order."""
        return np.maximum(self.now - self.columns[FIRST_ORDER], 0.0)

    @cached_property
    def span(self) -> Floats:
        """Days from the first order to the last."""
        return np.maximum(self.columns[LAST_ORDER] - self.columns[FIRST_ORDER], 0.0)

    @cached_property
    def order_days(self) -> Floats:
        """Distinct days with an order."""
        return self.columns[ORDER_DAYS]

    @cached_property
    def repeats(self) -> Floats:
        """Gaps between order days: repeat purchases."""
        return np.maximum(self.order_days - 1.0, 0.0)

    @cached_property
    def mean_gap(self) -> Floats:
        """Mean gap between order days, days; for one-time buyers their age plus half a horizon: no gap seen so far."""
        return mean_gap(self.repeats, self.span, self.age, self.horizon)

    @cached_property
    def gap_deviation(self) -> Floats:
        """Standard deviation of the gaps, days; 0 with fewer than two."""
        mean = np.where(self.repeats > 0, self.mean_gap, 0.0)
        squares = self["gap_squares"] / np.maximum(self.repeats, 1.0)
        return np.sqrt(np.maximum(squares - mean * mean, 0.0))

    @cached_property
    def log_gap(self) -> Floats:
        """Mean logarithm of the gaps, shrunk towards the horizon's by one gap."""
        return (self["gap_logs"] + np.log(self.horizon)) / (self.repeats + 1.0)

    @cached_property
    def log_gap_deviation(self) -> Floats:
        """Standard deviation of the logarithm of the gaps, shrunk towards 1 by two gaps."""
        squares = self["gap_log_squares"] - self["gap_logs"] ** 2 / np.maximum(self.repeats, 1.0) + 2.0
        return np.sqrt(np.maximum(squares / (self.repeats + 2.0), 0.05))

    @cached_property
    def recent_gaps(self) -> tuple[Floats, Bools]:
        """The last gaps between order days, oldest first, and which of them exist; shape (n, RING - 1)."""
        ring = self.vector[:, RING_START:RING_END]
        return np.diff(ring, axis=1), ring[:, :-1] > NEVER

    @cached_property
    def last_gap(self) -> Floats:
        """The last gap between order days; the mean gap where there is none."""
        gaps, exist = self.recent_gaps
        return np.where(exist[:, -1], gaps[:, -1], self.mean_gap)

    @cached_property
    def longer_gaps(self) -> Floats:
        """How many of the last gaps were longer than the present silence."""
        gaps, exist = self.recent_gaps
        longer = exist & (gaps > self.recency[:, None])
        return longer.sum(axis=1).astype(np.float64)

    @cached_property
    def gaps_ending_within_horizon(self) -> Floats:
        """How many of the last gaps, having lasted as long as the present silence, ended within the horizon."""
        gaps, exist = self.recent_gaps
        recency = self.recency[:, None]
        ending = exist & (gaps > recency) & (gaps <= recency + self.horizon)
        return ending.sum(axis=1).astype(np.float64)

    @cached_property
    def complaint_opened(self) -> Floats:
        """When each remembered complaint that is still open was opened, NEVER where closed; shape (n, CASES)."""
        return open_since(self.vector)
