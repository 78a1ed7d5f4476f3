"""Texts shared by all views of the demo, in the viewer's language."""

from __future__ import annotations

from datetime import datetime
from math import isinf
from typing import Final

from stream_app.core.kpis.risk_bands import bounds
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.units import from_micros
from stream_app.demo.settings import CURRENCY
from stream_app.demo.simulation import Phase, Plan, ShopSimulation
from stream_app.demo.state import WORST_FIRST, DemoState
from stream_app.i18n import Translator
from stream_app.i18n.translator import MANY_GAPS
from stream_app.simulate.calendar import SHOP_ZONE

EXAMPLES: Final = "churn_trainer_examples_total"
VERSION: Final = "churn_model_version"
AUC: Final = "churn_quality_auc_ratio"


def local_time(at: int) -> datetime:
    """Convert a time in microseconds to the shop's time zone."""
    return from_micros(at).astimezone(SHOP_ZONE)


def local_date(at: int) -> str:
    """Return the shop's date at a time in microseconds, as YYYY-MM-DD."""
    return local_time(at).date().isoformat()


def clock_text(translator: Translator, now: datetime) -> str:
    """Return the shop time as text, rounded down to the hour.

    >>> clock_text(Translator("en", "demo"), datetime(2025, 6, 10, 14, 5))
    'Tuesday, 10 June 2025 · 14:00'
    """
    weekday, day = translator.text(f"weekday.{now.weekday()}"), translator.day(now.date().isoformat())
    return translator.text("demo.clock", weekday=weekday, day=day, hour=f"{now:%H}:00")


def phase_text(translator: Translator, shop: ShopSimulation, plan: Plan) -> str:
    """Return the shop's current time, or its startup progress."""
    if shop.phase is Phase.OVER:
        return translator.text("demo.over", day=translator.day(local_date(shop.now)))
    if shop.phase is Phase.LIVE:
        return clock_text(translator, local_time(shop.now))
    if shop.phase is Phase.HISTORY:
        return translator.text("demo.history", days=plan.history_days)
    key = "demo.starting" if shop.began else "demo.opening"
    return translator.text(key, customers=translator.number(plan.customers))


def time_left(translator: Translator, seconds: float) -> str:
    """Return when the demo ends, or "" if it runs until it is stopped (infinity)."""
    return "" if isinf(seconds) else translator.text("demo.ends_in", seconds=f"{seconds:.0f}")


def silence_text(translator: Translator, alert: AlertOpened) -> str:
    """Return the days since a customer's last order, compared with their usual gap if it is exceeded."""
    days = translator.number(alert.silent_days)
    if not alert.usual_gap_days:
        return translator.text("alerts.once", days=days)
    if alert.silent_days < alert.usual_gap_days:
        return translator.text("alerts.days", days=days)
    times = alert.silent_days / alert.usual_gap_days
    if times > MANY_GAPS:
        return translator.text("alerts.many_gaps", days=days)
    return translator.text("alerts.gaps", days=days, times=translator.number(times, 1))


def worth_text(translator: Translator, alert: AlertOpened) -> str:
    """Return a customer's monthly revenue."""
    return translator.money(alert.monthly_worth, CURRENCY)


def band_names(translator: Translator) -> list[str]:
    """Return the names of the risk bands with their bounds, the highest first.

    >>> band_names(Translator("en"))[0]
    'very high, 75–100%'
    """
    return [translator.risk_band(band, *bounds(band)) for band in WORST_FIRST]


def service_lines(translator: Translator, state: DemoState) -> dict[str, str]:
    """Return a short status of each part of the system, Kafka and Redis first."""
    text, number, figure = translator.text, translator.number, state.figure
    labels, scored = figure("trainer", EXAMPLES), figure("worker", "churn_events_scored_total")
    opened, sent = state.daily, figure("notifier", "churn_delivery_attempts_total")
    scores = text("system.scores", scores=number(scored), ms=number(state.freshness_ms))
    model = text("system.model", version=number(figure("worker", VERSION)), labels=number(labels))
    return {
        "kafka": text("system.events", rate=number(state.rate)),
        "redis": text("system.customers", customers=number(figure("worker", "churn_states_cached"))),
        "worker": scores if scored else text("system.scores_none"),
        "trainer": model if labels else text("system.model_none"),
        "allocator": text("system.alerts", opened=number(opened)) if opened else text("system.alerts_none"),
        "notifier": text("system.sent", sent=number(sent)) if sent else text("system.sent_none"),
    }


def is_running(state: DemoState, part: str) -> bool:
    """Return whether a part of the system is running. Kafka and Redis are embedded, so they always are."""
    return part in {"kafka", "redis"} or state.is_ready(part)
