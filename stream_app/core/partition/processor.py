"""Event processor of one partition: applies events and returns effects. The replay and live workers share this code.

Time is stream time, the largest `occurred_at` accepted so far. A decision due at t is made before the first event later
than t is applied, so no decision sees its own future, even if its customer has no further events.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream_app.core.alerts.sla import ComplaintsBefore
from stream_app.core.alerts.staff_actions import ACTIONS
from stream_app.core.arrays import Floats
from stream_app.core.customers.consent import CONSENT, consent_after
from stream_app.core.customers.customer import Customer
from stream_app.core.events.enumerations import ComplaintForm, ContactAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order
from stream_app.core.kpis.aggregator import KpiAggregator, KpiState
from stream_app.core.messages.schema import AlertStep
from stream_app.core.model.labels import Returned, counts_as_order, mature, record_order
from stream_app.core.model.scores import Model
from stream_app.core.partition.alert_records import alert_of
from stream_app.core.partition.alert_tracker import AlertTracker
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.quiet_customers import DueDecisions
from stream_app.core.partition.score_batch import Effects, ScoreBatch
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.policy.exchange import in_shop_currency
from stream_app.core.settings import Settings
from stream_app.core.state.complaint_kinds import TextReader, unclassified
from stream_app.core.state.counters import PERIOD, SHOP
from stream_app.core.state.order_amounts import OrderAmounts
from stream_app.core.state.update import apply_browsing, apply_event
from stream_app.core.state.vector import LAST_ORDER, NEVER as NO_DAY, StateVector
from stream_app.core.units import DAY_US, NEVER, NOT_DUE


@dataclass
class Counts:
    """Counts of events by how they were handled, and of scored states."""

    accepted: int = 0
    duplicates: int = 0
    late: int = 0  # late by at most the allowed lateness: processed in full
    too_late: int = 0  # later than that: counted where order does not matter, but do not change labels
    excluded: int = 0
    scored: int = 0


class PartitionProcessor:
    """The customers of one partition number, their timers, and the decisions waiting for a label.

    Call `apply` with events in merged order, then `advance` with a time up to which all events are known, then `finish`
    with the current model. `finish` scores everything since the last call in one batch and returns the effects. The
    result does not depend on batch boundaries.

    Args:
        settings: the shop's settings.
        reader: reads a complaint's text if the shop does not send its category.
    """

    def __init__(self, settings: Settings, reader: TextReader = unclassified) -> None:
        self.stream_time = NEVER  # microseconds
        self.working_set = WorkingSet(settings.agreement)
        self.customers, self.ranking = self.working_set.by_name, self.working_set.ranking
        self.counts = Counts()
        self.explainer = Explainer(settings, reader)
        self.aggregator = KpiAggregator(settings, self.explainer.classify)
        self._batch = ScoreBatch()
        self.decisions = DueDecisions(settings, self.working_set, self._batch)
        self._timers = self.decisions.timers
        self.alerts = AlertTracker(settings, self.working_set, self.explainer, self.aggregator, self._batch)
        self._sla = self.alerts.sla
        self._returned: list[Returned] = []
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Use other settings from now on. They may differ in what a policy sets."""
        self.settings = settings
        self._currency = settings.policy.currency
        # Days after which a complaint's urgent alerts have expired.
        self._tracked_days = (max(settings.answer_within, settings.solve_within) + settings.alert_lifetime) / DAY_US
        self.alerts.use(settings, self.stream_time)

    def use_model(self, model: Model) -> None:
        """Explain customers and classify complaints by a model from now on."""
        self.explainer.classify.model = model

    def apply(  # noqa: C901 - splitting it would cost a call per event
        self, event: Event, at: int, known: Customer | None = None
    ) -> bool:
        """Apply one event, after making the decisions that are due before it.

        Args:
            event: the next event in merged order.
            at: `event.at`, microseconds; passed in because computing it takes a microsecond.
            known: the customer of the event, if the caller has already looked them up.

        Returns:
            Whether the event is a new order that counts.
        """
        settings, name = self.settings, event.customer_id
        if name in settings.excluded:
            self.counts.excluded += 1
            return False
        if at > self.stream_time:
            if at > self._timers.next_due or at > self._sla.next_due:
                self.advance(at)
            self.stream_time = at
        if isinstance(event, Contact):
            self._apply_contact(event, at, known or self.customers.get(name))
            return False
        customer = known or self.customers.get(name) or self._add_customer(event)
        if customer.is_duplicate(event.event_id):
            self.counts.duplicates += 1
            return False
        self._count(at)
        self.working_set.changed.add(customer)
        if customer.fresh:
            customer.touch()
        is_buyer = customer.vector[LAST_ORDER] != NO_DAY
        if isinstance(event, Browsing):
            self._apply_browsing(customer, event, at)
            counts = False
        else:
            counts = counts_as_order(event, settings)
            self._update_state(customer, event, at, counts)
        if counts:
            self._apply_order(customer, at)
        elif is_buyer:
            self._batch.add_event(customer, at)
        return counts

    def _add_customer(self, event: Event) -> Customer:
        customer = Customer(event.customer_id, -1)
        customer.counters[SHOP] = self.explainer.shops.number(event.shop_id)
        self.working_set.add([customer])
        return customer

    def _count(self, at: int) -> None:
        self.counts.accepted += 1
        if at < self.stream_time:
            if at < self.stream_time - self.settings.lateness:
                self.counts.too_late += 1
            else:
                self.counts.late += 1

    def _apply_browsing(self, customer: Customer, event: Browsing, at: int) -> None:
        """Apply a page view, as `_update_state` applies other events. Most events are page views."""
        period = customer.counters[PERIOD]
        self.aggregator.event_counts.record_browsing(customer, event, at)
        apply_browsing(customer.vector, event, at)
        self.explainer.record_browsing(customer, event, at)
        if customer.counters[PERIOD] != period:
            self.aggregator.population.mark_changed(customer)

    def _update_state(self, customer: Customer, event: Cart | Order | Complaint, at: int, counts: bool) -> None:
        """Update the KPIs, which need the state before the event, then the state, then what depends on the new one."""
        if self._currency.rates:
            event = in_shop_currency(event, self._currency)
        self.aggregator.event_counts.record(customer, event, at, counts)
        if counts:
            self.aggregator.monthly_churn.record_order(customer, at, event.shop_id, self.stream_time)
        step = event if isinstance(event, Complaint) else None
        before = ComplaintsBefore.of(customer.vector, self.settings) if step is not None else None
        period = customer.counters[PERIOD]
        local_day = self.settings.local_day(at) if counts else 0
        amounts = self._amounts(customer, event)
        apply_event(customer.vector, event, at, local_day, counts, self._tracked_days, amounts)
        self.explainer.record_event(customer, event, at, counts, self.stream_time)
        if counts or before is not None or customer.counters[PERIOD] != period:
            self.aggregator.population.mark_changed(customer)
        if before is not None and step is not None:
            self.alerts.update_targets(customer, before, step, at, self.stream_time)
        if isinstance(event, Complaint) and event.form is ComplaintForm.UNSUBSCRIBE:
            self.alerts.record_opt_out(customer, at)

    def _amounts(self, customer: Customer, event: Cart | Order | Complaint) -> OrderAmounts | None:
        """Return the amounts to update, or None: ranked by risk, predictions are those of earlier releases."""
        if not self.settings.plans_calls:
            return None
        if customer.amounts is None and isinstance(event, Order | Complaint):
            customer.amounts = OrderAmounts()
        return customer.amounts

    def _apply_order(self, customer: Customer, at: int) -> None:
        closed = self.stream_time - self.settings.lateness - 1  # labels of horizons that ended by then are final
        if first := record_order(customer.waiting, at, self.settings.horizon, closed):
            self._returned += first
            customer.packed = None
        self.alerts.record_order(customer, at)
        self._batch.forget(customer)
        if customer.due == 0:
            self.decisions.schedule_first(customer, max(at, self.stream_time))

    def _apply_contact(self, contact: Contact, at: int, customer: Customer | None) -> None:
        """Apply a contact. A customer who is not known yet is remembered only for their consent."""
        if customer is None:
            if contact.action not in CONSENT:
                return
            customer = self._add_customer(contact)
        if customer.is_duplicate(contact.event_id):
            self.counts.duplicates += 1
            return
        self._count(at)
        self.working_set.changed.add(customer)
        self.aggregator.event_counts.record_contact(contact)
        customer.consent = consent_after(customer.consent, contact.action, at)
        if contact.action is ContactAction.SENT:
            self.explainer.record_contact(customer, at)
            self.alerts.record_message(customer, contact, at)

    def apply_alert_step(self, step: AlertStep, at: int) -> None:
        """Apply an alert opened by the allocator, or a staff action. Steps with unknown customers are ignored.

        Args:
            step: the step.
            at: time of the step, microseconds.
        """
        customer = self.customers.get(step.customer_id)
        if customer is None:
            return
        if step.opening is not None:
            self.alerts.open_alert(alert_of(step.opening, customer.name))
        elif step.action in ACTIONS and step.alert_id is not None:
            self.alerts.apply_action(customer, step.alert_id, step, at, self.stream_time)

    def advance(self, until: int, limit: int = NOT_DUE) -> bool:
        """Make the decisions that are due before a time. All events before it must have been applied.

        Args:
            until: the new stream time, microseconds.
            limit: maximum number of decisions. If more are due, stream time stops at the last decision made.

        Returns:
            Whether all due decisions were made. If not, call `finish` and then `advance` again.
        """
        stopped_at = self.decisions.make_due(until, limit)
        self.stream_time = max(self.stream_time, until if stopped_at is None else stopped_at)
        self.alerts.check_targets(self.stream_time)
        return stopped_at is None

    @property
    def undecided(self) -> tuple[list[StateVector[float]], list[int]]:
        """State vectors and times of the states that `finish` will score although no decision is due."""
        return self._batch.undecided

    def finish(self, model: Model, watermark: int | None = None, undecided: Floats | None = None) -> Effects:
        """Score everything since the last call, and release the labels of horizons that the watermark has passed.

        Args:
            model: the current model.
            watermark: time up to which (inclusive) all events are known, microseconds. The default is just before
                stream time minus the lateness, since an event at exactly that time may still arrive in time.
            undecided: the model's scores of `undecided`, if they are known.
        """
        self.counts.scored += len(self._batch)
        effects = self._batch.score(model, self.settings.horizon / DAY_US, self.ranking, undecided)
        effects.closed, effects.breaches, effects.ended = self.alerts.take_changes(self.stream_time)
        effects.returned, self._returned = self._returned, []
        effects.steps = self.decisions.take_steps()
        effects.feedback = self.explainer.take_feedback()
        if watermark is None:
            watermark = self.stream_time - self.settings.lateness - 1
        for matured in mature(self.decisions.waiting, self.settings.horizon, watermark):
            customer = self.customers[matured.pending.customer]
            customer.waiting.pop(0)
            customer.packed = None
            customer.fresh = min(customer.fresh, len(customer.waiting))
            self.working_set.changed.add(customer)
            effects.matured.append(matured)
        return effects

    def finish_restore(self, kpi_state: KpiState | None = None) -> None:
        """Set the timers and queue the waiting decisions. Call this after adding all stored customers to `working_set`.

        Args:
            kpi_state: the KPI state stored with the customers.
        """
        customers = self.working_set.by_index
        if kpi_state is not None:
            self.aggregator.restore(customers, kpi_state, self.stream_time)
        self.decisions.restore(customers)
        for customer in customers:
            self.alerts.restore(customer, self.stream_time)
