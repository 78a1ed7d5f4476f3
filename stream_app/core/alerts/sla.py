"""Service-level targets of complaints: when an answer and a solution are due, and the alert of a missed one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import AlertCandidate, alert_id
from stream_app.core.alerts.urgent_case import Target
from stream_app.core.causes.explanation import Evidence
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.complaints import ComplaintCase, has_cases, keys_of, steps_of
from stream_app.core.state.vector import StateVector
from stream_app.core.units import DAY_US, HOUR_US

UNANSWERED: Final = "unanswered"

UNSOLVED: Final = "unsolved"

MET: Final = "met"  # an urgent alert closes: answered or resolved, though late, or opened again after an answer


@dataclass(slots=True)
class SlaBreach:
    """A target that was missed: an urgent alert, whatever the risk."""

    kind: str
    expires_at: int  # microseconds
    candidate: AlertCandidate  # its moment is that of the target; its probability 0 for who has never ordered

    @property
    def alert_id(self) -> str:
        """The same wherever it is computed, and another than that of an episode of the same customer."""
        return breach_id(self.candidate.customer, (self.candidate.at, self.kind))


@dataclass(frozen=True, slots=True)
class SlaBreachEnded:
    """The end of an urgent alert: its target was met after all, or the staff says what came of it."""

    alert_id: str
    customer: str
    at: int  # microseconds
    reason: str = MET
    outcome: str = ""  # as in alerts.Closing
    cause: str = ""
    staff: str = ""


def breach_id(customer: str, target: Target) -> str:
    """The id of an urgent alert.

    >>> breach_id("c1", (0, UNSOLVED)) != breach_id("c1", (0, UNANSWERED))
    True
    """
    return alert_id(customer, *target)


def targets_of(vector: StateVector[float], settings: Settings) -> set[Target]:
    """The targets of all complaints that are open and remembered. Two opened in one instant share theirs."""
    if not has_cases(vector):
        return set()
    return {target for case in steps_of(vector) if case.is_open for target in _targets(case, settings)}


@dataclass(frozen=True, slots=True)
class ComplaintsBefore:
    """What a customer's complaints were before a step of one of them."""

    targets: set[Target]
    keys: frozenset[float]

    @classmethod
    def of(cls, vector: StateVector[float], settings: Settings) -> ComplaintsBefore:
        """As they are now."""
        return cls(targets_of(vector, settings), keys_of(vector))


def _targets(case: ComplaintCase, settings: Settings) -> list[Target]:
    opened = round(case.opened * DAY_US)
    targets = []
    if settings.answer_within and not case.was_answered:
        targets.append((opened + settings.answer_within, UNANSWERED))
    if settings.solve_within:
        targets.append((opened + settings.solve_within, UNSOLVED))
    return targets


def breach_of(told: AlertCandidate, kind: str, settings: Settings) -> SlaBreach:
    """The urgent alert of a customer at the moment of his target; first of its evidence is the target itself."""
    within = settings.answer_within if kind == UNANSWERED else settings.solve_within
    first = Evidence(kind, {"hours": within / HOUR_US})
    explained = msgspec.structs.replace(told.explanation, evidence=(first, *told.explanation.evidence))
    candidate = replace(told, explanation=explained)
    return SlaBreach(kind, told.at + settings.alert_lifetime, candidate)


def is_announced(target: Target, shop: KnownShop) -> bool:
    """Whether a missed target is told: only if the shop had said by then that complaints are answered, or solved."""
    due, kind = target
    return due >= (shop.answers_since if kind == UNANSWERED else shop.solves_since)
