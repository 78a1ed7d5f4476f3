"""Alert lifecycle: which alerts open, the reasons for closing them, and their ids.

Staff capacity is global, but state is partitioned: each partition sends its best candidates, and the allocator
(`core/allocation/allocator.py`) chooses the best of all partitions once per working day. Which customers may be alerted
is decided in `core/partition/candidates.py` (above the threshold, not yet lost) and `core/alerts/ranking.py` (the
scores that must agree). The partition records the chosen alerts and decides when they close
(`core/partition/alert_tracker.py`). The replay and the live system share this code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Final

import numpy as np
import xxhash

from stream_app.core.alerts.call_order import call_priority, first_calls, ranks_if_added
from stream_app.core.alerts.call_plan import Addition, days_until
from stream_app.core.alerts.call_quotas import ONE_TIME, REPEAT, DayLimits, calls_today
from stream_app.core.alerts.planner import Jobs, plan_calls
from stream_app.core.arrays import Floats
from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.feedback import NAMED
from stream_app.core.events.schema import DEFAULT_SHOP
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.settings import Settings
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM

UNEXPLAINED: Final = Explanation()
RETURNED: Final = "returned"
LOST: Final = "lost"
FELL: Final = "fell"
RESOLVED: Final = "resolved"  # by the staff
EXPIRED: Final = "expired"  # only if calls are planned
QUOTA: Final = "quota"  # why a planned call is put off: the limit of the customer's group is used up
CLOSE_REASONS: Final = (RETURNED, LOST, FELL, RESOLVED, EXPIRED)


@dataclass(frozen=True, slots=True)
class AlertCandidate:
    """A customer among those most at risk in a partition."""

    customer: str
    at: int  # microseconds
    rank_value: float  # sort key of candidates: the risk, or the weight of a call to the customer
    probability: float
    monthly_worth: float
    silent_days: float
    usual_gap_days: float  # NaN for one-time buyers
    source: int
    version: int
    shop_id: str = DEFAULT_SHOP
    explanation: Explanation = UNEXPLAINED
    lost_probability: float = 0.0  # only if calls are planned
    act_by: int = 0  # latest time of a call, microseconds; 0: calls are not planned
    expected_value: float = 0.0  # within the horizon; like all of the following, only if calls are planned
    next_order_from: int = 0  # beginning of the interval of the next order, microseconds
    next_order_to: int = 0  # its end; 0: open
    arm: str = NO_ARM  # of the holdout experiment
    share: float = 0.0  # share of customers held out when the customer was drawn first; 0: not drawn yet


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, open until the customer returns or is lost, the risk falls, or the staff resolves it."""

    alert_id: str
    customer: str
    opened_at: int  # microseconds
    expires_at: int  # microseconds; staff should not act on the alert after this time
    rank: int  # rank among the alerts of the day, starting at 1
    bar: float  # lowest probability among the alerts opened that day
    candidate: AlertCandidate
    owner: str = ""  # name of the staff member; empty: no owner
    acked_at: int = 0  # time when the owner took the alert, microseconds
    snoozed_until: int = 0  # microseconds; 0: not snoozed
    causes: tuple[str, ...] = ()  # likeliest causes at opening; set when the explanation is dropped
    segment: str = ""  # of the customer at opening; set when the explanation is dropped
    policy: str = ""  # version of the policy; only if calls are planned, and not stored
    experiment: str = ""  # name of the holdout experiment in which the customer was drawn; not stored
    contact_rules: ContactRules | None = None  # of the policy when the alert opened; not stored
    blind: bool = False  # whether staff are not shown the likely causes; see `is_blind`

    @property
    def is_held_out(self) -> bool:
        """Whether staff must not learn of the alert, since the customer is left alone for comparison."""
        return self.candidate.arm == HELD_OUT

    @property
    def named(self) -> tuple[str, ...]:
        """Likeliest causes when the alert opened, at most NAMED; kept after the explanation is dropped."""
        return tuple(cause.key for cause in self.candidate.explanation.causes[:NAMED]) or self.causes

    @property
    def likeliest_cause(self) -> str:
        """Most likely cause when the alert opened, or "" if unknown."""
        return next(iter(self.named), "")

    @property
    def opening_segment(self) -> str:
        """Customer's segment when the alert opened, or "" if unknown; kept after the explanation is dropped."""
        return self.candidate.explanation.segment or self.segment

    def without_explanation(self) -> Alert:
        """Return a copy of the alert as it is stored, keeping the most likely causes and the segment.

        Like the explanation, what is predicted about the customer is needed only when the alert opens.
        """
        return replace(
            self,
            contact_rules=None,
            causes=self.named,
            segment=self.opening_segment,
            policy="",
            experiment="",
            candidate=replace(
                self.candidate,
                shop_id=DEFAULT_SHOP,
                explanation=UNEXPLAINED,
                lost_probability=0.0,
                act_by=0,
                expected_value=0.0,
                next_order_from=0,
                next_order_to=0,
                share=0.0,
            ),
        )


@dataclass(frozen=True, slots=True)
class AlertClosing:
    """The end of an alert."""

    alert: Alert
    at: int  # microseconds
    reason: str
    probability: float
    outcome: str = ""  # outcome reported by the staff if the reason is RESOLVED
    cause: str = ""
    staff: str = ""


def alert_id(customer: str, at: int, kind: str = "churn") -> str:
    """Return the id of an alert. It depends only on the customer, time and kind, so any process can compute it.

    >>> alert_id("c1", 0) == alert_id("c1", 0) != alert_id("c1", 1)
    True
    """
    return f"al_{xxhash.xxh3_128_hexdigest(f'{customer}|{at}|{kind}'.encode('utf-8', 'surrogatepass'))}"


def is_blind(alert_key: str, settings: Settings) -> bool:
    """Return whether staff are not shown the likely causes of an alert, so that they find out without a hint.

    Only these alerts measure how often the likely causes are right, since people tend to confirm what they are shown.

    >>> sum(is_blind(f"al_{number}", Settings(blind_share=0.1)) for number in range(10_000))
    998
    """
    return xxhash.xxh3_64_intdigest(alert_key.encode(), seed=settings.seed % (1 << 64)) < settings.blind_share * (
        1 << 64
    )


def open_alerts(candidates: Sequence[AlertCandidate], settings: Settings) -> list[Alert]:
    """Return one working day's alerts, for the best candidates across all partitions, best first; see `allocate`."""
    return allocate(candidates, settings)[0]


def allocate(candidates: Sequence[AlertCandidate], settings: Settings) -> tuple[list[Alert], int]:
    """Return one working day's alerts, best first, and the number of planned calls that a quota puts off.

    The alerts of held-out customers come last. Each has the rank that it would have if the customer were called.
    """
    best, held_out = _chosen(candidates, settings)
    drawn, put_off = list[tuple[int, AlertCandidate]](), 0
    if settings.plans_calls and DayLimits.of(settings).has_quotas:
        best, put_off = _called_with_quotas(best, settings)
        drawn = [(added.place + 1, one) for added, one in held_out if added.place < settings.planned_capacity]
    elif settings.plans_calls:
        best, drawn = _called_today(best, held_out, settings)
    bar = min((candidate.probability for candidate in best), default=1.0)
    ranked = [(rank, bar, one) for rank, one in enumerate(best, start=1)]
    ranked += [(rank, min(bar, one.probability), one) for rank, one in drawn]
    lifetime, policy = settings.alert_lifetime, settings.policy.version if settings.plans_calls else ""
    alerts = [
        Alert(
            alert_id(one.customer, one.at),
            one.customer,
            one.at,
            one.at + lifetime,
            rank,
            low,
            one,
            policy=policy,
            experiment=settings.holdout.experiment if one.arm else "",
            contact_rules=settings.contact_rules,
            blind=is_blind(alert_id(one.customer, one.at), settings),
        )
        for rank, low, one in ranked
    ]
    return alerts, put_off


def _called_with_quotas(plan: Sequence[AlertCandidate], settings: Settings) -> tuple[list[AlertCandidate], int]:
    """Return the planned customers who are called today, and the number of calls that a quota puts off."""
    groups = [ONE_TIME if isnan(one.usual_gap_days) else REPEAT for one in plan]
    today, put_off = calls_today(groups, DayLimits.of(settings))
    return [plan[place] for place in today], put_off


def _called_today(
    plan: Sequence[AlertCandidate], held_out: Sequence[tuple[Addition, AlertCandidate]], settings: Settings
) -> tuple[list[AlertCandidate], list[tuple[int, AlertCandidate]]]:
    """Return the planned customers who are called today, and the held-out ones who would be, with their ranks."""
    capacity = settings.planned_capacity
    act_by = np.array([one.act_by for one in plan], dtype=np.int64)
    calls = capacity * days_until(settings, plan[0].at, act_by) if plan else act_by
    priorities = _priorities(plan)
    own = _priorities([one for _, one in held_out])
    ranks = ranks_if_added(calls, priorities, capacity, [added for added, _ in held_out], own)
    drawn = [(rank, one) for rank, (_, one) in zip(ranks, held_out, strict=True) if rank is not None]
    drawn.sort(key=lambda pair: (pair[0], pair[1].customer))
    return [plan[place] for place in first_calls(calls, priorities, capacity).tolist()], drawn


def _priorities(candidates: Sequence[AlertCandidate]) -> Floats:
    weight = np.array([one.rank_value for one in candidates], dtype=np.float64)
    return call_priority(weight, np.array([one.probability for one in candidates], dtype=np.float64))


def best_candidates(candidates: Sequence[AlertCandidate], settings: Settings) -> list[AlertCandidate]:
    """Return the candidates who may be chosen, best first: the top `capacity`, or the planned calls.

    The best of a whole shop are among the best of its partitions. Held-out customers who would be chosen come last.
    """
    best, held_out = _chosen(candidates, settings)
    return best + [one for _, one in held_out]


def _chosen(
    candidates: Sequence[AlertCandidate], settings: Settings
) -> tuple[list[AlertCandidate], list[tuple[Addition, AlertCandidate]]]:
    """Return the candidates who may be called, best first, and those held out who would join them, in order."""
    if not settings.plans_calls:
        return sorted(candidates, key=lambda one: (-one.rank_value, one.customer))[: settings.capacity], []
    if not candidates:
        return [], []
    jobs = Jobs(
        deadlines=np.array([one.act_by for one in candidates], dtype=np.int64),
        weights=np.array([one.rank_value for one in candidates]),
        names=[one.customer for one in candidates],
        one_time=np.array([isnan(one.usual_gap_days) for one in candidates]),
        held_out=[one.arm == HELD_OUT for one in candidates],
    )
    plan, additions = plan_calls(settings, candidates[0].at, jobs)
    held_out = sorted((added.place, jobs.names[row], row) for row, added in additions.items())
    return [candidates[row] for row in plan], [(additions[row], candidates[row]) for *_, row in held_out]


def has_fallen(probability: float, bar: float, share: float) -> bool:
    """Return whether the odds have fallen below the given share of the odds at the alert's bar.

    >>> has_fallen(0.6, bar=0.9, share=0.5), has_fallen(0.85, bar=0.9, share=0.5)
    (True, False)
    """
    return probability * (1.0 - bar) < share * bar * (1.0 - probability)
