"""The policy of alerts: who is nominated, which episodes are opened, and when an episode ends.

The staff's capacity is global while the state is partitioned. So each partition nominates its best customers, and one
desk merges the lists of a working day and opens the best of them all. The same code ranks in a replay and in the live
system.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.causes.explanation import Explanation
from stream_app.core.events.schema import DEFAULT_SHOP

Floats = npt.NDArray[np.float64]

UNEXPLAINED: Final = Explanation()
RETURNED: Final = "returned"
LOST: Final = "lost"
FELL: Final = "fell"
RESOLVED: Final = "resolved"  # by the staff
CLOSE_REASONS: Final = (RETURNED, LOST, FELL, RESOLVED)


@dataclass(frozen=True, slots=True)
class AlertCandidate:
    """A customer whom a partition holds to be among those most at risk."""

    customer: str
    at: int  # the nomination's moment, microseconds
    rank_value: float  # by which the desk ranks: the risk, or the risk times the worth
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
    """A customer's time in the hands of the staff: from the alert until he returns, is lost, or the risk has fallen."""

    alert_id: str
    customer: str
    opened_at: int  # microseconds
    expires_at: int  # nobody should act on the alert later than this
    rank: int  # 1: first of the day
    bar: float  # probability of the last one opened that day: the rank that opened the episode
    candidate: AlertCandidate
    owner: str = ""  # of the staff; empty: nobody has taken it on
    acked_at: int = 0  # since when, microseconds
    snoozed_until: int = 0  # it rests until then, microseconds; 0: it does not
    cause: str = ""  # the likeliest when it was opened; set where the explanation is left out
    segment: str = ""  # of the customer when it was opened; the same

    @property
    def likeliest_cause(self) -> str:
        """When it was opened, whether or not the explanation is at hand; empty: not known."""
        causes = self.candidate.explanation.causes
        return causes[0].key if causes else self.cause

    @property
    def opening_segment(self) -> str:
        """Of the customer when it was opened, whether or not the explanation is at hand; empty: not known."""
        return self.candidate.explanation.segment or self.segment

    def without_explanation(self) -> Alert:
        """The episode without what only the alert tells; the likeliest cause and the segment stay."""
        return replace(
            self,
            cause=self.likeliest_cause,
            segment=self.opening_segment,
            candidate=replace(self.candidate, shop_id=DEFAULT_SHOP, explanation=UNEXPLAINED),
        )


@dataclass(frozen=True, slots=True)
class AlertClosing:
    """The end of an episode."""

    alert: Alert
    at: int  # microseconds
    reason: str
    probability: float
    outcome: str = ""  # with RESOLVED: what the staff says
    cause: str = ""
    staff: str = ""


def alert_id(customer: str, at: int, kind: str = "churn") -> str:
    """The same id for the same customer, moment and kind wherever it is computed, never a function of a probability.

    >>> alert_id("c1", 0) == alert_id("c1", 0) != alert_id("c1", 1)
    True
    """
    return f"al_{xxhash.xxh3_128_hexdigest(f'{customer}|{at}|{kind}'.encode('utf-8', 'surrogatepass'))}"


def open_alerts(candidates: Iterable[AlertCandidate], capacity: int, lifetime: int) -> list[Alert]:
    """The desk's decision for one working day: the best `capacity` nominations of all partitions, best first."""
    best = sorted(candidates, key=lambda n: (-n.rank_value, n.customer))[:capacity]
    if not best:
        return []
    bar = min(candidate.probability for candidate in best)
    return [
        Alert(alert_id(n.customer, n.at), n.customer, n.at, n.at + lifetime, rank, bar, n)
        for rank, n in enumerate(best, start=1)
    ]


def has_fallen(probability: float, bar: float, share: float) -> bool:
    """Whether the odds are below a share of the odds at the bar: well below the rank that opened the episode.

    >>> has_fallen(0.6, bar=0.9, share=0.5), has_fallen(0.85, bar=0.9, share=0.5)
    (True, False)
    """
    return probability * (1.0 - bar) < share * bar * (1.0 - probability)


@dataclass(frozen=True, slots=True)
class Ranks:
    """Rows of the ranking, as columns; NaN: no score."""

    earlier: Floats  # the decision before the last one
    last: Floats
    last_at: npt.NDArray[np.int64]  # microseconds; says nothing where there is no last decision
    latest: Floats  # by any event or decision

    @classmethod
    def none(cls, size: int) -> Ranks:
        """Rows without scores."""
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64), np.full(size, np.nan))


class Ranking:
    """The scores of a partition's customers, as columns, so that ranking a million of them takes milliseconds.

    A customer's risk for the ranking is the smallest of his last two decisions, at least `agreement` apart, and of his
    latest score: one high score alone opens nothing.
    """

    def __init__(self, agreement: int) -> None:
        self._agreement = agreement
        self._earlier = np.full(1024, np.nan)  # the decision before the last one; NaN: there is none
        self._last = np.full(1024, np.nan)
        self._last_at = np.zeros(1024, dtype=np.int64)
        self._latest = np.full(1024, np.nan)  # by any event or decision
        self.open = np.zeros(1024, dtype=bool)

    def reserve(self, size: int) -> None:
        """Make room for customers with an index below `size`."""
        room = len(self._last)
        if size <= room:
            return
        more = max(size, 2 * room) - room
        for name in ("_earlier", "_last", "_latest"):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(more, np.nan)]))
        self._last_at = np.concatenate([self._last_at, np.zeros(more, dtype=np.int64)])
        self.open = np.concatenate([self.open, np.zeros(more, dtype=bool)])

    def rows(self, indices: npt.NDArray[np.int64]) -> Ranks:
        """What is known of the customers with these indices."""
        return Ranks(self._earlier[indices], self._last[indices], self._last_at[indices], self._latest[indices])

    def set_rows(self, indices: npt.NDArray[np.int64], ranks: Ranks) -> None:
        """Set what `rows` gave, for the same customers in the same order."""
        self._earlier[indices], self._last[indices] = ranks.earlier, ranks.last
        self._last_at[indices], self._latest[indices] = ranks.last_at, ranks.latest

    def decided(self, index: int, at: int, probability: float) -> None:
        """Note a decision; one that follows the last too soon to be a second opinion is left to `scored`."""
        if np.isnan(self._last[index]) or at - self._last_at[index] >= self._agreement:
            self._earlier[index] = self._last[index]
            self._last_at[index] = at
            self._last[index] = probability

    def scored(self, indices: npt.NDArray[np.int64], probabilities: Floats) -> None:
        """Note scores that events brought, in their order."""
        self._latest[indices] = probabilities

    def forget(self, index: int) -> None:
        """Take a customer out of the ranking: he ordered, or is not active any more."""
        self._earlier[index] = self._last[index] = self._latest[index] = np.nan
        self._last_at[index] = 0  # it would say nothing, but be stored

    def latest(self, index: int) -> float:
        """The latest score; NaN without one."""
        return float(self._latest[index])

    def latest_of(self, start: int, end: int) -> Floats:
        """The latest scores of customers with indices from `start` up to `end`; NaN without one."""
        return self._latest[start:end]

    def agreed(self, size: int) -> Floats:
        """The risk of the first `size` customers on which their scores agree; NaN for those who can't be nominated."""
        agreed = np.minimum(np.minimum(self._earlier[:size], self._last[:size]), self._latest[:size])
        agreed[self.open[:size]] = np.nan
        return agreed


def top_indices(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Indices of the `count` largest values and all that tie with the smallest of them; NaN is never among them.

    >>> sorted(top_indices(np.array([0.5, np.nan, 0.9, 0.5]), 2).tolist())
    [0, 2, 3]
    """
    eligible = np.flatnonzero(~np.isnan(values))
    if len(eligible) > count:
        bar = np.partition(values[eligible], len(eligible) - count)[len(eligible) - count]
        eligible = eligible[values[eligible] >= bar]
    return eligible
