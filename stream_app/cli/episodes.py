"""`stream-app episode` as people see it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.text import Text as Line

from stream_app import i18n
from stream_app.adapters.kafka.contacts import send_contact
from stream_app.cli.options import one_of
from stream_app.cli.tables import Column, show_table
from stream_app.config import LiveConfig
from stream_app.core.alerts.staff_actions import ACKED, RESOLVED, SNOOZED, AlertNote
from stream_app.core.durations import duration
from stream_app.core.messages.schema import Contact
from stream_app.core.partition.progress import Summary
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import AlertTaken, BadOption
from stream_app.notifications.messages.masking import mask
from stream_app.notifications.open_alerts import OpenAlert, alert_of, contact_of, open_alerts
from stream_app.services.runtime.stores import Stores, open_stores

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 10.0  # until a worker has applied what was written
_POLL_SECONDS: Final = 0.1
_SAID: Final = {
    "en": {
        "title": "Open episodes: urgent cases first, then the latest day, by rank",
        "columns": ("episode", "customer", "opened", "rank", "risk", "a month", "cause", "owner", "rests until"),
        "urgent": "urgent",
        "none": "No episode is open, and no urgent case.",
        "resting": "{count} more rest until later: --all shows them.",
        ACKED: "{id} is yours, {staff}.",
        SNOOZED: "{id} rests until {until}.",
        RESOLVED: "{id} is closed: {outcome}.",
        "pending": "It is written and will count; no worker has applied it yet (is one running?).",
    },
    "zh": {
        "title": "未结案件：紧急案件在前，其余按日期从新到旧、按名次排列",
        "columns": ("案件", "客户", "开立", "名次", "风险", "每月", "原因", "负责人", "暂缓至"),
        "urgent": "紧急",
        "none": "没有未结案件，也没有紧急案件。",
        "resting": "另有 {count} 件暂缓：--all 可显示。",
        ACKED: "{id} 由您负责，{staff}。",
        SNOOZED: "{id} 暂缓至 {until}。",
        RESOLVED: "{id} 已结案：{outcome}。",
        "pending": "已写入，将会生效；尚无工作进程处理（是否有 worker 在运行？）。",
    },
}
_CAUSE_CELLS: Final = 20  # in which a cause still reads well


def run_list(config: LiveConfig, form: str, lang: str, console: Console, *, everything: bool) -> None:
    """A table of the open episodes; or all of them as JSON lines."""
    one_of("--format", form, "table", "json")
    found, now = _with_stores(config, lambda stores: _found(stores, config))
    said = _SAID[lang]
    if form == "json":
        for one in found:
            sys.stdout.buffer.write(msgspec.json.encode(_told(one)) + b"\n")
        return
    shown = [one for one in found if everything or not one.rests(now)]
    if shown:
        _show(shown, ZoneInfo(config.shop.zone), lang, console)
    elif not found:
        console.print(said["none"])
    if len(shown) < len(found):
        console.print(str(said["resting"]).format(count=len(found) - len(shown)))


def run_show(config: LiveConfig, alert_id: str, console: Console) -> None:
    """One episode as JSON, with the customer's full id: for those who are about to work on it."""
    found, _ = _with_stores(config, lambda stores: _found(stores, config))
    told = msgspec.json.format(msgspec.json.encode(_told(alert_of(found, alert_id)))).decode()
    console.print(Line(told), soft_wrap=True)


def run_work(
    config: LiveConfig, alert_id: str, action: str, given: dict[str, Any], lang: str, console: Console
) -> None:
    """Write what somebody says of an episode, and say what has come of it.

    `given`: staff, take_over, and what the action needs: for (a duration), outcome, cause, note.
    """
    found, now = _with_stores(config, lambda stores: _found(stores, config))
    alert = alert_of(found, alert_id)
    contact = contact_of(alert, action, given["staff"], now, take_over=given["take_over"])
    more = {name: given.get(name) or None for name in ("outcome", "cause", "note")}
    if action == SNOOZED:
        more["until"] = _until(given["until"], now)
    contact = msgspec.structs.replace(contact, **more)
    send_contact(config, contact)
    applied = _with_stores(config, lambda stores: _applied(stores, alert, contact))
    said = _SAID[lang]
    if not applied:
        console.print(said["pending"])
        return
    until = contact.until.astimezone(ZoneInfo(config.shop.zone)) if contact.until else None
    vector = {"id": alert.note.alert_id, "staff": contact.staff, "outcome": contact.outcome}
    console.print(Line(str(said[action]).format(**vector, until=f"{until:%Y-%m-%d %H:%M}" if until else "")))


async def _found(stores: Stores, config: LiveConfig) -> tuple[list[OpenAlert], datetime]:
    numbers = range(config.kafka.partitions)
    return await open_alerts(stores.states, numbers, _say_skipped), await _now(stores, config)


def _say_skipped(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def _now(stores: Stores, config: LiveConfig) -> datetime:
    """The moment at which something is said: on the clock that the shop runs on."""
    if config.ticks.clock != "log":
        return datetime.now(UTC)
    summaries = (await stores.states.summaries(range(config.kafka.partitions))).values()
    times = [msgspec.json.decode(one, type=Summary).stream_time for one in summaries if one]
    return EPOCH + max([0, *times]) * MICROSECOND


async def _applied(stores: Stores, alert: OpenAlert, contact: Contact) -> bool:
    """Wait for the customer's worker. Raises AlertTaken if somebody else was quicker."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        open_now = await open_alerts(stores.states, [alert.partition])
        now = next((one for one in open_now if one.note.alert_id == contact.alert_id), None)
        if now is None:
            return contact.action == RESOLVED
        work = now.work
        if work.owner not in {alert.work.owner, contact.staff}:
            raise AlertTaken(alert_id=alert.note.alert_id, owner=work.owner)
        if contact.action == ACKED and work.owner == contact.staff and work.snoozed_until is None:
            return True
        if contact.action == SNOOZED and work.snoozed_until == _capped(contact, now):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


def _capped(contact: Contact, alert: OpenAlert) -> datetime | None:
    return min(contact.until, alert.note.expires_at) if contact.until else None


def _until(text: str, now: datetime) -> datetime:
    """A moment: a duration from now on, or a time with an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now + timedelta(microseconds=duration(text))
    if moment.tzinfo is None or moment <= now:
        remedy = "Give a time to come with an offset, like 2026-11-12T09:00+08:00, or a duration like 2d."
        raise BadOption(option="--until", value=text, remedy=remedy)
    return moment


def _show(alerts: list[OpenAlert], zone: ZoneInfo, lang: str, console: Console) -> None:
    said = _SAID[lang]
    names = [str(name) for name in said["columns"]]
    why = len(names) - 3
    columns = [Column(name, _CAUSE_CELLS if place == why else 0) for place, name in enumerate(names)]
    show_table(console, str(said["title"]), columns, [_row(one, zone, lang) for one in alerts])


def _row(one: OpenAlert, zone: ZoneInfo, lang: str) -> tuple[str, ...]:
    note, until = one.note, one.work.snoozed_until
    return (
        note.alert_id,
        mask(note.customer_id),
        f"{note.opened_at.astimezone(zone):%Y-%m-%d}",
        str(_SAID[lang]["urgent"]) if note.urgent else str(note.rank),
        f"{note.probability:.0%}" if note.probability else "",  # who has never ordered has no score
        f"{note.monthly_worth:,.0f}",
        _why(note, lang),
        one.work.owner,
        f"{until.astimezone(zone):%Y-%m-%d %H:%M}" if until else "",
    )


def _why(note: AlertNote, lang: str) -> str:
    """The likeliest cause; of an urgent case the target that was missed, which is the first of its evidence."""
    told = note.explanation
    if note.urgent and told.evidence:
        with suppress(KeyError):  # a sign of another version may have other numbers
            return i18n.evidence_text(told.evidence[0], lang)
    return i18n.cause_name(told.causes[0].key, lang) if told.causes else ""


def _told(one: OpenAlert) -> dict[str, Any]:
    return {**msgspec.to_builtins(one.note), **msgspec.to_builtins(one.work), "partition": one.partition}


def _with_stores(config: LiveConfig, work: Callable[[Stores], Awaitable[T]]) -> T:
    async def run() -> T:
        stores = open_stores(config)
        try:
            return await work(stores)
        finally:
            await stores.close()

    return asyncio.run(run())
