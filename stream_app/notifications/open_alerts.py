"""Open alerts in the store, and the staff's actions on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

import msgspec

from stream_app.core.alerts.staff_actions import WORK, AlertNote, WorkNote, may_act, staff_name
from stream_app.core.messages.schema import AlertAction, AlertStep
from stream_app.errors import AlertTaken, BadOption, NoSuchAlert
from stream_app.ports import StateStore

SHORTEST_ID: Final = 6  # minimum length of an id prefix
_log = logging.getLogger(__name__)
_note: Final = msgspec.json.Decoder(AlertNote)
_work: Final = msgspec.json.Decoder(WorkNote)


@dataclass(frozen=True)
class OpenAlert:
    """An open alert, with its owner and snooze time."""

    partition: int
    note: AlertNote
    work: WorkNote

    def is_snoozed(self, now: datetime) -> bool:
        """Return whether the alert is snoozed at the given time."""
        return self.work.snoozed_until is not None and self.work.snoozed_until > now


async def open_alerts(
    store: StateStore, partitions: Iterable[int], skip: Callable[[str], None] = _log.warning
) -> list[OpenAlert]:
    """Return all open alerts: urgent alerts first, then by day (newest first) and rank.

    Args:
        store: state store.
        partitions: partitions to read.
        skip: called with a log line for each alert that cannot be decoded.
    """
    found = []
    for number in partitions:
        noted = await store.alerts(number)
        for key, value in noted.items():
            if key.endswith(WORK):
                continue
            work = noted.get(key + WORK)
            try:
                found.append(OpenAlert(number, _note.decode(value), _work.decode(work) if work else WorkNote()))
            except (ValueError, RecursionError) as error:  # from msgspec, or for bytes that are not UTF-8
                skip(f"Skipped alert {key!a} of partition {number}, which cannot be decoded: {error}")
    return sorted(found, key=_order)


def _order(one: OpenAlert) -> tuple[bool, float, int, str]:
    note = one.note
    return not note.urgent, -note.opened_at.timestamp(), note.rank, note.alert_id


def alert_of(alerts: Iterable[OpenAlert], alert_id: str) -> OpenAlert:
    """Return the alert whose id is, or uniquely begins with, `alert_id`. Raise NoSuchAlert."""
    known = list(alerts)
    exact = [one for one in known if one.note.alert_id == alert_id]
    found = exact or [one for one in known if one.note.alert_id.startswith(alert_id) and len(alert_id) >= SHORTEST_ID]
    if not found:
        raise NoSuchAlert(
            alert_id=alert_id,
            remedy="`stream-app alerts list --all` shows the open ones. An alert closes when the customer orders, an"
            " urgent one when the complaint is answered or solved, and both when they expire.",
        )
    if len(found) > 1:
        raise NoSuchAlert(alert_id=alert_id, remedy=f"{len(found)} alerts match. Give more characters of the id.")
    return found[0]


def step_of(
    alert: OpenAlert, action: str, staff: str, occurred_at: datetime, *, take_over: bool, event_id: str = ""
) -> AlertStep:
    """Return the record of a staff action on an alert.

    Args:
        alert: the alert.
        action: one of `staff_actions.ACTIONS`.
        staff: name of the person taking the action.
        occurred_at: time of the action.
        take_over: whether the action is allowed on an alert assigned to somebody else.
        event_id: id of the record; if empty, a new id is created.

    Raises AlertTaken if the alert is assigned to somebody else, and BadOption if the name is empty.
    """
    name, owner = staff_name(staff), alert.work.owner
    if not name:
        raise BadOption(option="--staff", value=staff, remedy="Give your name.")
    if not may_act(owner, name, take_over=take_over):
        raise AlertTaken(alert_id=alert.note.alert_id, owner=owner)
    return AlertStep(
        event_id=event_id or f"staff-{uuid4().hex}",
        customer_id=alert.note.customer_id,
        occurred_at=occurred_at,
        action=AlertAction(action),
        staff=name,
        alert_id=alert.note.alert_id,
        take_over=take_over,
    )
