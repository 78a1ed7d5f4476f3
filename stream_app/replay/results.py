"""Results of a replay for the evaluation: decisions, alerts, and statistics of the log and the models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.arrays import Floats, Ints
from stream_app.core.model import labels
from stream_app.core.segments import lifecycle_stage
from stream_app.ingest import LogSummary
from stream_app.replay.unavailable import Spans, no_spans

OPEN = -1  # label of a decision whose horizon has not ended
RETAINED = labels.RETAINED
CHURNED = labels.CHURNED
STAGES = lifecycle_stage.STAGES
SOURCES = ("prior", "model")


@dataclass(frozen=True)
class Decisions:
    """All decisions of a replay, in order of (decided_at, customer), as columns of n rows.

    Probabilities are churn probabilities: the probability of no order in (decided_at, decided_at + horizon].
    """

    customer: Ints  # index into customers
    customers: list[str]
    decided_at: Ints  # microseconds since 1970-01-01 UTC
    probability: Floats
    label: npt.NDArray[np.int8]  # OPEN, RETAINED or CHURNED
    matured_at: Ints  # microseconds; undefined while open
    source: npt.NDArray[np.int8]  # index into SOURCES
    version: npt.NDArray[np.int32]  # current model version
    experts: dict[str, Floats]  # expert or baseline -> its probability at the time
    recency_days: Floats
    order_days: Floats  # number of distinct days with an order: the F of RFM
    money: Floats  # revenue so far: the M of RFM
    monthly_worth: Floats  # the customer's monthly revenue
    usual_gap_days: Floats  # mean gap between order days, NaN for one-time buyers
    stage: npt.NDArray[np.int8]  # index into STAGES
    lost_probability: Floats | None = None  # probability of no order until lost_after; None: calls are not planned
    expected_value: Floats | None = None  # within the horizon; None: calls are not planned

    def in_order(self, rows: Ints) -> Ints:
        """Sort row numbers by (decided_at, customer id), which does not depend on the partitions."""
        rank = np.empty(len(self.customers), np.int64)
        rank[sorted(range(len(rank)), key=self.customers.__getitem__)] = np.arange(len(rank))
        return rows[np.lexsort((rank[self.customer[rows]], self.decided_at[rows]))]


@dataclass(frozen=True)
class AlertRecord:
    """One line of alerts.jsonl: an alert that opened or closed."""

    alert_id: str
    kind: str  # opened, closed
    customer_id: str
    at: int  # microseconds
    rank: int
    probability: float
    reason: str  # reason for closing: returned, lost, fell; empty when opened
    expires_at: int = 0
    candidate: AlertCandidate | None = None  # of an opened alert, with its explanation


@dataclass(frozen=True)
class DrawRecord:
    """The first draw of a customer in the holdout experiment."""

    customer_id: str
    at: int  # microseconds
    share: float  # of customers held out at that time
    is_held_out: bool


@dataclass(frozen=True)
class DriftEvent:
    """A change in the model's error found by a drift detector."""

    at: int  # microseconds
    what: str
    before: float
    after: float


@dataclass(frozen=True)
class Version:
    """A model version."""

    number: int
    effective_at: int  # microseconds
    examples: int
    weights: dict[str, float]  # expert -> share in the ensemble


class LogFacts(LogSummary, frozen=True, kw_only=True):
    """Log statistics.

    Attributes:
        files: names of the files.
        duplicates: number of events that repeated an earlier one.
        late: number of events that arrived late.
        customers: number of customers.
        buyers: number of customers with an order.
        currencies: number of orders by the currency of their amount, without those that name none.
    """

    files: list[str]
    duplicates: int
    late: int
    customers: int
    buyers: int
    currencies: dict[str, int] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All results of a replay."""

    decisions: Decisions
    alerts: list[AlertRecord]
    drift: list[DriftEvent]
    versions: list[Version]
    log: LogFacts
    orders: tuple[Ints, Ints, Floats]  # customer index, time in microseconds, and amount of every order
    refunds: tuple[Ints, Ints, Floats]  # the same of what was taken back, as negative amounts
    importances: dict[str, float]  # feature -> mean absolute contribution to the log-odds
    settings: dict[str, Any]
    seed: int
    seconds: float
    events_per_second: float
    peak_rss_bytes: int
    suppressed: dict[str, int] | None = None  # customers who were not called, by reason; None: not counted
    versions_of: dict[str, str] = field(default_factory=dict)  # package -> version
    next_list: list[AlertCandidate] = field(default_factory=list)  # of the first list after the log, best first
    command: str = ""  # that reproduces the replay
    draws: list[DrawRecord] = field(default_factory=list)  # of the experiment in the settings, in order of time
    unavailable: Spans = field(default_factory=no_spans)  # when customers get no planned call, whatever was called
