"""The `stream-app explain` command."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import typer
from rich.cells import set_cell_size

from stream_app.cli.options import ConfigOption, JsonOption, LangOption, SetOption, language, load_settings
from stream_app.cli.output import iso_time, local_time, results, write_document
from stream_app.cli.state import StoredCustomer, stored_customer
from stream_app.config import LiveConfig
from stream_app.core.causes.inference import without_causes
from stream_app.core.durations import format_duration
from stream_app.core.kpis.risk_bands import band_of
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.model.scores import MODEL_SOURCE
from stream_app.core.partition.candidates import monthly_worth, prospects
from stream_app.core.partition.explainer import Explainer
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import Shops
from stream_app.core.state.complaint_kinds import unclassified
from stream_app.core.state.profile import CustomerProfile
from stream_app.core.units import from_micros, micros
from stream_app.i18n import Translator
from stream_app.i18n.translator import Number
from stream_app.notifications.messages.alert_view import AlertView, Views
from stream_app.notifications.open_alerts import OpenAlert, open_alerts
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.services.runtime.stores import Stores, with_stores

if TYPE_CHECKING:
    from stream_app.core.model.churn_model import ChurnModel

_LABEL_CELLS: Final = 16


def explain(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Id of the customer.")],
    as_json: JsonOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Explain in words what is known about a customer.

    Shows the risk, the likely causes with evidence, open complaints and alerts, and the playbook's measure. Exits with
    status 1 if the customer is unknown.
    """
    settings, words = load_settings(config, given=given), Translator(language(lang), "cli")
    case = with_stores(settings, lambda stores: _case(stores, settings, customer, words))
    if as_json:
        write_document(content(case))
        return
    console = results()
    for line in describe(case, settings, words):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


class Case(NamedTuple):
    """What is known about a customer."""

    stored: StoredCustomer
    profile: CustomerProfile
    view: AlertView
    alerts: list[OpenAlert]
    at: datetime
    probability: float | None  # latest churn probability
    band: str | None  # its risk band
    worth: float  # per month
    alert: AlertOpened  # as if an alert opened now


async def _case(stores: Stores, config: LiveConfig, name: str, words: Translator) -> Case:
    stored = await stored_customer(stores, config, name)
    stream_time = stored.summary.stream_time
    at = from_micros(stream_time) if stream_time > 0 else datetime.now(UTC)
    shop = config.shop.settings()
    explainer = Explainer(shop, unclassified)
    explainer.shops = Shops(stored.summary.shops)
    learned = shop.learn_causes or shop.plans_calls
    explainer.classify.model = model = await _model(stores, stored.summary.version) if learned else None
    profile = explainer.profile(stored.customer, micros(at))
    alerts = [one for one in await open_alerts(stores.states, [stored.partition]) if one.note.customer_id == name]
    views = Views(load_playbook(config.delivery.playbook), shop.zone, config.delivery.currency, shop.horizon)
    urgent = any(one.note.urgent for one in alerts)
    worth = float(monthly_worth(profile.frame)[0])
    probability = None if math.isnan(stored.score) else stored.score
    band = None if probability is None else band_of(probability)
    as_alert = AlertOpened(
        alert_id="not-opened",
        customer_id=name,
        opened_at=at,
        expires_at=at + timedelta(microseconds=config.shop.alert_lifetime),
        rank=0,
        probability=probability or 0.0,
        monthly_worth=worth,
        silent_days=profile.silent_days,
        usual_gap_days=profile.usual_gap_days if profile.repeats else None,
        source="model",
        version=stored.summary.version,
        shop_id=profile.shop.name,
        urgent=urgent,
        explanation=explainer.explain(profile),
        contact_rules=shop.contact_rules,
    )
    if any(one.note.find_out for one in alerts):
        as_alert = msgspec.structs.replace(as_alert, explanation=without_causes(as_alert.explanation), find_out=True)
    if shop.plans_calls and probability is not None and model is not None:
        as_alert = msgspec.structs.replace(as_alert, **_prospects(model, shop, profile, probability))
    return Case(stored, profile, views.view(as_alert, words.lang), alerts, at, probability, band, worth, as_alert)


async def _model(stores: Stores, version: int) -> ChurnModel | None:
    """Return the model version in use, or None if there is none yet, or it is no longer stored."""
    stored = await stores.models.snapshot(version)
    if stored is None:
        return None
    from stream_app.core.model.snapshot import restore  # its import takes seconds

    return restore(stored, f"of version {version}")


def _prospects(model: ChurnModel, shop: Settings, profile: CustomerProfile, probability: float) -> dict[str, Any]:
    """Return what the customer is expected to do."""
    model.track_lost(shop)
    found = prospects(model, shop, profile.frame, np.array([probability]))
    return {
        "expected_value": float(found.value[0]),
        "next_order_from": from_micros(int(found.begin[0])),
        "next_order_to": from_micros(int(found.end[0])) if found.end[0] else None,
    }


def content(case: Case) -> dict[str, Any]:
    """Return everything known about a customer, for output as JSON."""
    customer, profile, view = case.stored.customer, case.profile, case.view
    decision = customer.waiting[-1] if customer.waiting else None
    return {
        "customer": customer.name,
        "as_of": case.at.isoformat(timespec="seconds"),
        "segment": view.segment,
        "probability": None if case.probability is None else round(case.probability, 4),
        "risk_band": case.band,
        "orders": profile.orders,
        "last_order_days": round(profile.silent_days, 2) if profile.orders else None,
        "usual_gap_days": round(profile.usual_gap_days, 2) if profile.repeats else None,
        "monthly_worth": round(case.worth, 2),
        **_planned(case.alert),
        "causes": [{"name": one.name, "percent": one.percent} for one in view.causes],
        "evidence": list(view.evidence),
        "open_complaint_days": [round(days, 2) for days in profile.open_days],
        "alerts": [msgspec.to_builtins(one.note) | msgspec.to_builtins(one.work) for one in case.alerts],
        "channel": view.channel,
        "steps": list(view.steps),
        "never": list(view.never),
        "partition": case.stored.partition,
        "model_version": case.stored.summary.version,
        "last_decision": None
        if decision is None
        else {
            "decided_at": iso_time(decision.decided_at),
            "probability": decision.probability,
            "source": "model" if decision.source == MODEL_SOURCE else "prior",
            "model_version": decision.version,
        },
        "next_decision": iso_time(customer.due) if customer.due else None,
    }


def _planned(alert: AlertOpened) -> dict[str, Any]:
    """Return the predictions that exist only if calls are planned."""
    if alert.expected_value is None:
        return {}
    times = {"next_order_from": alert.next_order_from, "next_order_to": alert.next_order_to}
    days = {name: None if at is None else at.isoformat(timespec="seconds") for name, at in times.items()}
    return {"expected_value": round(alert.expected_value, 2), **days}


def describe(case: Case, config: LiveConfig, words: Translator) -> list[str]:
    """Describe a customer in words, one line per entry."""
    zone, customer, profile, view = ZoneInfo(config.shop.zone), case.stored.customer, case.profile, case.view

    def say(key: str, **values: object) -> str:
        return words.text(f"explain.{key}", **values)

    scored = case.band and say("scored", band=words.name("risk_bands", case.band), percent=view.percent)
    date = f"{(case.at - timedelta(days=profile.silent_days)).astimezone(zone):%Y-%m-%d}" if profile.orders else ""
    entries: list[tuple[str, Sequence[str]]] = [
        ("segment", [view.segment]),
        ("score", [scored or say("unscored", window=format_duration(config.shop.active_window))]),
        ("last_order", [say("ordered", days=Number(profile.silent_days), date=date) if date else say("never_ordered")]),
        ("usual_gap", [say("gap", days=Number(profile.usual_gap_days)) if profile.repeats else say("no_gap")]),
        ("orders", [words.number(profile.orders)]),
        ("worth", [say("monthly", worth=view.worth)] if view.worth else []),
        *_expected(view, say),
        ("causes", [f"{one.name} {one.percent}%" for one in view.causes]),
        ("evidence", view.evidence),
        ("complaints", [say("complaint", days=Number(days)) for days in profile.open_days]),
        ("alerts", [_alert(one, zone, say) for one in case.alerts]),
        ("measure", _measure(view, words, say)),
        ("stored", [say("partition", partition=case.stored.partition, version=case.stored.summary.version)]),
    ]
    if customer.waiting:
        decision = customer.waiting[-1]
        percent = f"{decision.probability * 100:.0f}"
        at = local_time(from_micros(decision.decided_at), zone)
        entries.append(("decided", [say("decision", time=at, percent=percent, version=decision.version)]))
    if customer.due:
        entries.append(("next", [local_time(from_micros(customer.due), zone)]))
    title = say("title", customer=customer.name, time=local_time(case.at, zone))
    return [title, *(line for name, values in entries for line in _lines(say(name), values or [say("none")]))]


def _expected(view: AlertView, say: Callable[..., str]) -> list[tuple[str, Sequence[str]]]:
    """Return the lines of the predictions that exist only if calls are planned."""
    if not view.next_order_from:
        return []
    value = [say("expects", value=view.expected, days=Number(view.horizon_days))] if view.expected else []
    key = "between" if view.next_order_to else "not_before"
    order = say(key, begin=view.next_order_from, end=view.next_order_to)
    return [("expected", value), ("next_order", [order])]


def _alert(one: OpenAlert, zone: ZoneInfo, say: Callable[..., str]) -> str:
    note, work = one.note, one.work
    key, until = "urgent" if note.urgent else "alert", local_time(note.expires_at, zone)
    text = say(key, id=note.alert_id, rank=note.rank, until=until)
    if work.owner:
        text += say("owner", owner=work.owner)
    if work.snoozed_until:
        text += say("snoozed", until=local_time(work.snoozed_until, zone))
    return text


def _measure(view: AlertView, words: Translator, say: Callable[..., str]) -> list[str]:
    if not view.steps:
        return [say("stopped")] if view.stopped else []
    lines = [f"{number}. {step}" for number, step in enumerate(view.steps, 1)]
    by = say("by", channel=words.text(f"contact_channels.{view.channel}"))
    hours = [say("hours", hours=view.contact_hours)] if view.contact_hours else []
    return [by, *hours, *lines, *(say("never", text=text) for text in view.never)]


def _lines(label: str, values: Sequence[str]) -> list[str]:
    """Return lines with a label and its values: the first value next to the label, the others below.

    >>> _lines("causes", ["price 60%", "service 20%"])
    ['  causes          price 60%', '                  service 20%']
    """
    labels = [label, *[""] * (len(values) - 1)]
    return [f"  {set_cell_size(name, _LABEL_CELLS)}  {value}" for name, value in zip(labels, values, strict=True)]
