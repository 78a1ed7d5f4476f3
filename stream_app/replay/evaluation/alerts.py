"""Evaluation of alerts: number, reasons for closing, and stability. What they reached is in `call_figures`."""

from __future__ import annotations

from collections import Counter
from typing import Final, TypedDict

from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.results import AlertRecord

FLAP_DAYS: Final = 14.0  # an alert that reopens this soon without an event was closed too early


def alert_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the metrics of the alerts that opened after the warm-up, and the numbers of those before."""
    alerts, since = evaluation.results.alerts, evaluation.warm_at
    opened = counts_of([a for a in alerts if a.kind == "opened" and a.at >= since], alerts)
    flapped, days = flaps(alerts, since), customer_days(evaluation)
    n = opened["opened"]
    return {
        **opened,
        "warm_up": counts_of([a for a in alerts if a.kind == "opened" and a.at < since], alerts),
        "per_1000_customers_and_day": 1000 * n / days if days else None,
        "flaps": flapped,
        "flap_rate": flapped / n if n else None,
    }


class AlertCounts(TypedDict):
    """Numbers of some alerts: those opened are the sum of those closed, by reason, and those still open."""

    opened: int
    closed: dict[str, int]
    still_open: int


def counts_of(opened: list[AlertRecord], alerts: list[AlertRecord]) -> AlertCounts:
    """Return how many of some opened alerts were closed, by reason, and are still open."""
    ids = {a.alert_id for a in opened}
    reasons = Counter(a.reason for a in alerts if a.kind == "closed" and a.alert_id in ids)
    return {
        "opened": len(opened),
        "closed": dict(sorted(reasons.items())),
        "still_open": len(opened) - sum(reasons.values()),
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
