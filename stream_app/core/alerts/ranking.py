"""Ranking of a partition's customers by risk, from which alert candidates are selected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.core.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Ranks:
    """Rows of the ranking, stored as columns; NaN means no score."""

    earlier: Floats  # at the decision before the last one
    last: Floats  # at the last decision
    last_at: Ints  # time of the last decision, microseconds; undefined if there is none
    latest: Floats  # at the latest event or decision

    @classmethod
    def none(cls, size: int) -> Ranks:
        """Return the given number of rows without scores."""
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64), np.full(size, np.nan))


class Ranking:
    """Scores of a partition's customers, stored as columns so that ranking a million customers takes milliseconds.

    A customer is ranked by the smallest of three scores: those of the last two decisions at least `agreement` apart,
    and the latest score. A single high score therefore does not open an alert.

    Args:
        agreement: minimum time between the two decisions, microseconds.
    """

    def __init__(self, agreement: int) -> None:
        self._agreement = agreement
        self._earlier = np.full(1024, np.nan)  # at the decision before the last one; NaN: none
        self._last = np.full(1024, np.nan)
        self._last_at = np.zeros(1024, dtype=np.int64)
        self._latest = np.full(1024, np.nan)  # at the latest event or decision
        self.open = np.zeros(1024, dtype=bool)

    def reserve(self, size: int) -> None:
        """Grow the columns to hold customers with an index below `size`."""
        room = len(self._last)
        if size <= room:
            return
        more = max(size, 2 * room) - room
        for name in ("_earlier", "_last", "_latest"):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(more, np.nan)]))
        self._last_at = np.concatenate([self._last_at, np.zeros(more, dtype=np.int64)])
        self.open = np.concatenate([self.open, np.zeros(more, dtype=bool)])

    def rows(self, indices: Ints) -> Ranks:
        """Return the rows of the customers with these indices."""
        return Ranks(self._earlier[indices], self._last[indices], self._last_at[indices], self._latest[indices])

    def set_rows(self, indices: Ints, ranks: Ranks) -> None:
        """Set the rows of the customers with these indices."""
        self._earlier[indices], self._last[indices] = ranks.earlier, ranks.last
        self._last_at[indices], self._latest[indices] = ranks.last_at, ranks.latest

    def add_decision(self, index: int, at: int, probability: float) -> None:
        """Set the latest score, and add that of a decision unless the previous one is less than `agreement` old."""
        self._latest[index] = probability
        if np.isnan(self._last[index]) or at - self._last_at[index] >= self._agreement:
            self._earlier[index] = self._last[index]
            self._last_at[index] = at
            self._last[index] = probability

    def set_latest(self, indices: Ints, probabilities: Floats) -> None:
        """Set the latest scores of customers. If an index is repeated, its last score is used."""
        self._latest[indices] = probabilities

    def forget(self, index: int) -> None:
        """Remove the scores of a customer after an order or the last active day."""
        self._earlier[index] = self._last[index] = self._latest[index] = np.nan
        self._last_at[index] = 0  # unused without a score, but part of the stored state

    def latest(self, index: int) -> float:
        """Return the latest score of a customer, or NaN if there is none."""
        return float(self._latest[index])

    def latest_of(self, start: int, end: int) -> Floats:
        """Return the latest scores of the customers with indices in [start, end); NaN if a customer has no score."""
        return self._latest[start:end]

    def agreed(self, size: int) -> Floats:
        """Return the smallest of the three scores of each of the first `size` customers; NaN if not a candidate."""
        agreed = np.minimum(np.minimum(self._earlier[:size], self._last[:size]), self._latest[:size])
        agreed[self.open[:size]] = np.nan
        return agreed


def top_indices(values: Floats, count: int) -> Ints:
    """Return the indices of the `count` largest values, plus any ties with the smallest of them; NaNs are ignored.

    >>> sorted(top_indices(np.array([0.5, np.nan, 0.9, 0.5]), 2).tolist())
    [0, 2, 3]
    """
    eligible = np.flatnonzero(~np.isnan(values))
    if len(eligible) > count:
        bar = np.partition(values[eligible], len(eligible) - count)[len(eligible) - count]
        eligible = eligible[values[eligible] >= bar]
    return eligible
