"""The `stream-app alerts` commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.text import Text

from stream_app.adapters.kafka.control import ControlProducer
from stream_app.cli.options import (
    BootstrapOption,
    ConfigOption,
    JsonOption,
    LangOption,
    SetOption,
    language,
    load_settings,
    one_of,
)
from stream_app.cli.output import local_time, results, write_document, write_json
from stream_app.cli.tables import show_table
from stream_app.config import LiveConfig
from stream_app.core.alerts.staff_actions import ACKED, OUTCOMES, RESOLVED, SNOOZED, AlertNote
from stream_app.core.durations import duration
from stream_app.core.messages.schema import AlertAction, AlertStep
from stream_app.core.partition.progress import decode_summary
from stream_app.core.units import from_micros
from stream_app.errors import AlertTaken, BadOption
from stream_app.i18n import Translator
from stream_app.notifications.messages.masking import mask
from stream_app.notifications.open_alerts import OpenAlert, alert_of, open_alerts, step_of
from stream_app.notifications.playbook.measures import CAUSES
from stream_app.services.runtime.stores import Stores, with_stores

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List open alerts, and record who works on them and the outcome.",
)
MAX_NOTE: Final = 500  # characters
_APPLIED_SECONDS: Final = 10.0  # time to wait until a worker has applied an action
_POLL_SECONDS: Final = 0.1
_RESULTS: Final = {ACKED: "alerts.acked", SNOOZED: "alerts.put_off", RESOLVED: "alerts.resolved"}
_COLUMNS: Final = {  # minimum width in cells
    **dict.fromkeys(("alert", "customer", "opened", "rank", "risk", "worth"), 0),
    "cause": 20,
    "owner": 0,
    "snoozed": 0,
}

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the alert, or an unambiguous prefix.")]
StaffOption = Annotated[str, typer.Option("--staff", help="Your name as known to your colleagues.")]
TakeOverOption = Annotated[bool, typer.Option("--take-over", help="Take over a colleague's alert.")]


@app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Include snoozed alerts.")] = False,
    as_json: JsonOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """List open alerts: urgent alerts first, then by day (newest first) and rank.

    Customer ids are masked in the table. --json lists all alerts, with full ids.
    """
    settings = load_settings(config, given=given)
    found, now = with_stores(settings, lambda stores: _found(stores, settings))
    if as_json:
        write_json(map(_content, found))
        return
    words, console = Translator(language(lang), "cli"), results()
    shown = [one for one in found if everything or not one.is_snoozed(now)]
    if shown:
        rows = [_row(one, ZoneInfo(settings.shop.zone), words) for one in shown]
        columns = {words.text(f"alerts.{name}"): cells for name, cells in _COLUMNS.items()}
        show_table(console, words.text("alerts.title"), columns, rows)
        for hours in sorted({one.note.contact_rules.hours for one in shown if one.note.contact_rules}):
            console.print(Text(words.text("alerts.hours", hours=words.join(hours))), soft_wrap=True)
    elif not found:
        console.print(words.text("alerts.none"))
    if len(shown) < len(found):
        console.print(words.text("alerts.more", count=len(found) - len(shown)))


@app.command()
def show(alert_id: IdArgument, config: ConfigOption = None, given: SetOption = None) -> None:
    """Show an open alert as JSON, with the customer's full id."""
    settings = load_settings(config, given=given)
    found, _ = with_stores(settings, lambda stores: _found(stores, settings))
    write_document(_content(alert_of(found, alert_id)))


@app.command()
def ack(
    alert_id: IdArgument,
    staff: StaffOption,
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Assign an alert to yourself. Colleagues can then act on it only with --take-over."""
    act(load_settings(config, bootstrap, given), alert_id, (ACKED, staff, take_over), language(lang))


@app.command()
def snooze(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    alert_id: IdArgument,
    staff: StaffOption,
    until: Annotated[str, typer.Option(help="A duration (2d) or a time with an offset (2026-11-12T09:00+08:00).")],
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Snooze an alert until a given time, at most until it expires, and assign it to yourself."""
    act(load_settings(config, bootstrap, given), alert_id, (SNOOZED, staff, take_over), language(lang), until=until)


@app.command()
def resolve(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    alert_id: IdArgument,
    staff: StaffOption,
    outcome: Annotated[str, typer.Option(help=f"{', '.join(OUTCOMES)}.")],
    cause: Annotated[str, typer.Option(help="Confirmed cause: a key from `stream-app playbook show`.")] = "",
    note: Annotated[
        str, typer.Option(help="Note for consumers of the topic. Do not include customers' names or phone numbers.")
    ] = "",
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Close an alert with its outcome and, if known, the confirmed cause."""
    one_of("--outcome", outcome, OUTCOMES)
    if cause:
        one_of("--cause", cause, CAUSES)
    settings = load_settings(config, bootstrap, given)
    details = {"outcome": outcome, "cause": cause or None, "note": note[:MAX_NOTE] or None}
    act(settings, alert_id, (RESOLVED, staff, take_over), language(lang), details=details)


def act(
    config: LiveConfig,
    alert_id: str,
    action: tuple[AlertAction, str, bool],
    lang: str,
    *,
    until: str = "",
    details: Mapping[str, str | None] = MappingProxyType({}),
) -> None:
    """Write a staff action to Kafka, wait until a worker has applied it, and print the result.

    Args:
        config: service settings.
        alert_id: id of an open alert, or a prefix.
        action: the action, the staff member's name, and whether they take over the alert.
        lang: language of the output.
        until: end of a snooze, as a duration or a time.
        details: outcome, cause and note of a resolved alert.

    Raises NoSuchAlert, AlertTaken or BadOption.
    """
    kind, staff, take_over = action
    found, now = with_stores(config, lambda stores: _found(stores, config))
    alert = alert_of(found, alert_id)
    step = step_of(alert, kind, staff, now, take_over=take_over)
    end = _end(until, now) if until else None
    step = msgspec.structs.replace(step, until=end, **details)
    ControlProducer(config).send(step)
    words, console = Translator(lang, "cli"), results()
    if not with_stores(config, lambda stores: _applied(stores, alert, step)):
        console.print(words.text("alerts.pending"))
        return
    local = local_time(end, ZoneInfo(config.shop.zone)) if end else ""
    values = {"id": alert.note.alert_id, "staff": step.staff, "outcome": step.outcome, "until": local}
    console.print(Text(words.text(_RESULTS[kind], **values)))


async def _found(stores: Stores, config: LiveConfig) -> tuple[list[OpenAlert], datetime]:
    numbers = range(config.kafka.partitions)
    return await open_alerts(stores.states, numbers, partial(typer.echo, err=True)), await _now(stores, config)


async def _now(stores: Stores, config: LiveConfig) -> datetime:
    """Return the time of an action by the shop's clock."""
    if config.ticks.clock != "log":
        return datetime.now(UTC)
    summaries = (await stores.states.summaries(range(config.kafka.partitions))).values()
    times = [decode_summary(one).stream_time for one in summaries if one]
    return from_micros(max([0, *times]))


async def _applied(stores: Stores, alert: OpenAlert, step: AlertStep) -> bool:
    """Wait until the customer's worker has applied an action. Return False on timeout.

    Raises AlertTaken if a colleague was faster.
    """
    until = time.monotonic() + _APPLIED_SECONDS
    while time.monotonic() < until:
        open_now = await open_alerts(stores.states, [alert.partition])
        now = next((one for one in open_now if one.note.alert_id == step.alert_id), None)
        if now is None:
            return step.action == RESOLVED
        work = now.work
        if work.owner not in {alert.work.owner, step.staff}:
            raise AlertTaken(alert_id=alert.note.alert_id, owner=work.owner)
        if step.action == ACKED and work.owner == step.staff and work.snoozed_until is None:
            return True
        if step.until and work.snoozed_until == min(step.until, now.note.expires_at):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _end(text: str, now: datetime) -> datetime:
    """Parse the end of a snooze, given as a duration from now or as a time with an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now + timedelta(microseconds=duration(text))
    if moment.tzinfo is None or moment <= now:
        remedy = "Use a future time with an offset, such as 2026-11-12T09:00+08:00, or a duration such as 2d."
        raise BadOption(option="--until", value=text, remedy=remedy)
    return moment


def _row(one: OpenAlert, zone: ZoneInfo, words: Translator) -> tuple[str, ...]:
    note, until = one.note, one.work.snoozed_until
    return (
        note.alert_id,
        mask(note.customer_id),
        f"{note.opened_at.astimezone(zone):%Y-%m-%d}",
        words.text("alerts.urgent") if note.urgent else str(note.rank),
        f"{note.probability:.0%}" if note.probability else "",  # customers without an order have no score
        f"{note.monthly_worth:,.0f}",
        cause_of(note, words),
        one.work.owner,
        local_time(until, zone) if until else "",
    )


def cause_of(note: AlertNote, words: Translator) -> str:
    """Return the likeliest cause of an alert or, for an urgent one, the missed service target (its first evidence)."""
    explanation = note.explanation
    if note.urgent and explanation.evidence:
        with suppress(KeyError):  # evidence from another version may contain different numbers
            return words.evidence(explanation.evidence[0].rule, explanation.evidence[0].numbers)
    if note.find_out:
        return words.text("alerts.find_out")
    return words.cause(explanation.causes[0].key) if explanation.causes else ""


def _content(one: OpenAlert) -> dict[str, Any]:
    return {**msgspec.to_builtins(one.note), **msgspec.to_builtins(one.work), "partition": one.partition}
