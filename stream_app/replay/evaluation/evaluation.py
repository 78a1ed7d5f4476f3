"""The evaluation protocol: which decisions are counted, and their outcomes.

A decision is counted if it is after the warm-up and its whole horizon is within the log. The warm-up, in which models
start untrained, is the first 30 % of the log's time, but at least one and a half horizons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.model.evaluation_metrics import Scored
from stream_app.core.policy.campaign import Campaign
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, NOT_DUE
from stream_app.core.uplift.holdout import Holdout, draw
from stream_app.replay.evaluation.calendar import local
from stream_app.replay.evaluation.ledger import Ledger
from stream_app.replay.evaluation.orders import Orders
from stream_app.replay.results import CHURNED, OPEN, Results

ROUNDING_US: Final = 86_400  # 1e-6 days, the tolerance for rounded times
WARM_HORIZONS: Final = 1.5
WARM_SHARE: Final = 0.3
UNEVEN: Final = 0.05  # number of decision periods by which a decision may be late


@dataclass(frozen=True)
class Protocol:
    """Evaluation settings."""

    horizon_days: float
    active_days: float
    every_days: float
    lost_after_days: float
    capacity: int
    zone: ZoneInfo
    working_days: tuple[int, ...] = (0, 1, 2, 3, 4)  # Monday is 0
    hour: int = 9
    rank_by: str = "worth"
    act_before_days: float = 0.0
    alert_above: float = 0.5
    campaigns: tuple[Campaign, ...] = ()
    reserve: int = 0  # calls of the capacity that are not planned
    is_limited: bool = False  # whether the policy has rules for planned calls that a simulation does not know
    holdout: Holdout = field(default_factory=Holdout)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Protocol:
        """Create the protocol from a replay's settings."""
        return cls(
            horizon_days=settings["horizon_days"],
            active_days=settings["active_days"],
            every_days=settings["every_days"],
            lost_after_days=settings["lost_after_days"],
            capacity=settings["capacity"],
            zone=ZoneInfo(settings["zone"]),
            working_days=tuple(settings.get("working_days", cls.working_days)),
            hour=settings.get("nomination_hour", cls.hour),
            rank_by=settings.get("rank_by", cls.rank_by),
            act_before_days=settings.get("act_before_days") or settings["lost_after_days"] / 4,
            alert_above=settings.get("alert_above", cls.alert_above),
            campaigns=msgspec.convert(settings.get("campaigns", ()), tuple[Campaign, ...]),
            reserve=settings.get("reserve", cls.reserve),
            is_limited=settings.get("limited_calls", cls.is_limited),
            holdout=msgspec.convert(settings.get("holdout", {}), Holdout),
        )

    @property
    def lost_after_us(self) -> int:
        """Time without an order after which a customer is lost, microseconds."""
        return round(self.lost_after_days * DAY_US)

    @property
    def act_before_us(self) -> int:
        """Time before a customer would be lost by which a call must come, microseconds."""
        return round(self.act_before_days * DAY_US)

    @property
    def planning(self) -> Settings:
        """The settings that decide which silences are usual."""
        return Settings(lost_after=self.lost_after_us, act_before=self.act_before_us)

    def opens_alerts(self, at: int) -> bool:
        """Return whether alerts may open at an instant: not during campaigns."""
        day = local(at, self.zone).date()
        return not any(campaign.covers(day) for campaign in self.campaigns)


@dataclass(frozen=True)
class Evaluation:
    """The matured decisions of a replay, in order of (time, customer id), with their outcomes."""

    results: Results
    protocol: Protocol
    rows: Ints  # row numbers of matured decisions in results.decisions
    churned: Bools  # of each row
    first_order_at: int
    warm_at: int
    end_at: int

    @property
    def plans_calls(self) -> bool:
        """Whether alerts were planned by the probability that customers are lost."""
        return self.results.decisions.lost_probability is not None and self.protocol.rank_by != "risk"

    @cached_property
    def callable_from(self) -> Ints:
        """Since when a holdout experiment lets each customer be called, microseconds; NOT_DUE: it never does.

        Drawn customers keep the arm of their first draw. Those who were never drawn have the arm that a draw would give
        them at the end of the log. If the share has fallen, customers who are held out only at the higher share can be
        called after the last list to which it applied. Exempt customers are treated as if they were not.
        """
        names, holdout = self.results.decisions.customers, self.protocol.holdout
        if not holdout.share:
            return np.zeros(len(names), np.int64)
        last_share = holdout.share_after(len(self.results.draws))
        fell_at = max((one.at + 1 for one in self.results.draws if one.share > last_share), default=0)
        arms = {one.customer_id: one.is_held_out for one in self.results.draws}
        numbers = ((name, draw(name, holdout.experiment)) for name in names)
        return np.array(
            [
                NOT_DUE if arms.get(name, number < last_share) else fell_at if number < holdout.share else 0
                for name, number in numbers
            ],
            np.int64,
        )

    @cached_property
    def held_out(self) -> Bools:
        """Whether a holdout experiment leaves each customer alone until the end of the log."""
        return self.callable_from == NOT_DUE

    @cached_property
    def left_alone(self) -> Bools:
        """Whether a holdout experiment leaves the customer alone when a silence begins, by the index of its order."""
        return self.orders.at < self.callable_from[self.orders.customer]

    @cached_property
    def unavailable(self) -> tuple[Ints, Ints, Ints]:
        """When customers get no planned call: their index, and begin and end in microseconds.

        After a complaint that staff worked on, this lasts until the next order: staff have contacted the customer.
        """
        who, begin, end, is_complaint = self.results.unavailable
        following = self.orders.first_after(who, begin)
        next_order = np.where(following >= 0, self.orders.at[following] if len(self.orders.at) else 0, NOT_DUE)
        return who, begin, np.where(is_complaint, np.maximum(end, next_order), end)

    @cached_property
    def compared(self) -> Bools:
        """Whether what calls reach is compared for each silence, by the index of its order.

        It is not if a holdout experiment leaves the customer alone when the silence begins, or if staff worked on a
        complaint in it: they contacted the customer without any list.
        """
        who, begin, _, is_complaint = self.results.unavailable
        order = self.orders.last_before(who[is_complaint], begin[is_complaint])
        found = ~self.left_alone
        found[order[order >= 0]] = False
        return found

    def is_available(self, customer: Ints, at: Ints) -> Bools:
        """Return whether customers could get a planned call at some times."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for who, begin, end in zip(*(column.tolist() for column in self.unavailable), strict=True):
            spans.setdefault(who, []).append((begin, end))
        calls = zip(customer.tolist(), at.tolist(), strict=True)
        return np.array([not any(b <= t < e for b, e in spans.get(who, ())) for who, t in calls], np.bool_)

    @cached_property
    def orders(self) -> Orders:
        """All orders in order of time."""
        return Orders.of(self.results)

    @cached_property
    def ledger(self) -> Ledger:
        """Orders and refunds of each customer."""
        return Ledger.of(self.results)

    @cached_property
    def counted(self) -> Bools:
        """Mask of the rows after the warm-up."""
        return self.results.decisions.decided_at[self.rows] >= self.warm_at

    @cached_property
    def customer(self) -> Ints:
        """Customer index of each counted row."""
        return self.results.decisions.customer[self.rows[self.counted]]

    @cached_property
    def outcome(self) -> Bools:
        """Whether the customer churned, for each counted row."""
        return self.churned[self.counted]

    @cached_property
    def product(self) -> Scored:
        """Probabilities by the model in use at the time, and outcomes, of the counted rows."""
        return self.scored(self.results.decisions.probability)

    @cached_property
    def recency(self) -> Scored:
        """Ranking by recency (the simplest baseline; not probabilities), and outcomes, of the counted rows."""
        silent = self.results.decisions.recency_days[self.rows[self.counted]]
        return Scored(self.outcome, silent / max(float(silent.max(initial=0.0)), 1e-9))

    def scored(self, column: Floats) -> Scored:
        """Return the counted rows of a column of all decisions, with their outcomes."""
        return Scored(self.outcome, column[self.rows[self.counted]])


def evaluate(results: Results) -> Evaluation:
    """Evaluate a replay according to the protocol."""
    protocol, decisions = Protocol.of(results.settings), results.decisions
    start, warm_at = warm_up(results, protocol)
    end_at = results.log.last_at
    horizon = round(protocol.horizon_days * DAY_US)
    ripe = decisions.decided_at + horizon <= end_at + ROUNDING_US
    active = decisions.recency_days <= protocol.active_days + UNEVEN * protocol.every_days
    rows = decisions.in_order(np.flatnonzero(ripe & active))
    churned = outcomes(results, rows, horizon)
    return Evaluation(results, protocol, rows, churned, start, warm_at, end_at)


def warm_up(results: Results, protocol: Protocol) -> tuple[int, int]:
    """Return the time of the first order and the end of the warm-up, in microseconds."""
    times = results.orders[1]
    first = int(times.min()) if len(times) else results.log.first_at
    start = first + protocol.every_days * DAY_US
    last = results.log.last_at - protocol.horizon_days * DAY_US
    wait = max(WARM_HORIZONS * protocol.horizon_days * DAY_US, WARM_SHARE * (last - start))
    return first, round(start + wait)


def outcomes(results: Results, rows: Ints, horizon: int) -> Bools:
    """Return whether each row churned: by its label or, if the log ended before its release, by the orders."""
    decisions = results.decisions
    churned = decisions.label[rows] == CHURNED
    unlabelled = np.flatnonzero(decisions.label[rows] == OPEN)
    if len(unlabelled):
        late = rows[unlabelled]
        after, orders = decisions.decided_at[late] + ROUNDING_US, Orders.of(results)
        following = orders.first_after(decisions.customer[late], after)
        churned[unlabelled] = (following < 0) | (orders.at[following] > after + horizon)
    return churned
