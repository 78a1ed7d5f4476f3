"""Monitors the service targets of complaints: detects targets that are missed, met late, or no longer worth an alert.

Missed targets are derived from the complaints in the customers' states and from stream time, so no extra state is
needed: targets before stream time have been evaluated, and all others have a timer. Staff work on an urgent case is
stored with the customer. If there is one case per complaint, the case is stored when it opens: it is open until the
complaint is solved, and the other targets of the complaint open no further one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from stream_app.core.alerts.sla import (
    COMPLAINT,
    LOW_REVIEW,
    UNANSWERED,
    CaseKey,
    ComplaintsBefore,
    SlaBreachEnded,
    Target,
    UrgentCase,
    breach_id,
    case_of,
    is_announced,
    targets_of,
)
from stream_app.core.customers.customer import Customer
from stream_app.core.partition.timers import Timers
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.complaints import keys_of
from stream_app.core.units import HOUR_US, NOT_DUE

OWN: Final = (COMPLAINT, LOW_REVIEW)  # kinds of cases that are stored when they open
MissedTarget = tuple[Customer, Target]


class Expired(NamedTuple):
    """An urgent case that has expired."""

    customer: Customer
    alert_id: str
    at: int  # microseconds


class SlaWatch:
    """Holds timers for the service targets of open complaints.

    Args:
        settings: the shop's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.next_due = NOT_DUE  # no target becomes overdue and no urgent case expires before this time, microseconds
        self._settings = settings
        self._deadlines: Timers[Customer] = Timers(HOUR_US)
        self._expiries: Timers[Customer] = Timers(HOUR_US)  # one alert lifetime after the deadlines
        self._met: list[tuple[Customer, CaseKey, SlaBreachEnded]] = []
        self.forgotten: list[str] = []  # ids of urgent cases that ended without an outcome

    def use(self, settings: Settings, customers: Iterable[Customer], stream_time: int) -> None:
        """Use other settings from now on. With another lifetime of alerts, set all timers as after a restart."""
        before, self._settings = self._settings, settings
        if settings.alert_lifetime == before.alert_lifetime:
            return
        self._deadlines, self._expiries, self.next_due = Timers(HOUR_US), Timers(HOUR_US), NOT_DUE
        for customer in customers:
            self._reschedule(customer, stream_time)
            if not settings.one_case_per_complaint:  # the end of such cases is not stored
                ends = [(one, one[0] + before.alert_lifetime) for one in targets_of(customer.vector, settings)]
                ended = [one for one, end in ends if end >= stream_time > self._expires_at(one)]
                self.forgotten += [breach_id(customer.name, one) for one in sorted(ended)]

    def schedule(self, customer: Customer, stream_time: int, shop: KnownShop) -> None:
        """Set the timers of a restored customer. Targets before stream time have already been evaluated."""
        if self._settings.one_case_per_complaint:
            self._adopt(customer, stream_time, shop)
        self._reschedule(customer, stream_time)

    def _reschedule(self, customer: Customer, stream_time: int) -> None:
        for target in targets_of(customer.vector, self._settings):
            self._set_timers(customer, target, stream_time)
        # Cases opened by a target that was met meanwhile, or with other settings.
        for case in customer.cases.values() if customer.has_cases else ():
            if case.expires_at >= stream_time:
                self._expiries.add(case.expires_at, customer.name, customer)
                self.next_due = min(self.next_due, case.expires_at)

    def _adopt(self, customer: Customer, stream_time: int, shop: KnownShop) -> None:
        """Make one case of the alerts for the targets of a complaint, which were opened with other settings.

        The case keeps the id and the owner of the first alert.
        """
        for target in sorted(targets_of(customer.vector, self._settings)):
            if target[0] < stream_time and is_announced(target, shop):
                key, known = case_of(target, self._settings), customer.cases.pop(target, None)
                alert_key = breach_id(customer.name, target)
                if key in customer.cases:
                    if known is not None:
                        self.forgotten.append(alert_key)
                    continue
                customer.cases[key] = known or UrgentCase(alert_key, self._expires_at(target))

    def review(self, customer: Customer, at: int, stream_time: int) -> list[MissedTarget]:
        """Return a low review as a target that is missed at once, unless the case of an earlier one is still open."""
        earlier = [key for key in customer.cases if key[1] == LOW_REVIEW]
        if any(not customer.cases[key].resolved and customer.cases[key].expires_at >= at for key in earlier):
            return []
        for key in earlier:
            del customer.cases[key]
        self._set_timers(customer, (at, LOW_REVIEW), stream_time)
        return [(customer, (at, LOW_REVIEW))]

    def _set_timers(self, customer: Customer, target: Target, stream_time: int) -> None:
        for timers, due in ((self._deadlines, target[0]), (self._expiries, self._expires_at(target))):
            if due >= stream_time:
                timers.add(due, customer.name, customer)
                self.next_due = min(self.next_due, due)

    def _expires_at(self, target: Target) -> int:
        return target[0] + self._settings.alert_lifetime

    def update(
        self, customer: Customer, before: ComplaintsBefore, at: int, stream_time: int, shop: KnownShop
    ) -> list[MissedTarget]:
        """Set timers for targets added by a complaint event, and record targets that the event meets too late.

        Args:
            customer: the customer, after the event was applied.
            before: the customer's complaints before the event.
            at: time of the event, microseconds.
            stream_time: microseconds.
            shop: the customer's shop.

        Returns:
            The added targets that are already overdue because the complaint arrived late.
        """
        after = targets_of(customer.vector, self._settings)
        added = sorted(after - before.targets)
        for target in added:
            self._set_timers(customer, target, stream_time)
        # An event changes one complaint. If the state was full and the new complaint replaced another one, the targets
        # of the replaced one were not met, and its alert stays open until it expires.
        replaced = not before.keys <= keys_of(customer.vector)
        if self._settings.one_case_per_complaint:
            left = {one for one in after if one[1] == UNANSWERED or is_announced(one, shop)}
            self._end_cases(customer, before, left, at, replaced=replaced)
        else:
            self._end_targets(customer, before, after, at, stream_time, replaced=replaced)
        return [(customer, target) for target in added if target[0] < stream_time]

    def _end_targets(
        self,
        customer: Customer,
        before: ComplaintsBefore,
        after: set[Target],
        at: int,
        stream_time: int,
        *,
        replaced: bool,
    ) -> None:
        """End the cases of targets that are met too late or replaced."""
        for target in sorted(before.targets - after):
            case = customer.cases.pop(target, None)
            if target[0] >= stream_time or (case and case.resolved):
                continue
            if replaced:
                self.forgotten.append(breach_id(customer.name, target))
            else:
                end = SlaBreachEnded(breach_id(customer.name, target), customer.name, at)
                self._met.append((customer, target, end))

    def _end_cases(
        self, customer: Customer, before: ComplaintsBefore, after: set[Target], at: int, *, replaced: bool
    ) -> None:
        """End the cases of complaints without a target left. If a complaint was opened again, its case goes on.

        In a shop that has never reported a solution, an answered complaint has no target left: its case would not end.
        """
        then, now = ({case_of(target, self._settings) for target in targets} for targets in (before.targets, after))
        for key in sorted(then - now):
            case = customer.cases.pop(key, None)
            if case is None or case.resolved:
                continue
            if replaced:
                self.forgotten.append(case.alert_id)
            elif now - then:
                customer.cases[min(now - then)] = case
            else:
                self._met.append((customer, key, SlaBreachEnded(case.alert_id, customer.name, at)))

    def take_missed(self, stream_time: int) -> list[MissedTarget]:
        """Return the targets missed before stream time, without duplicates."""
        missed: dict[tuple[str, Target], MissedTarget] = {}  # simultaneous complaints share an alert, not a timer
        for due, name, customer, target in self._take_due(self._deadlines, stream_time):
            if target[0] == due:
                missed[name, target] = (customer, target)
        return list(missed.values())

    def take_expired(self, stream_time: int) -> list[Expired]:
        """Return the open urgent cases that have expired before stream time."""
        found: dict[str, Expired] = {}
        for due, _, customer in self._expiries.take_before(stream_time):
            keys = [one.alert_id for key, one in customer.cases.items() if key[1] in OWN and one.expires_at == due]
            if not self._settings.one_case_per_complaint:
                targets = sorted(targets_of(customer.vector, self._settings))
                keys += [breach_id(customer.name, one) for one in targets if self._expires_at(one) == due]
            found |= {key: Expired(customer, key, due) for key in keys}
        self.next_due = min(self._deadlines.next_due, self._expiries.next_due)
        return list(found.values())

    def _take_due(self, timers: Timers[Customer], stream_time: int) -> Iterator[tuple[int, str, Customer, Target]]:
        due_now = timers.take_before(stream_time)
        self.next_due = min(self._deadlines.next_due, self._expiries.next_due)
        for due, name, customer in due_now:
            for target in sorted(targets_of(customer.vector, self._settings)):
                yield due, name, customer, target

    def open_case(
        self, customer: Customer, alert_key: str, stream_time: int, shop: KnownShop
    ) -> tuple[CaseKey, UrgentCase] | None:
        """Return a customer's open urgent case and its key by alert id, or None if there is no such open case."""
        for key, case in customer.cases.items():
            if key[1] in OWN and case.alert_id == alert_key:
                return None if case.resolved or case.expires_at < stream_time else (key, case)
        if self._settings.one_case_per_complaint:
            return None
        for target in targets_of(customer.vector, self._settings):
            if breach_id(customer.name, target) == alert_key:
                case = customer.cases.get(target) or UrgentCase(alert_key, self._expires_at(target))
                is_open = target[0] < stream_time <= case.expires_at and is_announced(target, shop)
                return (target, case) if is_open and not case.resolved else None
        return None

    def take_met(self, shop_of: Callable[[Customer], KnownShop]) -> list[SlaBreachEnded]:
        """Return the ends of the urgent alerts whose targets were met since the last call."""
        met, self._met = self._met, []
        return [end for customer, key, end in met if key[1] == COMPLAINT or is_announced(key, shop_of(customer))]
