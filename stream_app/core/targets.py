"""Service targets: a complaint must be answered, and solved, in time. Whoever misses one hears of it at once.

What has been missed follows from the complaints in a customer's state and from stream time alone, so that it needs no
memory of its own: a target whose moment lies before stream time has been judged, all others have a timer. Only what the
staff does about an urgent case is remembered with the customer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from stream_app.core.alerts import Nomination, alert_id
from stream_app.core.cases import Case, has_cases, keys_of, steps_of
from stream_app.core.customer import Customer
from stream_app.core.explanation import Evidence
from stream_app.core.settings import HOUR_US, Settings
from stream_app.core.shops import KnownShop
from stream_app.core.state import DAY_US, Facts
from stream_app.core.timers import Timers
from stream_app.core.urgent import Target, UrgentCase

UNANSWERED: Final = "unanswered"
UNSOLVED: Final = "unsolved"
MET: Final = "met"  # an urgent alert closes: answered or resolved, though late, or opened again after an answer

Missed = tuple[Customer, Target]


@dataclass(slots=True)
class Breach:
    """A target that was missed: an urgent alert, whatever the risk."""

    kind: str
    expires_at: int  # microseconds
    nomination: Nomination  # its moment is that of the target; its probability 0 for who has never ordered

    @property
    def alert_id(self) -> str:
        """The same wherever it is computed, and another than that of an episode of the same customer."""
        return breach_id(self.nomination.customer, (self.nomination.at, self.kind))


@dataclass(frozen=True, slots=True)
class BreachEnded:
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


def targets_of(facts: Facts[float], settings: Settings) -> set[Target]:
    """The targets of all complaints that are open and remembered. Two opened in one instant share theirs."""
    if not has_cases(facts):
        return set()
    return {target for case in steps_of(facts) if case.is_open for target in _targets(case, settings)}


@dataclass(frozen=True, slots=True)
class Before:
    """What a customer's complaints were before a step of one of them."""

    targets: set[Target]
    keys: frozenset[float]

    @classmethod
    def of(cls, facts: Facts[float], settings: Settings) -> Before:
        """As they are now."""
        return cls(targets_of(facts, settings), keys_of(facts))


def _targets(case: Case, settings: Settings) -> list[Target]:
    opened = round(case.opened * DAY_US)
    targets = []
    if settings.answer_within and not case.was_answered:
        targets.append((opened + settings.answer_within, UNANSWERED))
    if settings.solve_within:
        targets.append((opened + settings.solve_within, UNSOLVED))
    return targets


class TargetWatch:
    """Timers for the targets of open complaints, and what has become of them.

    Args:
        settings: of the shop.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timers: Timers[Customer] = Timers(HOUR_US)
        self._expiries: Timers[Customer] = Timers(HOUR_US)  # a lifetime later
        self._met: list[tuple[Customer, Target, int]] = []
        self._forgotten: list[str] = []

    @property
    def next_due(self) -> int:
        """No target is missed before it and no urgent case expires, microseconds."""
        return min(self._timers.next_due, self._expiries.next_due)

    def settle(self, customer: Customer, stream_time: int) -> None:
        """Set the timers of a customer who was restored: what lies before stream time has been told."""
        for target in targets_of(customer.facts, self._settings):
            self._arm(customer, target, stream_time)

    def _arm(self, customer: Customer, target: Target, stream_time: int) -> None:
        """Set the timers of a target that lie ahead."""
        for timers, due in ((self._timers, target[0]), (self._expiries, self._expires_at(target))):
            if due >= stream_time:
                timers.add(due, customer.name, customer)

    def _expires_at(self, target: Target) -> int:
        return target[0] + self._settings.alert_lifetime

    def follow(self, customer: Customer, before: Before, at: int, stream_time: int) -> list[Missed]:
        """Set timers for the targets that a step of a complaint has set, and note those that it has met too late.

        Args:
            customer: after the step.
            before: his complaints before it.
            at: when it was taken, microseconds.
            stream_time: microseconds.

        Returns:
            The new targets that have passed already, because the complaint itself came late.
        """
        after = targets_of(customer.facts, self._settings)
        for target in after - before.targets:
            self._arm(customer, target, stream_time)
        # A step moves one complaint. If it has put a new one into the place of another, that one was not met: more were
        # opened than are remembered, and its alert stays open until it expires.
        forgotten = not before.keys <= keys_of(customer.facts)
        for target in sorted(before.targets - after):
            worked = customer.cases.pop(target, None)
            if target[0] >= stream_time or (worked and worked.resolved):
                continue
            if forgotten:
                self._forgotten.append(breach_id(customer.name, target))
            else:
                self._met.append((customer, target, at))
        return [(customer, target) for target in sorted(after - before.targets) if target[0] < stream_time]

    def judge(self, stream_time: int) -> list[Missed]:
        """The targets that were missed before stream time, once each."""
        missed: dict[tuple[str, Target], Missed] = {}  # two complaints of one instant have two timers and one alert
        for due, name, customer in self._timers.take_before(stream_time):
            for target in sorted(targets_of(customer.facts, self._settings)):
                if target[0] == due:
                    missed[name, target] = (customer, target)
        return list(missed.values())

    def expire(self, stream_time: int) -> list[str]:
        """The urgent cases that are open and nobody should act on any more since stream time has come, by their ids."""
        due = self._expiries.take_before(stream_time)
        return [
            breach_id(name, target)
            for at, name, customer in due
            for target in targets_of(customer.facts, self._settings)
            if self._expires_at(target) == at
        ]

    def case_of(
        self, customer: Customer, told_as: str, stream_time: int, shop: KnownShop
    ) -> tuple[Target, UrgentCase] | None:
        """An urgent case that is open and may be worked on, by its id, with its target; None if there is none."""
        for target in targets_of(customer.facts, self._settings):
            if breach_id(customer.name, target) == told_as:
                case = customer.cases.get(target) or UrgentCase(told_as, self._expires_at(target))
                is_open = target[0] < stream_time <= case.expires_at and is_told(target, shop)
                return (target, case) if is_open and not case.resolved else None
        return None

    def take_forgotten(self) -> list[str]:
        """The ids of urgent cases that are remembered no more since the last call: nobody has met them."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def take_met(self, shop_of: Callable[[Customer], KnownShop]) -> list[BreachEnded]:
        """The urgent alerts whose targets were met since the last call."""
        met, self._met = self._met, []
        return [
            BreachEnded(breach_id(customer.name, target), customer.name, at)
            for customer, target, at in met
            if is_told(target, shop_of(customer))
        ]


def breach_of(told: Nomination, kind: str, settings: Settings) -> Breach:
    """The urgent alert of a customer at the moment of his target; first of its evidence is the target itself."""
    within = settings.answer_within if kind == UNANSWERED else settings.solve_within
    first = Evidence(kind, {"hours": within / HOUR_US})
    explained = msgspec.structs.replace(told.explanation, evidence=(first, *told.explanation.evidence))
    nomination = replace(told, explanation=explained)
    return Breach(kind, told.at + settings.alert_lifetime, nomination)


def is_told(target: Target, shop: KnownShop) -> bool:
    """Whether a missed target is told: only if the shop had said by then that complaints are answered, or solved."""
    due, kind = target
    return due >= (shop.answers_since if kind == UNANSWERED else shop.solves_since)
