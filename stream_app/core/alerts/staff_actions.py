"""What the staff does about an episode or an urgent case: takes it on, puts it off, or ends it with what came of it.

They say it as contacts on `shop.contacts`; the customer's own partition applies them, so that an episode has one
owner whoever was quicker. What is refused here changes nothing; `stream-app episode` refuses it in words beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

import msgspec

from stream_app.core.alerts.lifecycle import Episode, Nomination
from stream_app.core.alerts.sla import Breach
from stream_app.core.alerts.urgent_case import UrgentCase
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.causes.explanation import Explanation, Number, Probability, sendable
from stream_app.core.events.schema import DEFAULT_SHOP, Id, Instant
from stream_app.core.messages.schema import Contact, ContactAction
from stream_app.core.units import EPOCH, MICROSECOND

ACKED: Final = ContactAction.EPISODE_ACKED
SNOOZED: Final = ContactAction.EPISODE_SNOOZED
RESOLVED: Final = ContactAction.EPISODE_RESOLVED
ACTIONS: Final = (ACKED, SNOOZED, RESOLVED)
OUTCOMES: Final = ("retained", "lost", "unreachable", "no_action")
OTHER_OUTCOME: Final = "other"  # what a shop's own tools may say beside them
MAX_STAFF: Final = 40  # characters of a name that are kept with the episode
WORK: Final = ":work"  # behind the id of an alert: the key of what is done about it, among the stored episodes


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an episode ended, in the words of the staff."""

    outcome: str
    cause: str  # confirmed; empty: not known
    staff: str


NO_VERDICT: Final = Verdict("", "", "")
_Worked = TypeVar("_Worked", Episode, UrgentCase)


class EpisodeNote(msgspec.Struct, frozen=True, omit_defaults=True):
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


def work_on(episode: _Worked, contact: Contact, at: int) -> _Worked | Verdict | None:
    """What an episode or an urgent case becomes by a contact of the staff.

    Args:
        episode: which is open.
        contact: that names it, with one of `ACTIONS`.
        at: when, microseconds.

    Returns:
        It with its new owner or pause; the verdict that ends it; or None, if the contact may not change it.
    """
    staff = staff_name(contact.staff)
    if not may_act(episode.owner, staff, take_over=contact.take_over):
        return None
    if contact.action == RESOLVED:
        outcome = contact.outcome if contact.outcome in OUTCOMES else OTHER_OUTCOME
        cause = contact.cause if contact.cause in (*CAUSES, FAMILY) else ""
        return Verdict(outcome, cause or "", staff or episode.owner)
    if not staff:
        return None  # an owner has a name
    if contact.action == ACKED:
        return replace(episode, owner=staff, acked_at=at, snoozed_until=0)
    until = min((contact.until - EPOCH) // MICROSECOND, episode.expires_at) if contact.until is not None else at
    if contact.action == SNOOZED and until > at:  # a shop's own tools may tell of a pause that is over
        acked_at = episode.acked_at if episode.owner == staff else at
        return replace(episode, owner=staff, acked_at=acked_at, snoozed_until=until)
    return None


def staff_name(staff: str | None) -> str:
    """A name as it is kept: without what no text can hold, and not longer than `MAX_STAFF`.

    >>> staff_name("  Li   Na "), staff_name(None)
    ('Li Na', '')
    """
    spaced = " ".join((staff or "").split())
    return spaced.encode("utf-8", "replace").decode()[:MAX_STAFF]


def notes_of(episode: Episode) -> dict[str, bytes]:
    """An episode that has just opened, for the store."""
    note = _noted(episode.alert_id, episode.nomination, episode.opened_at, episode.expires_at)
    note = msgspec.structs.replace(note, rank=episode.rank)
    return {episode.alert_id: msgspec.json.encode(note)} | work_notes_of(episode)


def case_notes_of(breach: Breach) -> dict[str, bytes]:
    """An urgent case that has just opened, for the store."""
    note = _noted(breach.alert_id, breach.nomination, breach.nomination.at, breach.expires_at)
    return {breach.alert_id: msgspec.json.encode(msgspec.structs.replace(note, urgent=True))}


def _noted(told_as: str, nomination: Nomination, opened_at: int, expires_at: int) -> EpisodeNote:
    gap = nomination.usual_gap_days
    return EpisodeNote(
        alert_id=told_as,
        customer_id=nomination.customer.encode("utf-8", "replace").decode(),
        opened_at=_instant(opened_at),
        expires_at=_instant(expires_at),
        rank=0,
        probability=nomination.probability,
        monthly_worth=sendable(nomination.monthly_worth),
        silent_days=sendable(nomination.silent_days),
        usual_gap_days=sendable(gap) if gap == gap else None,  # noqa: PLR0124 - NaN alone differs from itself
        shop_id=nomination.shop_id,
        explanation=nomination.explanation,
    )


def work_notes_of(episode: Episode | UrgentCase) -> dict[str, bytes]:
    """What is done about an episode, for the store; nothing, if nothing is."""
    if not episode.owner:
        return {}
    until = _instant(episode.snoozed_until) if episode.snoozed_until else None
    note = WorkNote(episode.owner, _instant(episode.acked_at), until)
    return {episode.alert_id + WORK: msgspec.json.encode(note)}


def no_notes_of(told_as: str) -> dict[str, bytes]:
    """What takes an episode or a case out of the store, by its id: empty values."""
    return {told_as: b"", told_as + WORK: b""}


def _instant(at: int) -> Instant:
    return EPOCH + at * MICROSECOND
