"""Service targets: a complaint must be answered, and solved, in time. Whoever misses one hears of it at once.

What has been missed follows from the complaints in a customer's state and from stream time alone, so that it needs no
memory of its own: a target whose moment lies before stream time has been judged, all others have a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from stream_app.core.alerts import Nomination, alert_id
from stream_app.core.cases import Case, has_cases, steps_of
from stream_app.core.customer import Customer
from stream_app.core.explanation import Evidence, Explanation
from stream_app.core.settings import HOUR_US, Settings
from stream_app.core.shops import KnownShop
from stream_app.core.state import DAY_US, Facts
from stream_app.core.timers import Timers

UNANSWERED: Final = "unanswered"
UNSOLVED: Final = "unsolved"
MET: Final = "met"  # an urgent alert closes: what was to be done has been done, or the complaint was opened anew

Target = tuple[int, str]  # the moment after which it is missed, microseconds; UNANSWERED or UNSOLVED
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
class BreachMet:
    """The end of an urgent alert."""

    alert_id: str
    customer: str
    at: int  # microseconds


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
        self._met: list[tuple[Customer, Target, int]] = []

    @property
    def next_due(self) -> int:
        """No target is missed before it, microseconds."""
        return self._timers.next_due

    def settle(self, customer: Customer, stream_time: int) -> None:
        """Set the timers of a customer who was restored: what lies before stream time has been told."""
        for target in targets_of(customer.facts, self._settings):
            if target[0] >= stream_time:
                self._timers.add(target[0], customer.name, customer)

    def follow(self, customer: Customer, before: set[Target], at: int, stream_time: int) -> list[Missed]:
        """Set timers for the targets that a step of a complaint has set, and note those that it has met too late.

        Args:
            customer: after the step.
            before: his targets before it.
            at: when it was taken, microseconds.
            stream_time: microseconds.

        Returns:
            The new targets that have passed already, because the complaint itself came late.
        """
        after = targets_of(customer.facts, self._settings)
        for target in after - before:
            if target[0] >= stream_time:
                self._timers.add(target[0], customer.name, customer)
        self._met += [(customer, target, at) for target in sorted(before - after) if target[0] < stream_time]
        return [(customer, target) for target in sorted(after - before) if target[0] < stream_time]

    def judge(self, stream_time: int) -> list[Missed]:
        """The targets that were missed before stream time, once each."""
        missed: dict[tuple[str, Target], Missed] = {}  # two complaints of one instant have two timers and one alert
        for due, name, customer in self._timers.take_before(stream_time):
            for target in sorted(targets_of(customer.facts, self._settings)):
                if target[0] == due:
                    missed[name, target] = (customer, target)
        return list(missed.values())

    def take_met(self, shop_of: Callable[[Customer], KnownShop]) -> list[BreachMet]:
        """The urgent alerts that have ended since the last call."""
        met, self._met = self._met, []
        return [
            BreachMet(breach_id(customer.name, target), customer.name, at)
            for customer, target, at in met
            if is_told(target, shop_of(customer))
        ]


def breach_of(told: Nomination, kind: str, settings: Settings) -> Breach:
    """The urgent alert of a customer at the moment of his target; first of its evidence is the target itself."""
    within = settings.answer_within if kind == UNANSWERED else settings.solve_within
    first = Evidence(kind, {"hours": within / HOUR_US})
    explained = Explanation(told.explanation.segment, told.explanation.causes, (first, *told.explanation.evidence))
    nomination = replace(told, explanation=explained)
    return Breach(kind, told.at + settings.alert_lifetime, nomination)


def is_told(target: Target, shop: KnownShop) -> bool:
    """Whether a missed target is told: only if the shop had said by then that complaints are answered, or solved."""
    due, kind = target
    return due >= (shop.answers_since if kind == UNANSWERED else shop.solves_since)
