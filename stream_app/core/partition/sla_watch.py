"""Service targets: a complaint must be answered, and solved, in time. Whoever misses one hears of it at once.

What has been missed follows from the complaints in a customer's state and from stream time alone, so that it needs no
memory of its own: a target whose moment lies before stream time has been judged, all others have a timer. Only what the
staff does about an urgent case is remembered with the customer.
"""

from __future__ import annotations

from collections.abc import Callable

from stream_app.core.alerts.sla import ComplaintsBefore, SlaBreachEnded, breach_id, is_announced, targets_of
from stream_app.core.alerts.urgent_case import Target, UrgentCase
from stream_app.core.customers.customer import Customer
from stream_app.core.partition.timers import Timers
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.complaints import keys_of
from stream_app.core.units import HOUR_US

MissedTarget = tuple[Customer, Target]


class SlaWatch:
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
        for target in targets_of(customer.vector, self._settings):
            self._arm(customer, target, stream_time)

    def _arm(self, customer: Customer, target: Target, stream_time: int) -> None:
        """Set the timers of a target that lie ahead."""
        for timers, due in ((self._timers, target[0]), (self._expiries, self._expires_at(target))):
            if due >= stream_time:
                timers.add(due, customer.name, customer)

    def _expires_at(self, target: Target) -> int:
        return target[0] + self._settings.alert_lifetime

    def follow(self, customer: Customer, before: ComplaintsBefore, at: int, stream_time: int) -> list[MissedTarget]:
        """Set timers for the targets that a step of a complaint has set, and note those that it has met too late.

        Args:
            customer: after the step.
            before: his complaints before it.
            at: when it was taken, microseconds.
            stream_time: microseconds.

        Returns:
            The new targets that have passed already, because the complaint itself came late.
        """
        after = targets_of(customer.vector, self._settings)
        for target in after - before.targets:
            self._arm(customer, target, stream_time)
        # A step moves one complaint. If it has put a new one into the place of another, that one was not met: more were
        # opened than are remembered, and its alert stays open until it expires.
        forgotten = not before.keys <= keys_of(customer.vector)
        for target in sorted(before.targets - after):
            worked = customer.cases.pop(target, None)
            if target[0] >= stream_time or (worked and worked.resolved):
                continue
            if forgotten:
                self._forgotten.append(breach_id(customer.name, target))
            else:
                self._met.append((customer, target, at))
        return [(customer, target) for target in sorted(after - before.targets) if target[0] < stream_time]

    def judge(self, stream_time: int) -> list[MissedTarget]:
        """The targets that were missed before stream time, once each."""
        missed: dict[
            tuple[str, Target], MissedTarget
        ] = {}  # two complaints of one instant have two timers and one alert
        for due, name, customer in self._timers.take_before(stream_time):
            for target in sorted(targets_of(customer.vector, self._settings)):
                if target[0] == due:
                    missed[name, target] = (customer, target)
        return list(missed.values())

    def expire(self, stream_time: int) -> list[str]:
        """The urgent cases that are open and nobody should act on any more since stream time has come, by their ids."""
        due = self._expiries.take_before(stream_time)
        return [
            breach_id(name, target)
            for at, name, customer in due
            for target in targets_of(customer.vector, self._settings)
            if self._expires_at(target) == at
        ]

    def case_of(
        self, customer: Customer, alert_key: str, stream_time: int, shop: KnownShop
    ) -> tuple[Target, UrgentCase] | None:
        """An urgent case that is open and may be worked on, by its id, with its target; None if there is none."""
        for target in targets_of(customer.vector, self._settings):
            if breach_id(customer.name, target) == alert_key:
                case = customer.cases.get(target) or UrgentCase(alert_key, self._expires_at(target))
                is_open = target[0] < stream_time <= case.expires_at and is_announced(target, shop)
                return (target, case) if is_open and not case.resolved else None
        return None

    def take_forgotten(self) -> list[str]:
        """The ids of urgent cases that are remembered no more since the last call: nobody has met them."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def take_met(self, shop_of: Callable[[Customer], KnownShop]) -> list[SlaBreachEnded]:
        """The urgent alerts whose targets were met since the last call."""
        met, self._met = self._met, []
        return [
            SlaBreachEnded(breach_id(customer.name, target), customer.name, at)
            for customer, target, at in met
            if is_announced(target, shop_of(customer))
        ]
