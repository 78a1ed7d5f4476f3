"""Silences that ended in a loss, and what the lost customers were worth.

A silence lasts from an order to the customer's next one, or to the end of the log. It is lost when it reaches
`lost_after`. A lost silence counts if it is lost after the warm-up and within the log, and if it could be called from
its first day on, that is, if it began after the product's first call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_US, MONTH_DAYS
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.orders import Orders, first_orders

ENOUGH: Final = 30  # minimum number of lost silences for a meaningful share
HIGHEST: Final = 0.99  # quantile of the lost at which a silence's worth is capped, so that no single buyer decides


@dataclass(frozen=True)
class Silences:
    """The silences after all orders; each is identified by the index of its order."""

    orders: Orders
    lost: Bools  # whether the silence is lost and counts
    lost_at: Ints  # when it is lost, or would be
    worth: Floats  # monthly worth of the customer, 0 if the silence does not count
    since: int  # silences lost after this time count, microseconds
    until: int

    @cached_property
    def count(self) -> int:
        """Number of lost silences that count."""
        return int(self.lost.sum())

    @cached_property
    def total_worth(self) -> float:
        """Monthly worth of all lost silences that count."""
        return float(self.worth.sum())

    def among(self, counts: Bools) -> Silences:
        """Return the silences, of which only some count."""
        return replace(self, lost=self.lost & counts, worth=np.where(counts, self.worth, 0.0))

    @property
    def months(self) -> float:
        """Length of the time in which they were lost."""
        return max(self.until - self.since, 0) / DAY_US / MONTH_DAYS

    @property
    def enough(self) -> bool:
        """Whether there are enough for a meaningful share."""
        return self.count >= ENOUGH


def find_silences(evaluation: Evaluation, first_call: int) -> Silences:
    """Return the silences of a replay.

    Args:
        evaluation: of the replay.
        first_call: time of the product's first call, microseconds.
    """
    orders, protocol = evaluation.orders, evaluation.protocol
    lost_at = orders.at + protocol.lost_after_us
    since = max(evaluation.warm_at, first_call + protocol.lost_after_us)
    lost = (orders.silence >= protocol.lost_after_us) & (lost_at > since) & (lost_at <= evaluation.end_at)
    worth = np.zeros(len(lost))
    worth[lost] = worth_when_lost(evaluation, orders, np.flatnonzero(lost), lost_at[lost])
    return Silences(orders, lost, lost_at, worth, since, evaluation.end_at)


def worth_when_lost(evaluation: Evaluation, orders: Orders, rows: Ints, lost_at: Ints) -> Floats:
    """Return the monthly worth of lost customers: net money ÷ (time from first to last order + horizon), capped."""
    if not len(rows):
        return np.zeros(0)
    customer, first = orders.customer[rows], first_orders(orders, len(evaluation.results.decisions.customers))
    days = (orders.at[rows] - first[customer]) / DAY_US + evaluation.protocol.horizon_days
    worth = evaluation.ledger.net(customer, lost_at) / days * MONTH_DAYS
    return np.minimum(worth, np.quantile(worth, HIGHEST))
