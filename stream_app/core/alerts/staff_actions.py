"""What the staff does about an episode or an urgent case: takes it on, puts it off, or ends it with what came of it.

They say it as contacts on `shop.contacts`; the customer's own partition applies them, so that an episode has one
owner whoever was quicker. What is refused here changes nothing; `stream-app alerts` refuses it in words beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.alerts.sla import SlaBreach
from stream_app.core.alerts.urgent_case import UrgentCase
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.causes.explanation import Explanation, Number, Probability, sendable
from stream_app.core.events.schema import DEFAULT_SHOP, Id, Instant
from stream_app.core.messages.schema import Contact, ContactAction
from stream_app.core.units import EPOCH, MICROSECOND

ACKED: Final = ContactAction.ALERT_ACKED
SNOOZED: Final = ContactAction.ALERT_SNOOZED
RESOLVED: Final = ContactAction.ALERT_RESOLVED
ACTIONS: Final = (ACKED, SNOOZED, RESOLVED)
OUTCOMES: Final = ("retained", "lost", "unreachable", "no_action")
OTHER_OUTCOME: Final = "other"  # what a shop's own tools may say beside them
MAX_STAFF: Final = 40  # characters of a name that are kept with the episode
WORK: Final = ":work"  # behind the id of an alert: the key of what is done about it, among the stored episodes


@dataclass(frozen=True, slots=True)
class StaffOutcome:
    """How an episode ended, in the words of the staff."""

    outcome: str
    cause: str  # confirmed; empty: not known
    staff: str


NO_OUTCOME: Final = StaffOutcome("", "", "")
_Worked = TypeVar("_Worked", Alert, UrgentCase)


class AlertNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """An open episode or urgent case as those see it who look for open ones; as JSON, by its id."""

    alert_id: str
    customer_id: str
    opened_at: Instant
    expires_at: Instant
    rank: int  # 0: an urgent case, which has none
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None = None
    shop_id: Id = DEFAULT_SHOP
    explanation: Explanation = Explanation()
    urgent: bool = False  # a complaint is past its service target


class WorkNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done about an open episode; as JSON, by its id and `WORK`."""

    owner: str = ""
    acked_at: Instant | None = None
    snoozed_until: Instant | None = None


def may_act(owner: str, staff: str, *, take_over: bool) -> bool:
    """Whether somebody may act on an episode: a second person only by taking it over, so that nobody is called twice.

    >>> may_act("", "li", take_over=False), may_act("li", "wang", take_over=False)
    (True, False)
    """
    return not owner or owner == staff or take_over


def apply_action(alert: _Worked, contact: Contact, at: int) -> _Worked | StaffOutcome | None:
    """What an episode or an urgent case becomes by a contact of the staff.

    Args:
        alert: which is open.
        contact: that names it, with one of `ACTIONS`.
        at: when, microseconds.

    Returns:
        It with its new owner or pause; the verdict that ends it; or None, if the contact may not change it.
    """
    staff = staff_name(contact.staff)
    if not may_act(alert.owner, staff, take_over=contact.take_over):
        return None
    if contact.action == RESOLVED:
        outcome = contact.outcome if contact.outcome in OUTCOMES else OTHER_OUTCOME
        cause = contact.cause if contact.cause in (*CAUSES, FAMILY) else ""
        return StaffOutcome(outcome, cause or "", staff or alert.owner)
    if not staff:
        return None  # an owner has a name
    if contact.action == ACKED:
        return replace(alert, owner=staff, acked_at=at, snoozed_until=0)
    until = min((contact.until - EPOCH) // MICROSECOND, alert.expires_at) if contact.until is not None else at
    if contact.action == SNOOZED and until > at:  # a shop's own tools may tell of a pause that is over
        acked_at = alert.acked_at if alert.owner == staff else at
        return replace(alert, owner=staff, acked_at=acked_at, snoozed_until=until)
    return None


def staff_name(staff: str | None) -> str:
    """A name as it is kept: without what no text can hold, and not longer than `MAX_STAFF`.

    >>> staff_name("  Li   Na "), staff_name(None)
    ('Li Na', '')
    """
    spaced = " ".join((staff or "").split())
    return spaced.encode("utf-8", "replace").decode()[:MAX_STAFF]


def notes_of(alert: Alert) -> dict[str, bytes]:
    """An episode that has just opened, for the store."""
    note = _noted(alert.alert_id, alert.candidate, alert.opened_at, alert.expires_at)
    note = msgspec.structs.replace(note, rank=alert.rank)
    return {alert.alert_id: msgspec.json.encode(note)} | work_notes_of(alert)


def case_notes_of(breach: SlaBreach) -> dict[str, bytes]:
    """An urgent case that has just opened, for the store."""
    note = _noted(breach.alert_id, breach.candidate, breach.candidate.at, breach.expires_at)
    return {breach.alert_id: msgspec.json.encode(msgspec.structs.replace(note, urgent=True))}


def _noted(alert_key: str, candidate: AlertCandidate, opened_at: int, expires_at: int) -> AlertNote:
    gap = candidate.usual_gap_days
    return AlertNote(
        alert_id=alert_key,
        customer_id=candidate.customer.encode("utf-8", "replace").decode(),
        opened_at=_instant(opened_at),
        expires_at=_instant(expires_at),
        rank=0,
        probability=candidate.probability,
        monthly_worth=sendable(candidate.monthly_worth),
        silent_days=sendable(candidate.silent_days),
        usual_gap_days=sendable(gap) if gap == gap else None,  # noqa: PLR0124 - NaN alone differs from itself
        shop_id=candidate.shop_id,
        explanation=candidate.explanation,
    )


def work_notes_of(alert: Alert | UrgentCase) -> dict[str, bytes]:
    """What is done about an episode, for the store; nothing, if nothing is."""
    if not alert.owner:
        return {}
    until = _instant(alert.snoozed_until) if alert.snoozed_until else None
    note = WorkNote(alert.owner, _instant(alert.acked_at), until)
    return {alert.alert_id + WORK: msgspec.json.encode(note)}


def cleared_notes_of(alert_key: str) -> dict[str, bytes]:
    """What takes an episode or a case out of the store, by its id: empty values."""
    return {alert_key: b"", alert_key + WORK: b""}


def _instant(at: int) -> Instant:
    return EPOCH + at * MICROSECOND
