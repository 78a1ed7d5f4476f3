"""Service targets of complaints: when an answer and a resolution are due, and the urgent alert for a missed target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import AlertCandidate, alert_id
from stream_app.core.causes.explanation import Evidence
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.complaints import ComplaintCase, has_cases, keys_of, steps_of
from stream_app.core.state.vector import StateVector
from stream_app.core.units import DAY_US, HOUR_US

UNANSWERED: Final = "unanswered"
UNSOLVED: Final = "unsolved"
LOW_REVIEW: Final = "low_review"  # a review that is due for an answer at once
MET: Final = "met"  # reason for closing an urgent alert: the complaint was answered, resolved or reopened late

COMPLAINT: Final = "complaint"  # kind of a case for all targets of a complaint

Target = tuple[int, str]  # deadline in microseconds; UNANSWERED, UNSOLVED or LOW_REVIEW
CaseKey = tuple[int, str]  # a target, or the time when a complaint was opened (microseconds) and COMPLAINT


@dataclass(frozen=True, slots=True)
class UrgentCase:
    """Staff work on a missed target. Whether the case is open is derived from the complaint."""

    alert_id: str
    expires_at: int  # microseconds
    owner: str = ""  # name of the staff member; empty: no owner
    acked_at: int = 0  # time when the owner took the case, microseconds
    snoozed_until: int = 0  # microseconds; 0: not snoozed
    resolved: bool = False  # whether the staff has resolved the case, regardless of the complaint's state


@dataclass(slots=True)
class SlaBreach:
    """A missed target, which opens an urgent alert regardless of the risk."""

    kind: str
    expires_at: int  # microseconds
    candidate: AlertCandidate  # as of the deadline; the probability is 0 for customers without an order
    case: CaseKey
    contact_rules: ContactRules | None = None  # of the policy

    @property
    def is_case(self) -> bool:
        """Whether the alert is the only one of its complaint or review, and not one of several for missed targets."""
        return self.case[1] in (COMPLAINT, LOW_REVIEW)

    @property
    def alert_id(self) -> str:
        """Id of the urgent alert, which differs from the id of an ordinary alert for the same customer."""
        return breach_id(self.candidate.customer, self.case)


@dataclass(frozen=True, slots=True)
class SlaBreachEnded:
    """End of an urgent alert: the complaint was handled late, or the staff resolved the alert."""

    alert_id: str
    customer: str
    at: int  # microseconds
    reason: str = MET
    outcome: str = ""  # as in AlertClosing
    cause: str = ""
    staff: str = ""


@dataclass(frozen=True, slots=True)
class ComplaintsBefore:
    """A customer's complaints as they were before a complaint event."""

    targets: set[Target]
    keys: frozenset[float]

    @classmethod
    def of(cls, vector: StateVector[float], settings: Settings) -> ComplaintsBefore:
        """Return the customer's current complaints."""
        return cls(targets_of(vector, settings), keys_of(vector))


def case_of(target: Target, settings: Settings) -> CaseKey:
    """Return the case that a missed target belongs to.

    >>> case_of((25 * HOUR_US, UNANSWERED), Settings(rank_by="worth")) == (HOUR_US, COMPLAINT)
    True
    """
    due, kind = target
    if kind == LOW_REVIEW or not settings.one_case_per_complaint:
        return target
    return due - _within(kind, settings), COMPLAINT


def _within(kind: str, settings: Settings) -> int:
    return settings.answer_within if kind == UNANSWERED else settings.solve_within


def breach_id(customer: str, target: CaseKey) -> str:
    """Return the id of the urgent alert of a case.

    >>> breach_id("c1", (0, UNSOLVED)) != breach_id("c1", (0, UNANSWERED))
    True
    """
    return alert_id(customer, *target)


def targets_of(vector: StateVector[float], settings: Settings) -> set[Target]:
    """Return the targets of all open complaints. Complaints opened at the same instant share their targets."""
    if not has_cases(vector):
        return set()
    return {target for case in steps_of(vector) if case.is_open for target in _targets(case, settings)}


def _targets(case: ComplaintCase, settings: Settings) -> list[Target]:
    opened = round(case.opened * DAY_US)
    targets = []
    if settings.answer_within and not case.was_answered:
        targets.append((opened + settings.answer_within, UNANSWERED))
    if settings.solve_within:
        targets.append((opened + settings.solve_within, UNSOLVED))
    return targets


def breach_of(candidate: AlertCandidate, kind: str, settings: Settings) -> SlaBreach:
    """Return a customer's service-target breach as of the deadline, with the missed target as the first evidence."""
    first = Evidence(kind, {} if kind == LOW_REVIEW else {"hours": _within(kind, settings) / HOUR_US})
    explained = msgspec.structs.replace(candidate.explanation, evidence=(first, *candidate.explanation.evidence))
    expires_at = candidate.at + settings.alert_lifetime
    case = case_of((candidate.at, kind), settings)
    return SlaBreach(kind, expires_at, replace(candidate, explanation=explained), case, settings.contact_rules)


def is_announced(target: Target, shop: KnownShop) -> bool:
    """Return whether a missed target opens an alert: the shop must have reported answers (or resolutions) by then.

    A low review needs no report.
    """
    due, kind = target
    return kind == LOW_REVIEW or due >= (shop.answers_since if kind == UNANSWERED else shop.solves_since)
