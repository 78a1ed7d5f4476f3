"""Lifecycle of alerts: which alerts open, the reasons for closing them, and their ids.

`core/partition/alert_tracker.py` opens and closes the alerts of a partition.

The capacity of the staff is global, while the state is partitioned. So each partition sends its best candidates, and
the allocator opens the best of all partitions once per working day. A replay and the live system rank with the same
code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import xxhash

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
