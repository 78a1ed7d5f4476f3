"""Staff actions on alerts and urgent cases: acknowledge, snooze or resolve.

Actions arrive as steps of alerts on `shop.control`. The customer's partition applies them in order, so an alert never
has two owners. Actions that are not allowed are ignored here; `stream-app alerts` rejects them with an error message
before sending them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.alerts.sla import SlaBreach, UrgentCase
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.causes.explanation import Explanation, Number, Probability, sendable, sendable_or_none
from stream_app.core.causes.inference import without_causes
from stream_app.core.events.schema import DEFAULT_SHOP, Id, Instant
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.schema import AlertAction, AlertStep
from stream_app.core.units import from_micros, micros

ACKED: Final = AlertAction.ACKED
SNOOZED: Final = AlertAction.SNOOZED
RESOLVED: Final = AlertAction.RESOLVED
ACTIONS: Final = (ACKED, SNOOZED, RESOLVED)
OUTCOMES: Final = ("retained", "lost", "unreachable", "no_action")
OTHER_OUTCOME: Final = "other"  # any other outcome
MAX_STAFF: Final = 40  # maximum length of an owner's name stored with an alert, characters
WORK: Final = ":work"  # appended to an alert's id to form the key of its WorkNote in the store


@dataclass(frozen=True, slots=True)
class StaffOutcome:
    """Outcome of an alert as reported by the staff."""

    outcome: str
    cause: str  # cause confirmed by the staff; empty: unknown
    staff: str


NO_OUTCOME: Final = StaffOutcome("", "", "")
_Worked = TypeVar("_Worked", Alert, UrgentCase)


class AlertNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """An open alert or urgent case as shown in lists, stored as JSON under its id."""

    alert_id: str
    customer_id: str
    opened_at: Instant
    expires_at: Instant
    rank: int  # 0: an urgent case
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None = None
    shop_id: Id = DEFAULT_SHOP
    explanation: Explanation = Explanation()
    urgent: bool = False  # a complaint has missed its service target
    contact_rules: ContactRules | None = None
    find_out: bool = False  # the likely causes are hidden; see alerts.AlertOpened


class WorkNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Staff work on an open alert or urgent case, stored as JSON under its id plus `WORK`."""

    owner: str = ""
    acked_at: Instant | None = None
    snoozed_until: Instant | None = None


def may_act(owner: str, staff: str, *, take_over: bool) -> bool:
    """Return whether a staff member may act on an alert; anyone but its owner must take it over first.

    >>> may_act("", "li", take_over=False), may_act("li", "wang", take_over=False)
    (True, False)
    """
    return not owner or owner == staff or take_over


def apply_action(alert: _Worked, step: AlertStep, at: int) -> _Worked | StaffOutcome | None:
    """Apply a staff action.

    Args:
        alert: an open alert or urgent case.
        step: one of `ACTIONS`.
        at: time of the action, microseconds.

    Returns:
        The alert with its new owner or snooze time, its outcome if the action resolves it, or None if not allowed.
    """
    staff = staff_name(step.staff)
    if not may_act(alert.owner, staff, take_over=step.take_over):
        return None
    if step.action == RESOLVED:
        outcome = step.outcome if step.outcome in OUTCOMES else OTHER_OUTCOME
        cause = step.cause if step.cause in (*CAUSES, FAMILY) else ""
        return StaffOutcome(outcome, cause or "", staff or alert.owner)
    if not staff:
        return None  # an owner must have a name
    if step.action == ACKED:
        return replace(alert, owner=staff, acked_at=at, snoozed_until=0)
    until = min(micros(step.until), alert.expires_at) if step.until is not None else at
    if step.action == SNOOZED and until > at:  # the end may be in the past
        acked_at = alert.acked_at if alert.owner == staff else at
        return replace(alert, owner=staff, acked_at=acked_at, snoozed_until=until)
    return None


def staff_name(staff: str | None) -> str:
    """Return a name as stored: whitespace normalised, unencodable characters replaced, at most `MAX_STAFF` long.

    >>> staff_name("  Li   Na "), staff_name(None)
    ('Li Na', '')
    """
    spaced = " ".join((staff or "").split())
    return spaced.encode("utf-8", "replace").decode()[:MAX_STAFF]


def notes_of(alert: Alert) -> dict[str, bytes]:
    """Return the notes to store for an alert that has just opened."""
    note = _note(alert.alert_id, alert.candidate, alert.opened_at, alert.expires_at, alert.contact_rules, alert.rank)
    if alert.blind:
        note = msgspec.structs.replace(note, explanation=without_causes(note.explanation), find_out=True)
    return {alert.alert_id: msgspec.json.encode(note)} | work_notes_of(alert)


def breach_notes_of(breach: SlaBreach) -> dict[str, bytes]:
    """Return the notes to store for an urgent case that has just opened."""
    at = breach.candidate.at
    note = _note(breach.alert_id, breach.candidate, at, breach.expires_at, breach.contact_rules, urgent=True)
    return {breach.alert_id: msgspec.json.encode(note)}


def _note(
    alert_key: str,
    candidate: AlertCandidate,
    opened_at: int,
    expires_at: int,
    contact_rules: ContactRules | None,
    rank: int = 0,
    urgent: bool = False,
) -> AlertNote:
    return AlertNote(
        alert_id=alert_key,
        customer_id=candidate.customer.encode("utf-8", "replace").decode(),
        opened_at=from_micros(opened_at),
        expires_at=from_micros(expires_at),
        rank=rank,
        probability=candidate.probability,
        monthly_worth=sendable(candidate.monthly_worth),
        silent_days=sendable(candidate.silent_days),
        usual_gap_days=sendable_or_none(candidate.usual_gap_days),
        shop_id=candidate.shop_id,
        explanation=candidate.explanation,
        urgent=urgent,
        contact_rules=contact_rules,
    )


def work_notes_of(alert: Alert | UrgentCase) -> dict[str, bytes]:
    """Return the notes to store for staff work on an alert; empty values if it has no owner."""
    if not alert.owner:
        return {}
    until = from_micros(alert.snoozed_until) if alert.snoozed_until else None
    note = WorkNote(alert.owner, from_micros(alert.acked_at), until)
    return {alert.alert_id + WORK: msgspec.json.encode(note)}


def cleared_notes_of(alert_key: str) -> dict[str, bytes]:
    """Return notes with empty values, which remove an alert or urgent case from the store."""
    return {alert_key: b"", alert_key + WORK: b""}
