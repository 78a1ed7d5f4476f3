"""Open episodes and urgent cases as the staff works on them: found in the store, and what may be said of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

import msgspec

from stream_app.core.alerts.staff_actions import WORK, AlertNote, WorkNote, may_act, staff_name
from stream_app.core.messages.schema import Contact, ContactAction
from stream_app.errors import AlertTaken, BadOption, NoSuchAlert
from stream_app.ports import StateStore

SHORTEST_ID: Final = 6  # characters of an id that may stand for the whole
_log = logging.getLogger(__name__)
_note: Final = msgspec.json.Decoder(AlertNote)
_work: Final = msgspec.json.Decoder(WorkNote)


@dataclass(frozen=True)
class OpenAlert:
    """An episode or an urgent case, and what is done about it."""

    partition: int
    note: AlertNote
    work: WorkNote

    def rests(self, now: datetime) -> bool:
        """Whether it was put off until later."""
        return self.work.snoozed_until is not None and self.work.snoozed_until > now


async def open_alerts(
    store: StateStore, partitions: Iterable[int], skip: Callable[[str], None] = _log.warning
) -> list[OpenAlert]:
    """All that is open: urgent cases first, then episodes, the latest day first and then by rank.

    Args:
        store: of the states.
        partitions: of which the open ones are wanted.
        skip: called with a line for each one that cannot be read.
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
            except (ValueError, RecursionError) as error:  # of msgspec, and of bytes that are not UTF-8
                skip(f"Skipped episode {key!a} of partition {number}, which cannot be read: {error}")
    return sorted(found, key=_order)


def _order(one: OpenAlert) -> tuple[bool, float, int, str]:
    note = one.note
    return not note.urgent, -note.opened_at.timestamp(), note.rank, note.alert_id


def alert_of(alerts: Iterable[OpenAlert], alert_id: str) -> OpenAlert:
    """The one with an id, or with an id that begins so and no other does. Raises NoSuchAlert."""
    known = list(alerts)
    exact = [one for one in known if one.note.alert_id == alert_id]
    found = exact or [one for one in known if one.note.alert_id.startswith(alert_id) and len(alert_id) >= SHORTEST_ID]
    if not found:
        remedy = (
            "`stream-app alerts list --all` lists open alerts. An alert closes when the customer orders or when it"
            " expires; an urgent one also when the complaint is answered or solved."
        )
        raise NoSuchAlert(alert_id=alert_id, remedy=remedy)
    if len(found) > 1:
        raise NoSuchAlert(alert_id=alert_id, remedy=f"{len(found)} ids start like this: use a longer prefix.")
    return found[0]


def contact_of(
    alert: OpenAlert, action: str, staff: str, occurred_at: datetime, *, take_over: bool, event_id: str = ""
) -> Contact:
    """What is to be written of an episode.

    Args:
        alert: which.
        action: one of casework.ACTIONS.
        staff: who does it.
        occurred_at: when.
        take_over: whether also if it belongs to somebody else.
        event_id: of the contact; empty: a new one.

    Raises AlertTaken if it does and may not, BadOption for a name that says nothing.
    """
    name, owner = staff_name(staff), alert.work.owner
    if not name:
        raise BadOption(option="--staff", value=staff, remedy="Give your name, as your colleagues know it.")
    if not may_act(owner, name, take_over=take_over):
        raise AlertTaken(alert_id=alert.note.alert_id, owner=owner)
    return Contact(
        event_id=event_id or f"staff-{uuid4().hex}",
        customer_id=alert.note.customer_id,
        occurred_at=occurred_at,
        action=ContactAction(action),
        staff=name,
        alert_id=alert.note.alert_id,
        take_over=take_over,
    )
