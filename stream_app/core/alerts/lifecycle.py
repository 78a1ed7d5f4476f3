"""Lifecycle of alerts: which candidates are ranked highest, which alerts open, and when an alert closes.

The capacity of the staff is global, while the state is partitioned. So each partition sends its best candidates, and
the allocator opens the best of all partitions once per working day. A replay and the live system rank with the same
code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import xxhash

from stream_app.core.arrays import Floats, Ints
from stream_app.core.causes.explanation import Explanation
from stream_app.core.events.schema import DEFAULT_SHOP

UNEXPLAINED: Final = Explanation()
RETURNED: Final = "returned"
LOST: Final = "lost"
FELL: Final = "fell"
RESOLVED: Final = "resolved"  # by the staff
CLOSE_REASONS: Final = (RETURNED, LOST, FELL, RESOLVED)


@dataclass(frozen=True, slots=True)
class AlertCandidate:
    """One of the customers most at risk in a partition."""

    customer: str
    at: int  # microseconds
    rank_value: float  # by which candidates are ranked: the risk, or the risk times the worth
    probability: float
    monthly_worth: float
    silent_days: float
    usual_gap_days: float  # NaN for one-time buyers
    source: int
    version: int
    shop_id: str = DEFAULT_SHOP
    explanation: Explanation = UNEXPLAINED


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, open until the customer returns or is lost, the risk falls, or the staff resolves it."""

    alert_id: str
    customer: str
    opened_at: int  # microseconds
    expires_at: int  # microseconds; the staff should not act on the alert later
    rank: int  # 1: first of the day
    bar: float  # lowest probability among the alerts opened that day
    candidate: AlertCandidate
    owner: str = ""  # name of the staff member; empty: no owner
    acked_at: int = 0  # since when it has its owner, microseconds
    snoozed_until: int = 0  # microseconds; 0: not snoozed
    cause: str = ""  # likeliest cause at opening; set when the explanation is dropped
    segment: str = ""  # of the customer at opening; set when the explanation is dropped

    @property
    def likeliest_cause(self) -> str:
        """Likeliest cause at opening, with or without the explanation; empty: unknown."""
        causes = self.candidate.explanation.causes
        return causes[0].key if causes else self.cause

    @property
    def opening_segment(self) -> str:
        """Segment of the customer at opening, with or without the explanation; empty: unknown."""
        return self.candidate.explanation.segment or self.segment

    def without_explanation(self) -> Alert:
        """Return the alert without its explanation, but with the likeliest cause and the segment."""
        return replace(
            self,
            cause=self.likeliest_cause,
            segment=self.opening_segment,
            candidate=replace(self.candidate, shop_id=DEFAULT_SHOP, explanation=UNEXPLAINED),
        )


@dataclass(frozen=True, slots=True)
class AlertClosing:
    """The end of an alert."""

    alert: Alert
    at: int  # microseconds
    reason: str
    probability: float
    outcome: str = ""  # reported by the staff, with RESOLVED
    cause: str = ""
    staff: str = ""


def alert_id(customer: str, at: int, kind: str = "churn") -> str:
    """Return the id of an alert, which depends on customer, time and kind only, so that it can be computed anywhere.

    >>> alert_id("c1", 0) == alert_id("c1", 0) != alert_id("c1", 1)
    True
    """
    return f"al_{xxhash.xxh3_128_hexdigest(f'{customer}|{at}|{kind}'.encode('utf-8', 'surrogatepass'))}"


def open_alerts(candidates: Iterable[AlertCandidate], capacity: int, lifetime: int) -> list[Alert]:
    """Return the alerts of one working day: for the best `capacity` candidates of all partitions, best first."""
    best = sorted(candidates, key=lambda one: (-one.rank_value, one.customer))[:capacity]
    if not best:
        return []
    bar = min(candidate.probability for candidate in best)
    return [
        Alert(alert_id(one.customer, one.at), one.customer, one.at, one.at + lifetime, rank, bar, one)
        for rank, one in enumerate(best, start=1)
    ]


def has_fallen(probability: float, bar: float, share: float) -> bool:
    """Return whether the odds have fallen below a share of the odds at the bar of an alert.

    >>> has_fallen(0.6, bar=0.9, share=0.5), has_fallen(0.85, bar=0.9, share=0.5)
    (True, False)
    """
    return probability * (1.0 - bar) < share * bar * (1.0 - probability)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Rows of the ranking as columns; NaN: no score."""

    earlier: Floats  # at the decision before the last one
    last: Floats  # at the last decision
    last_at: Ints  # time of the last decision, microseconds; meaningless without one
    latest: Floats  # at the latest event or decision

    @classmethod
    def none(cls, size: int) -> Ranks:
        """Return rows without scores."""
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64), np.full(size, np.nan))


class Ranking:
    """Scores of a partition's customers as columns, so that ranking a million customers takes milliseconds.

    A customer is ranked by the smallest of three scores: at the last two decisions, at least `agreement` apart, and the
    latest one. A single high score does not open an alert.

    Args:
        agreement: microseconds.
    """

    def __init__(self, agreement: int) -> None:
        self._agreement = agreement
        self._earlier = np.full(1024, np.nan)  # at the decision before the last one; NaN: none
        self._last = np.full(1024, np.nan)
        self._last_at = np.zeros(1024, dtype=np.int64)
        self._latest = np.full(1024, np.nan)  # at the latest event or decision
        self.open = np.zeros(1024, dtype=bool)

    def reserve(self, size: int) -> None:
        """Grow to hold customers with an index below `size`."""
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
        """Add the score of a decision, unless it follows the last one too soon to be a second opinion."""
        if np.isnan(self._last[index]) or at - self._last_at[index] >= self._agreement:
            self._earlier[index] = self._last[index]
            self._last_at[index] = at
            self._last[index] = probability

    def set_latest(self, indices: Ints, probabilities: Floats) -> None:
        """Set the latest scores of customers; of repeated indices the last one counts."""
        self._latest[indices] = probabilities

    def forget(self, index: int) -> None:
        """Remove the scores of a customer after an order or the last active day."""
        self._earlier[index] = self._last[index] = self._latest[index] = np.nan
        self._last_at[index] = 0  # meaningless now, but it would be stored

    def latest(self, index: int) -> float:
        """Return the latest score of a customer; NaN without one."""
        return float(self._latest[index])

    def latest_of(self, start: int, end: int) -> Floats:
        """Return the latest scores of the customers with indices in [start, end); NaN without one."""
        return self._latest[start:end]

    def agreed(self, size: int) -> Floats:
        """Return the risk on which the scores of the first `size` customers agree; NaN: not a candidate."""
        agreed = np.minimum(np.minimum(self._earlier[:size], self._last[:size]), self._latest[:size])
        agreed[self.open[:size]] = np.nan
        return agreed


def top_indices(values: Floats, count: int) -> Ints:
    """Return the indices of the `count` largest values and of all ties with the smallest of them, without NaN.

    >>> sorted(top_indices(np.array([0.5, np.nan, 0.9, 0.5]), 2).tolist())
    [0, 2, 3]
    """
    eligible = np.flatnonzero(~np.isnan(values))
    if len(eligible) > count:
        bar = np.partition(values[eligible], len(eligible) - count)[len(eligible) - count]
        eligible = eligible[values[eligible] >= bar]
    return eligible
