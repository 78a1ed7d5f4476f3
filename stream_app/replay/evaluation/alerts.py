"""Evaluation of alerts: number, lead time, precision and stability."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.departures import Departures, lead_summary
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.results import AlertRecord

FLAP_DAYS: Final = 14.0  # an alert that reopens this soon without an event was closed too early


def alert_figures(evaluation: Evaluation, departures: Departures) -> dict[str, object]:
    """Return the metrics of the alerts that opened after the warm-up."""
    alerts = [a for a in evaluation.results.alerts if a.at >= evaluation.warm_at]
    opened = [a for a in alerts if a.kind == "opened"]
    reasons = Counter(a.reason for a in alerts if a.kind == "closed")
    flapped = flaps(evaluation.results.alerts, evaluation.warm_at)
    days = customer_days(evaluation)
    order, at = last_orders(evaluation, departures, opened)
    lead = departures.lead_days(order, at) if len(order) else np.zeros(0)
    left = departures.left[order] & (lead > 0) if len(order) else np.zeros(0, bool)
    return {
        "opened": len(opened),
        "per_1000_customers_and_day": 1000 * len(opened) / days if days else None,
        "closed": dict(sorted(reasons.items())),
        "flaps": flapped,
        "flap_rate": flapped / len(opened) if opened else None,
        "precision": precision(evaluation, departures, order, at),
        "reached": len(np.unique(order[left])),
        "reached_share": len(np.unique(order[left])) / departures.count if departures.count and opened else None,
        "lead": lead_summary(lead[left]),
    }


def customer_days(evaluation: Evaluation) -> float:
    """Return the number of active customer-days after the warm-up; each decision counts as one period."""
    decided = evaluation.results.decisions.decided_at
    return float((decided >= evaluation.warm_at).sum() * evaluation.protocol.every_days)


def flaps(alerts: list[AlertRecord], since: int) -> int:
    """Return how many alerts opened within FLAP_DAYS after the customer's last alert closed without an event."""
    closed: dict[str, AlertRecord] = {}
    found = 0
    for alert in sorted(alerts, key=lambda a: (a.at, a.kind != "closed")):
        if alert.kind == "closed":
            closed[alert.customer_id] = alert
        elif alert.at >= since and (before := closed.get(alert.customer_id)):
            unmoved = before.reason not in {"returned", "lost"}
            found += unmoved and alert.at - before.at <= FLAP_DAYS * DAY_US
    return found


def last_orders(evaluation: Evaluation, departures: Departures, opened: list[AlertRecord]) -> tuple[Ints, Ints]:
    """Return the index of the last order before each alert and the alert's time; omit alerts without an order."""
    index = {name: i for i, name in enumerate(evaluation.results.decisions.customers)}
    known = [a for a in opened if a.customer_id in index]
    customer = np.array([index[a.customer_id] for a in known], np.int64)
    at = np.array([a.at for a in known], np.int64)
    order = departures.orders.last_before(customer, at)
    return order[order >= 0], at[order >= 0]


def precision(evaluation: Evaluation, departures: Departures, order: Ints, at: Ints) -> float | None:
    """Return the share of alerts not followed by an order within the horizon, among those whose horizon has ended."""
    horizon = round(evaluation.protocol.horizon_days * DAY_US)
    ripe = at + horizon <= evaluation.end_at
    next_at = departures.orders.at[order] + departures.orders.silence[order]
    ended = next_at >= evaluation.end_at
    stayed_away = ended | (next_at > at + horizon)
    return float(stayed_away[ripe].mean()) if ripe.any() else None
