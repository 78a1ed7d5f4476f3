"""Monthly revenue of the active customers and the share at risk, in the shop's currency."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.departures import Departures
from stream_app.replay.evaluation.evaluation import Evaluation

MONTH_DAYS: Final = 30.4375


def newest_decisions(evaluation: Evaluation) -> Ints:
    """Return the index of the newest decision of each customer who is active at the end of the log."""
    decisions, every = evaluation.results.decisions, evaluation.protocol.every_days
    recent = np.flatnonzero(decisions.decided_at > evaluation.end_at - every * 1.5 * DAY_US)
    newest = np.full(len(decisions.customers), -1)
    newest[decisions.customer[recent]] = recent  # decisions are in order of time, so the newest one is kept
    return newest[newest >= 0].astype(np.int64)


def money_figures(evaluation: Evaluation, departures: Departures) -> dict[str, object]:
    """Return the monthly revenue, the revenue at risk and the revenue lost through departures."""
    decisions, rows = evaluation.results.decisions, newest_decisions(evaluation)
    worth, p = np.nan_to_num(decisions.monthly_worth[rows]), decisions.probability[rows]
    _, _, amounts = evaluation.results.orders
    at_risk = worth * p
    top = np.argsort(-at_risk, kind="stable")[: evaluation.protocol.capacity]
    lost = worth_at_departure(evaluation, departures)
    months = (evaluation.end_at - evaluation.warm_at) / DAY_US / MONTH_DAYS
    return {
        "known": bool(np.nansum(np.abs(amounts)) > 0 and worth.sum() > 0),
        "currency": str(evaluation.results.settings.get("currency") or ""),
        "active_customers": len(rows),
        "expected_leavers": p.sum(),
        "monthly_worth": worth.sum(),
        "monthly_worth_at_risk": at_risk.sum(),
        "at_risk_share": at_risk.sum() / worth.sum() if worth.sum() > 0 else None,
        "monthly_worth_of_top": worth[top].sum(),
        "departed_customers": departures.count,
        "departed_monthly_worth": lost.sum(),
        "departed_monthly_worth_per_month": lost.sum() / months if months > 0 else None,
    }


def worth_at_departure(evaluation: Evaluation, departures: Departures) -> Floats:
    """Return the monthly revenue of each departed customer at the last decision before the departure was noticed."""
    decisions, orders = evaluation.results.decisions, departures.orders
    gone = np.flatnonzero(departures.left)
    last_of = np.full(len(orders.at), -1)
    order = orders.last_before(decisions.customer, decisions.decided_at)
    known = order >= 0
    last_of[order[known]] = np.flatnonzero(known)
    rows = last_of[gone]
    return np.nan_to_num(decisions.monthly_worth[rows[rows >= 0]])
