"""Monthly worth of the active customers, in the shop's currency.

The monthly worth of a customer is the net money so far ÷ (time since the first order + horizon), for a month. It is the
same everywhere in the evaluation. A customer's single order is thus spread over the time since it and one horizon more.
"""

from __future__ import annotations

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.units import DAY_US, MONTH_DAYS
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.orders import first_orders


def newest_decisions(evaluation: Evaluation) -> Ints:
    """Return the index of the newest decision of each customer who is active at the end of the log."""
    decisions, every = evaluation.results.decisions, evaluation.protocol.every_days
    recent = np.flatnonzero(decisions.decided_at > evaluation.end_at - every * 1.5 * DAY_US)
    newest = np.full(len(decisions.customers), -1)
    newest[decisions.customer[recent]] = recent  # decisions are in order of time, so the newest one is kept
    return newest[newest >= 0].astype(np.int64)


def worth_today(evaluation: Evaluation, customer: Ints) -> Floats:
    """Return the monthly worth of customers at the end of the log."""
    at = np.full(len(customer), evaluation.end_at)
    first = first_orders(evaluation.orders, len(evaluation.results.decisions.customers))[customer]
    days = (at - first) / DAY_US + evaluation.protocol.horizon_days
    return evaluation.ledger.net(customer, at) / days * MONTH_DAYS


def currency_of(evaluation: Evaluation) -> str:
    """Return the currency that was given, or else the only one of the log; empty if there is none or several."""
    given = str(evaluation.results.settings.get("currency") or "")
    found = evaluation.results.log.currencies
    return given or (next(iter(found)) if len(found) == 1 else "")


def money_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the active customers and their worth, and how much of it is expected to be lost if calls are planned."""
    decisions, rows = evaluation.results.decisions, newest_decisions(evaluation)
    worth, p = worth_today(evaluation, decisions.customer[rows]), decisions.probability[rows]
    _, _, amounts = evaluation.results.orders
    lost = None if decisions.lost_probability is None else decisions.lost_probability[rows]
    return {
        "known": bool(np.nansum(np.abs(amounts)) > 0 and worth.sum() > 0),
        "currency": currency_of(evaluation),
        "currencies": dict(sorted(evaluation.results.log.currencies.items())),
        "active_customers": len(rows),
        "monthly_worth": worth.sum(),
        "expected_without_order": p.sum(),
        "expected_lost": None if lost is None else lost.sum(),
        "monthly_worth_expected_lost": None if lost is None else (worth * lost).sum(),
    }
