"""Tracks the alerts of a partition's customers: opening, closing and staff actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from stream_app.core.alerts.contact_history import NO_HISTORY, ContactHistory
from stream_app.core.alerts.lifecycle import (
    EXPIRED,
    FELL,
    LOST,
    RESOLVED,
    RETURNED,
    Alert,
    AlertClosing,
    has_fallen,
)
from stream_app.core.alerts.sla import (
    ComplaintsBefore,
    SlaBreach,
    SlaBreachEnded,
    UrgentCase,
    breach_of,
    case_of,
    is_announced,
)
from stream_app.core.alerts.staff_actions import (
    NO_OUTCOME,
    StaffOutcome,
    apply_action,
    breach_notes_of,
    cleared_notes_of,
    notes_of,
    work_notes_of,
)
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Complaint, Contact
from stream_app.core.kpis.aggregator import KpiAggregator
from stream_app.core.messages.schema import AlertStep
from stream_app.core.partition.candidates import CandidateSelection
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.holdout_watch import HoldoutWatch
from stream_app.core.partition.score_batch import ScoreBatch
from stream_app.core.partition.sla_watch import MissedTarget, SlaWatch
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.state.complaint_kinds import is_low_review
from stream_app.core.state.vector import LAST_ORDER, NEVER as NO_DAY
from stream_app.core.units import DAY_US


class AlertTracker:
    """Open alerts and urgent cases of a partition, and their changes since the last step.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        explainer: provides shop data, and explains why a customer may leave.
        aggregator: counts opened and closed alerts.
        batch: collects the states to score at the end of the step.
    """

    def __init__(
        self,
        settings: Settings,
        working_set: WorkingSet,
        explainer: Explainer,
        aggregator: KpiAggregator,
        batch: ScoreBatch,
    ) -> None:
        self.open: dict[str, Customer] = {}  # customers with an open alert, by name
        self.sla = SlaWatch(settings)
        self.holdout = HoldoutWatch(settings, working_set, aggregator)
        self.candidates = CandidateSelection(settings, working_set, explainer)
        self._settings, self._working_set, self._explainer = settings, working_set, explainer
        self._aggregator, self._batch = aggregator, batch
        self._closed: list[AlertClosing] = []
        self._breaches: list[SlaBreach] = []
        self._resolved: list[SlaBreachEnded] = []  # urgent cases resolved by the staff
        self._notes: dict[str, bytes] = {}

    def use(self, settings: Settings, stream_time: int) -> None:
        """Use other settings from now on. They may differ in what a policy sets."""
        self._settings = settings
        self.candidates.use(settings)
        self.holdout.use(settings)
        self.sla.use(settings, self._working_set.by_index, stream_time)

    def restore(self, customer: Customer, stream_time: int) -> None:
        """Start tracking the alert, service targets and draw of a restored customer."""
        self.sla.schedule(customer, stream_time, self._explainer.shop_of(customer))
        self.holdout.restore(customer)
        if customer.alert is not None:
            self._mark_open(customer)

    def open_alert(self, alert: Alert) -> None:
        """Open an alert from the allocator, unless it was already opened.

        After a rollback of its store, the allocator may resend an alert that staff have already closed.
        """
        customer = self._working_set.by_name[alert.customer]
        if customer.is_duplicate(alert.alert_id):
            return
        customer.alert = alert.without_explanation()
        self._mark_open(customer)
        self._working_set.changed.add(customer)
        if not alert.is_held_out:  # staff must not learn of it
            self._aggregator.record_opened(customer, alert)
            self._notes |= notes_of(alert)
        # A held-out customer is left alone afterwards exactly as a called one, or the arms could not be compared.
        self._record(customer, ContactHistory.after_call, alert.opened_at)
        self.holdout.record(customer, alert)
        ordered_at = round(customer.vector[LAST_ORDER] * DAY_US)
        if ordered_at > alert.opened_at:  # the customer ordered while the allocator was deciding
            self.record_order(customer, ordered_at)

    def record_order(self, customer: Customer, at: int) -> None:
        """Close a customer's alert because they ordered, at a time in microseconds."""
        self.holdout.record_order(customer, at)
        if customer.alert is not None and at > customer.alert.opened_at:
            self.close(customer, at, RETURNED)

    def _mark_open(self, customer: Customer) -> None:
        self.open[customer.name] = customer
        self._working_set.ranking.open[customer.index] = True

    def close(
        self,
        customer: Customer,
        at: int,
        reason: str,
        probability: float = 0.0,
        verdict: StaffOutcome = NO_OUTCOME,
    ) -> None:
        """Close a customer's open alert.

        Args:
            customer: a customer with an open alert.
            at: time of closing, microseconds.
            reason: one of `lifecycle.CLOSE_REASONS`.
            probability: the latest score, if it is the reason for closing.
            verdict: the outcome reported by the staff, if the reason is RESOLVED.
        """
        if customer.alert is not None:
            found = (verdict.outcome, verdict.cause, verdict.staff)
            self._closed.append(AlertClosing(customer.alert, at, reason, probability, *found))
            if not customer.alert.is_held_out:
                self._aggregator.record_closed(customer, customer.alert, reason)
                self._notes |= cleared_notes_of(customer.alert.alert_id)
            self._record(customer, ContactHistory.after_case, at)
        customer.alert = None
        del self.open[customer.name]
        self._working_set.ranking.open[customer.index] = False

    def close_stale(self, at: int) -> None:
        """Close the alerts of customers who are lost by the shop's own definition, or whose risk has fallen.

        If calls are planned, also close the alerts that have expired, which would block a new alert.

        This runs once per day rather than after every score, so that the result does not depend on batch boundaries.
        Closing clears the customer's ranking: a new alert requires two new decisions that agree.
        """
        ranking = self._working_set.ranking
        self.holdout.end_windows(at)
        for customer in list(self.open.values()):
            latest = ranking.latest(customer.index)
            if self.candidates.is_lost(customer, at):
                self.close(customer, at, LOST, latest)
            elif customer.alert and has_fallen(latest, customer.alert.bar, self._settings.fallen_odds):
                self.close(customer, at, FELL, latest)
            elif customer.alert and self._settings.plans_calls and customer.alert.expires_at <= at:
                self.close(customer, at, EXPIRED, latest)
            if customer.alert is None:
                ranking.forget(customer.index)
                self._working_set.changed.add(customer)

    def apply_action(self, customer: Customer, alert_key: str, step: AlertStep, at: int, stream_time: int) -> None:
        """Apply a staff action to an open alert or urgent case. Ignore it if neither is open.

        Args:
            customer: the customer that the alert or case is about.
            alert_key: id of the alert or case.
            step: the staff action.
            at: time of the action, microseconds.
            stream_time: microseconds.
        """
        alert = customer.alert
        if alert is None or alert.alert_id != alert_key or alert.is_held_out:
            self._apply_to_case(customer, alert_key, step, at, stream_time)
            return
        self._working_set.changed.add(customer)
        if customer.is_duplicate(step.event_id):
            return
        result = apply_action(alert, step, at)
        if isinstance(result, StaffOutcome):
            if result.cause:
                self._explainer.record_cause(customer, at, alert_key, result.cause, alert.named, alert.blind)
            self.close(customer, at, RESOLVED, verdict=result)
            # A new alert needs two new decisions that agree. The ranking is cleared in sequence with the decisions of
            # the step, not immediately, since the result must not depend on batch boundaries.
            self._batch.forget(customer)
        elif result is not None:
            customer.alert = result
            self._notes |= work_notes_of(result)

    def _apply_to_case(self, customer: Customer, alert_key: str, step: AlertStep, at: int, stream_time: int) -> None:
        found = self.sla.open_case(customer, alert_key, stream_time, self._explainer.shop_of(customer))
        if found is None:
            return
        self._working_set.changed.add(customer)
        if customer.is_duplicate(step.event_id):
            return
        target, case = found
        result = apply_action(case, step, at)
        if isinstance(result, StaffOutcome):
            if result.cause:
                self._explainer.record_cause(customer, at, alert_key, result.cause, (), blind=False)
            customer.cases[target] = replace(case, resolved=True)
            outcome = (result.outcome, result.cause, result.staff)
            self._resolved.append(SlaBreachEnded(alert_key, customer.name, at, RESOLVED, *outcome))
        elif result is not None:
            customer.cases[target] = result
            self._notes |= work_notes_of(result)

    def update_targets(
        self, customer: Customer, before: ComplaintsBefore, event: Complaint, at: int, stream_time: int
    ) -> None:
        """Update a customer's service targets after a complaint event; see `SlaWatch.update` and `SlaWatch.review`."""
        self._add_breaches(self.sla.update(customer, before, at, stream_time, self._explainer.shop_of(customer)))
        if self._settings.one_case_per_complaint and is_low_review(event):
            self._add_breaches(self.sla.review(customer, at, stream_time))

    def check_targets(self, stream_time: int) -> None:
        """Open urgent alerts for missed service targets, and drop expired urgent cases."""
        self._add_breaches(self.sla.take_missed(stream_time))
        expired = self.sla.take_expired(stream_time)
        self._clear_notes(one.alert_id for one in expired)
        for one in expired:
            self._record(one.customer, ContactHistory.after_case, one.at)

    def _add_breaches(self, missed: Iterable[MissedTarget]) -> None:
        for customer, target in missed:
            key, at, kind = case_of(target, self._settings), *target
            if key not in customer.cases and is_announced(target, self._explainer.shop_of(customer)):
                candidate = self.candidates.explained(self.candidates.candidate(customer, 0.0, at))
                breach = breach_of(candidate, kind, self._settings)
                self._breaches.append(breach)
                self._record(customer, ContactHistory.after_contact, at)
                if self._settings.one_case_per_complaint:  # remembered, since the other targets must not open another
                    customer.cases[key] = UrgentCase(breach.alert_id, breach.expires_at)
                    self._working_set.changed.add(customer)
                if customer.vector[LAST_ORDER] != NO_DAY:
                    self._batch.add_breach(customer, breach)

    def take_changes(self, stream_time: int) -> tuple[list[AlertClosing], list[SlaBreach], list[SlaBreachEnded]]:
        """Return the alerts closed, and the urgent alerts opened and ended, since the last call. Call after scoring."""
        closed, self._closed = self._closed, []
        breaches, self._breaches = self._breaches, []
        ended, self._resolved = [*self.sla.take_met(self._explainer.shop_of), *self._resolved], []
        for breach in breaches:
            if breach.expires_at >= stream_time:  # a complaint that arrives late may already have expired
                self._notes = breach_notes_of(breach) | self._notes  # staff actions of this step are newer
        self._clear_notes(one.alert_id for one in ended)
        for one in ended:
            self._record(self._working_set.by_name[one.customer], ContactHistory.after_case, one.at)
        self._clear_notes(self.sla.forgotten)
        self.sla.forgotten.clear()
        return closed, breaches, ended

    def _clear_notes(self, alert_keys: Iterable[str]) -> None:
        for alert_key in alert_keys:
            self._notes |= cleared_notes_of(alert_key)

    def record_opt_out(self, customer: Customer, at: int) -> None:
        """Record that a customer unsubscribed."""
        self._record(customer, ContactHistory.after_opt_out, at)

    def record_message(self, customer: Customer, message: Contact, at: int) -> None:
        """Record a message of the shop's own tools, if the policy counts them. One about an alert counts with it."""
        if self._settings.policy.contacts.count_shop_messages and message.alert_id is None:
            self._record(customer, ContactHistory.after_message, at)

    def _record(self, customer: Customer, after: Callable[[ContactHistory, int], ContactHistory], at: int) -> None:
        """Add to the history of a customer, which is kept only if calls are planned."""
        if self._settings.plans_calls:
            customer.history = after(customer.history or NO_HISTORY, at)
            self._working_set.changed.add(customer)

    def take_notes(self) -> dict[str, bytes]:
        """Return the notes that changed since the last call, by key. An empty value means that the alert is closed."""
        notes, self._notes = self._notes, {}
        return notes
