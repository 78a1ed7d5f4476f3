"""State vectors of many customers as columns, from which features are computed."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.state.complaints import open_since
from stream_app.core.state.vector import (
    DECAYED,
    DECAYED_AT,
    DECAYED_START,
    FIRST_ORDER,
    HALF_LIVES,
    LAST_ORDER,
    NEVER,
    ORDER_DAYS,
    RING_END,
    RING_START,
    SLOT,
    SLOTS,
)

LONG_AGO: Final = 400.0  # days; anything longer ago is treated as never
_DECAY_LIMIT: Final = 1000.0  # half-lives; 2 ** -1000 does not underflow


def mean_gap(repeats: Floats, span: Floats, age: Floats, horizon: float) -> Floats:
    """Return the mean gap between order days; see StateFrame.mean_gap. All arguments except `repeats` are in days."""
    return np.where(repeats > 0, span / np.maximum(repeats, 1.0), age + horizon / 2)


class StateFrame:
    """State vectors of n customers as columns.

    Args:
        vector: state vectors, shape (n, len(SLOTS)).
        now: time of each decision, days since 1970-01-01 UTC, shape (n,).
        horizon: churn horizon, days.
    """

    def __init__(self, vector: Floats, now: Floats, horizon: float) -> None:
        if vector.shape != (len(now), len(SLOTS)):
            raise ValueError(f"state vectors have the shape {vector.shape}, not {(len(now), len(SLOTS))}")
        # One contiguous row per slot, so that numpy's vector routines give identical bits for any number of customers.
        self.columns = np.ascontiguousarray(vector.T)
        self.vector = vector
        self.now = now
        self.horizon = horizon

    def __getitem__(self, name: str) -> Floats:
        """Return the column of a slot."""
        return self.columns[SLOT[name]]

    def rows(self, rows: Ints) -> StateFrame:
        """Return the frame of some of the customers."""
        return StateFrame(self.vector[rows], self.now[rows], self.horizon)

    def days_since(self, name: str) -> Floats:
        """Return the days since the time in a slot, clipped to [0, LONG_AGO]."""
        return np.clip(self.now - self[name], 0.0, LONG_AGO)

    def decayed(self, kind: str, half_life: float) -> Floats:
        """Return the decayed count of a kind at decision time."""
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
        return self.days_since("last_seen")

    @cached_property
    def age(self) -> Floats:
        """Days since the first order."""
        return np.maximum(self.now - self.columns[FIRST_ORDER], 0.0)

    @cached_property
    def span(self) -> Floats:
        """Days between the first and the last order."""
        return np.maximum(self.columns[LAST_ORDER] - self.columns[FIRST_ORDER], 0.0)

    @cached_property
    def order_days(self) -> Floats:
        """Number of distinct days with an order."""
        return self.columns[ORDER_DAYS]

    @cached_property
    def repeats(self) -> Floats:
        """Number of gaps between order days."""
        return np.maximum(self.order_days - 1.0, 0.0)

    @cached_property
    def mean_gap(self) -> Floats:
        """Mean gap between order days, in days. For one-time buyers: their age plus half a horizon."""
        return mean_gap(self.repeats, self.span, self.age, self.horizon)

    @cached_property
    def gap_deviation(self) -> Floats:
        """Standard deviation of the gaps, in days; 0 if there are fewer than two."""
        mean = np.where(self.repeats > 0, self.mean_gap, 0.0)
        squares = self["gap_squares"] / np.maximum(self.repeats, 1.0)
        return np.sqrt(np.maximum(squares - mean * mean, 0.0))

    @cached_property
    def log_gap(self) -> Floats:
        """Mean logarithm of the gaps, shrunk towards the horizon's logarithm by one pseudo-observation."""
        return (self["gap_logs"] + np.log(self.horizon)) / (self.repeats + 1.0)

    @cached_property
    def log_gap_deviation(self) -> Floats:
        """Standard deviation of the logarithm of the gaps, shrunk towards 1 by two pseudo-observations."""
        squares = self["gap_log_squares"] - self["gap_logs"] ** 2 / np.maximum(self.repeats, 1.0) + 2.0
        return np.sqrt(np.maximum(squares / (self.repeats + 2.0), 0.05))

    @cached_property
    def recent_gaps(self) -> tuple[Floats, Bools]:
        """The most recent gaps between order days, oldest first, and whether each exists; shape (n, RING - 1)."""
        ring = self.vector[:, RING_START:RING_END]
        return np.diff(ring, axis=1), ring[:, :-1] > NEVER

    @cached_property
    def last_gap(self) -> Floats:
        """Most recent gap between order days, or the mean gap if there is none."""
        gaps, exist = self.recent_gaps
        return np.where(exist[:, -1], gaps[:, -1], self.mean_gap)

    @cached_property
    def longer_gaps(self) -> Floats:
        """Number of recent gaps that were longer than the current silence."""
        gaps, exist = self.recent_gaps
        longer = exist & (gaps > self.recency[:, None])
        return longer.sum(axis=1).astype(np.float64)

    @cached_property
    def gaps_ending_within_horizon(self) -> Floats:
        """Number of these longer gaps that ended within the horizon."""
        gaps, exist = self.recent_gaps
        recency = self.recency[:, None]
        ending = exist & (gaps > recency) & (gaps <= recency + self.horizon)
        return ending.sum(axis=1).astype(np.float64)

    @cached_property
    def complaint_opened(self) -> Floats:
        """Time when each open complaint was opened, or NEVER if closed; shape (n, CASES)."""
        return open_since(self.vector)
