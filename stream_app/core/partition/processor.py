"""One partition's working set: events in, effects out. Live and replay run this very code.

Everything is decided in stream time, the largest accepted `occurred_at`. A decision that is due at t is made before the
first event later than t is applied, so that no decision sees its own future, whether the customer stirred or stayed
silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.alerts.lifecycle import (
    FELL,
    LOST,
    RESOLVED,
    RETURNED,
    Alert,
    AlertCandidate,
    AlertClosing,
    Ranking,
    has_fallen,
    top_indices,
)
from stream_app.core.alerts.sla import ComplaintsBefore, SlaBreach, SlaBreachEnded, breach_of, is_announced
from stream_app.core.alerts.staff_actions import (
    NO_OUTCOME,
    StaffOutcome,
    apply_action,
    case_notes_of,
    cleared_notes_of,
    notes_of,
    work_notes_of,
)
from stream_app.core.arrays import Floats
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Complaint, Event
from stream_app.core.kpis.aggregator import KpiAggregator, KpiState
from stream_app.core.messages.schema import Contact
from stream_app.core.model.churn_model import Model, Scores
from stream_app.core.model.labels import Matured, Pending, Returned, Waiting, counts_as_order, record_order
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.score_batch import ScoreBatch
from stream_app.core.partition.sla_watch import MissedTarget, SlaWatch
from stream_app.core.partition.timers import Timers
from stream_app.core.settings import Settings
from stream_app.core.state.complaint_kinds import Classifier, unclassified
from stream_app.core.state.counters import PERIOD
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.update import apply_event
from stream_app.core.state.vector import FIRST_ORDER, LAST_ORDER, MONEY, NEVER
from stream_app.core.units import DAY_US, SECOND_US

NO_LIMIT: Final = 1 << 62
_SAMPLE: Final = 16  # the effect of one event in so many is measured by a score from just before it


@dataclass
class Counts:
    """What became of the events."""

    accepted: int = 0
    duplicates: int = 0
    late: int = 0  # behind stream time, within the lateness: they count in full
    too_late: int = 0  # further behind: they count where order does not matter, and open no label again
    excluded: int = 0
    scored: int = 0


@dataclass
class Effects:
    """What the caller must carry out after a step."""

    decisions: list[Pending] = field(default_factory=list)
    scores: Scores | None = None  # of the decisions, row by row
    view: StateFrame | None = None  # of the decisions, row by row
    matured: list[Matured] = field(default_factory=list)
    closed: list[AlertClosing] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)  # decisions whose customer has ordered since, once each
    effects_of: list[tuple[str, float]] = field(default_factory=list)  # kind of event, change of the log-odds
    breaches: list[SlaBreach] = field(default_factory=list)  # urgent alerts
    ended: list[SlaBreachEnded] = field(default_factory=list)  # and those that have ended


def phase_of(customer: str, period: int) -> int:
    """Where in the period a customer's decisions lie, microseconds, whole seconds: spread evenly over the customers.

    >>> 0 <= phase_of("c1", 7 * DAY_US) < 7 * DAY_US
    True
    """
    key = xxhash.xxh3_64_intdigest(customer.encode("utf-8", "surrogatepass"))
    return key % max(period // SECOND_US, 1) * SECOND_US


class PartitionProcessor:
    """The customers of one partition number, their timers and the decisions that wait for a label.

    Use: `take` events in aligned order, `advance` to a moment up to which everything is known, then `finish` with the
    model in force, which scores all of it at once and returns the effects. The result does not depend on where batches
    are cut.

    Args:
        settings: of the shop.
        classify: says what a complaint's text is about, where the shop gives no category.
    """

    def __init__(self, settings: Settings, classify: Classifier = unclassified) -> None:
        self.settings = settings
        self.stream_time = -(1 << 62)  # microseconds
        self.customers: dict[str, Customer] = {}
        self.timers: Timers[Customer] = Timers(settings.decide_every // 1024)
        self.targets = SlaWatch(settings)
        self.explainer = Explainer(settings, classify)
        self.waiting = Waiting(settings.horizon)
        self.ranking = Ranking(settings.agreement)
        self.counts = Counts()
        self.aggregator = KpiAggregator(settings, classify)
        self.open: dict[str, Customer] = {}  # those with an open episode
        self.decided = 0  # decisions made in the life of this object
        # From then on the urgent alerts of a complaint have expired.
        self._followed_days = (max(settings.answer_within, settings.solve_within) + settings.alert_lifetime) / DAY_US
        self._names: list[Customer] = []  # by index
        self._moments = ScoreBatch()
        self._closed: list[AlertClosing] = []
        self._returned: list[Returned] = []
        self._notes: dict[str, bytes] = {}  # of open episodes: what has changed
        self._breaches: list[SlaBreach] = []
        self._resolved: list[SlaBreachEnded] = []  # urgent cases that the staff has ended
        self._touched: set[Customer] = set()

    def take(self, event: Event, at: int, known: Customer | None = None) -> bool:
        """Apply one event, after the decisions that are due before it.

        Args:
            event: in aligned order.
            at: `event.at`, microseconds; the caller has it at hand, and it costs a microsecond to compute.
            known: the event's customer, if the caller has it at hand.

        Returns:
            Whether it is a new order that counts.
        """
        settings, name = self.settings, event.customer_id
        if name in settings.excluded:
            self.counts.excluded += 1
            return False
        if at > self.stream_time:
            if at > self.timers.next_due or at > self.targets.next_due:
                self.advance(at)
            self.stream_time = at
        customer = known or self.customers.get(name) or self._welcome(event)
        if customer.is_duplicate(event.event_id):
            self.counts.duplicates += 1
            return False
        self._count(at)
        self._touched.add(customer)
        customer.touch()
        counts = counts_as_order(event, settings)
        scored = customer.vector[LAST_ORDER] != NEVER
        sampled = scored and customer.ids[-1] % _SAMPLE == 0  # by the event's id, whatever the partitions are
        if sampled:
            self._moments.add(customer, at, None)
        self._apply(customer, event, at, counts)
        if counts:
            self._ordered(customer, at)
        elif scored:
            self._moments.add(customer, at, None, str(event.__struct_config__.tag) if sampled else "")
        return counts

    def advance(self, until: int, limit: int = NO_LIMIT) -> bool:
        """Make the decisions that are due before a moment; everything that happened before it must have been taken.

        Args:
            until: the moment, microseconds, to which stream time is brought.
            limit: of decisions; if more are due, stream time is brought to the last one that was made.

        Returns:
            Whether all that was due has been done. If not: `finish`, and call again.
        """
        period = self.settings.decide_every
        # Never further than a period at once: every decision sets the timer of the customer's next one, a period later.
        while (due := self.timers.next_due) < until:
            due_now = self.timers.take_before(min(until, due + period), limit)
            for due_at, _, customer in due_now:
                self._decide(customer, due_at)
            limit -= len(due_now)
            if limit <= 0 and self.timers.next_due < until:
                self.stream_time = max(self.stream_time, due_now[-1][0])
                self._judge()
                return False
        self.stream_time = max(self.stream_time, until)
        self._judge()
        return True

    def finish(self, model: Model, watermark: int | None = None) -> Effects:
        """Score all that was taken since the last call, and release the labels that the watermark has reached.

        Args:
            model: the model in force.
            watermark: up to and including which all events are known, microseconds. If not given: just before stream
                time less the lateness, since an event at that very microsecond may still come and counts in full.
        """
        scored = self._moments.score(model, self.settings.horizon / DAY_US, self.ranking)
        self.counts.scored += scored.count
        effects = Effects(scored.decisions, scored.scores, scored.view, effects_of=scored.effects_of)
        self._moments = ScoreBatch()
        effects.closed, self._closed = self._closed, []
        effects.returned, self._returned = self._returned, []
        effects.breaches, self._breaches = self._breaches, []
        effects.ended = [*self.targets.take_met(self.explainer.shop_of), *self._resolved]
        self._resolved = []
        self._note_cases(effects)
        if watermark is None:
            watermark = self.stream_time - self.settings.lateness - 1
        for matured in self.waiting.mature(watermark):
            customer = self.customers[matured.pending.customer]
            customer.waiting.pop(0)
            customer.packed = None
            customer.fresh = min(customer.fresh, len(customer.waiting))
            self._touched.add(customer)
            effects.matured.append(matured)
        return effects

    def nominate(self, at: int) -> list[AlertCandidate]:
        """The partition's best customers for the desk at a moment, after `advance` and `finish` up to it."""
        risk = self.ranking.agreed(len(self._names))
        with np.errstate(invalid="ignore"):  # NaN compares as false: those who can't be nominated stay so
            risk[risk < self.settings.alert_above] = np.nan
        risk[[index for index in np.flatnonzero(risk >= 0) if self._is_lost(self._names[index], at)]] = np.nan
        rank = risk if self.settings.rank_by == "risk" else risk * self._worth(np.flatnonzero(risk >= 0), at)
        top = top_indices(rank, self.settings.capacity)
        candidates = [self._nomination(self._names[index], float(risk[index]), at) for index in top]
        candidates.sort(key=lambda n: (-n.rank_value, n.customer))
        return [self._explained(one) for one in candidates[: self.settings.capacity]]

    def opened(self, alert: Alert) -> None:
        """The desk has opened an episode for one of this partition's customers."""
        customer = self.customers[alert.customer]
        if customer.is_duplicate(alert.alert_id):
            return  # a desk whose store was set back may tell of it again, when the staff has long worked on it
        customer.alert = alert.without_explanation()  # as it is stored: what was told is of no use here
        self.open[customer.name] = customer
        self.ranking.open[customer.index] = True
        self._touched.add(customer)
        self.aggregator.record_opened(customer, alert)
        self._notes |= notes_of(alert)
        ordered_at = round(customer.vector[LAST_ORDER] * DAY_US)
        if ordered_at > alert.opened_at:  # while the desk was deciding: what was told later has happened all the same
            self._close(customer, ordered_at, RETURNED, 0.0)

    def worked(self, contact: Contact, at: int) -> None:
        """The staff has said something of an episode or an urgent case; applied once, and only if that is open."""
        customer = self.customers.get(contact.customer_id)
        if customer is None or contact.alert_id is None:
            return
        if customer.alert is None or customer.alert.alert_id != contact.alert_id:
            self._worked_on_case(customer, contact.alert_id, contact, at)
            return
        self._touched.add(customer)
        if customer.is_duplicate(contact.event_id):
            return
        done = apply_action(customer.alert, contact, at)
        if isinstance(done, StaffOutcome):
            self._close(customer, at, RESOLVED, 0.0, done)
            # It takes two new decisions that agree before another episode opens. Not at once, but in its place among
            # the decisions that are scored when the step ends: the result must not depend on where batches are cut.
            self._moments.forget(customer)
        elif done is not None:
            customer.alert = done
            self._notes |= work_notes_of(done)

    def _worked_on_case(self, customer: Customer, alert_key: str, contact: Contact, at: int) -> None:
        found = self.targets.case_of(customer, alert_key, self.stream_time, self.explainer.shop_of(customer))
        if found is None:
            return
        self._touched.add(customer)
        if customer.is_duplicate(contact.event_id):
            return
        target, case = found
        done = apply_action(case, contact, at)
        if isinstance(done, StaffOutcome):
            customer.cases[target] = replace(case, resolved=True)
            said = (done.outcome, done.cause, done.staff)
            self._resolved.append(SlaBreachEnded(alert_key, customer.name, at, RESOLVED, *said))
        elif done is not None:
            customer.cases[target] = done
            self._notes |= work_notes_of(done)

    def _note_cases(self, effects: Effects) -> None:
        """Note the urgent cases that have opened, now that they are scored, and take out those that have ended."""
        for breach in effects.breaches:
            if breach.expires_at >= self.stream_time:  # a complaint may come later than that
                self._notes = case_notes_of(breach) | self._notes  # what is known of its work came after it
        for one in effects.ended:
            self._notes |= cleared_notes_of(one.alert_id)
        for alert_key in self.targets.take_forgotten():
            self._notes |= cleared_notes_of(alert_key)

    def take_notes(self) -> dict[str, bytes]:
        """What has changed of the open episodes since the last call, for the store; an empty value: it has ended."""
        notes, self._notes = self._notes, {}
        return notes

    def contacted(self, name: str, event_id: str, at: int) -> None:
        """A message has gone to a customer; one to somebody whom the partition does not know changes nothing."""
        customer = self.customers.get(name)
        if customer is not None and not customer.is_duplicate(event_id):
            self._touched.add(customer)
            self.explainer.note_contact(customer, at)

    def touched(self) -> list[Customer]:
        """The customers who have changed since the last call, by name: what is to be stored."""
        touched = sorted(self._touched, key=lambda customer: customer.name)
        self._touched.clear()
        return touched

    def restore(self, customers: list[Customer]) -> None:
        """Take in stored customers, whose index is given here; `settle` when all of them are here."""
        for customer in customers:
            customer.index = len(self._names)
            self.customers[customer.name] = customer
            self._names.append(customer)
        self.ranking.reserve(len(self._names))

    def settle(self, memory: KpiState | None = None) -> None:
        """Set the timers and the queue of waiting decisions after all customers were restored.

        `memory`: of the tally, stored beside them.
        """
        if memory is not None:
            self.aggregator.restore(self._names, memory, self.stream_time)
        waiting: list[Pending] = []
        for customer in self._names:
            waiting += customer.waiting
            if customer.due:
                self.timers.add(customer.due, customer.name, customer)
            self.targets.settle(customer, self.stream_time)
            if customer.alert is not None:
                self.open[customer.name] = customer
                self.ranking.open[customer.index] = True
        waiting.sort(key=lambda pending: (pending.decided_at, pending.customer))
        for pending in waiting:
            self.waiting.add(pending)

    def close_stale(self, at: int) -> None:
        """Close the episodes of customers whom the shop's own rule calls lost by now, or whose risk has fallen.

        Done once a nomination and not at every score, so that the result does not depend on where batches are cut.
        Their scores are forgotten: it takes two new decisions that agree before another episode opens.
        """
        for customer in list(self.open.values()):
            latest = self.ranking.latest(customer.index)
            if self._is_lost(customer, at):
                self._close(customer, at, LOST, latest)
            elif customer.alert and has_fallen(latest, customer.alert.bar, self.settings.fallen_odds):
                self._close(customer, at, FELL, latest)
            if customer.alert is None:
                self.ranking.forget(customer.index)
                self._touched.add(customer)

    def _is_lost(self, customer: Customer, at: int) -> bool:
        """Whether the shop's own rule calls a customer lost: nobody needs an alert to know it."""
        return at - round(customer.vector[LAST_ORDER] * DAY_US) > self.settings.lost_after_or_default

    def _decide(self, customer: Customer, due: int) -> None:
        """Make the decision that is due, and set the timer of the next; or let go of a customer who is not active."""
        self._touched.add(customer)
        if due - round(customer.vector[LAST_ORDER] * DAY_US) > self.settings.active_window:
            customer.due = 0
            self._moments.forget(customer)
            return
        self.decided += 1
        pending = Pending(customer.name, due)
        customer.waiting.append(pending)
        customer.fresh += 1
        customer.packed = None
        self.waiting.add(pending)
        self._moments.add(customer, due, pending)
        self._arm(customer, due + self.settings.decide_every)

    def _close(
        self, customer: Customer, at: int, reason: str, probability: float, verdict: StaffOutcome = NO_OUTCOME
    ) -> None:
        if customer.alert is not None:
            self.aggregator.record_closed(customer, customer.alert, reason)
            said = (verdict.outcome, verdict.cause, verdict.staff)
            self._closed.append(AlertClosing(customer.alert, at, reason, probability, *said))
            self._notes |= cleared_notes_of(customer.alert.alert_id)
        customer.alert = None
        del self.open[customer.name]
        self.ranking.open[customer.index] = False

    def _welcome(self, event: Event) -> Customer:
        name = event.customer_id
        customer = Customer(name, len(self._names))
        self.explainer.register(customer, event.shop_id)
        self.customers[name] = customer
        self._names.append(customer)
        self.ranking.reserve(len(self._names))
        return customer

    def _apply(self, customer: Customer, event: Event, at: int, counts: bool) -> None:
        """Count an event, while the facts are as before it; remember it, and follow what it means for the targets."""
        self.aggregator.event_counts.record(customer, event, at, counts)
        if counts:
            self.aggregator.record_order(customer, event, at, self.stream_time)
        before = ComplaintsBefore.of(customer.vector, self.settings) if isinstance(event, Complaint) else None
        period = customer.counters[PERIOD]
        local_day = self.settings.local_day(at) if counts else 0
        apply_event(customer.vector, event, at, local_day, counts, self._followed_days)
        self.explainer.note(customer, event, at, counts)
        if counts or before is not None or customer.counters[PERIOD] != period:
            self.aggregator.record_change(customer)
        if before is not None:
            self.explainer.note_step(customer, event, self.stream_time)
            self._tell(self.targets.follow(customer, before, at, self.stream_time))

    def _judge(self) -> None:
        """What stream time has brought about: targets are missed, and urgent cases expire."""
        self._tell(self.targets.judge(self.stream_time))
        for alert_key in self.targets.expire(self.stream_time):
            self._notes |= cleared_notes_of(alert_key)

    def _tell(self, missed: list[MissedTarget]) -> None:
        """Tell of service targets that were missed."""
        for customer, target in missed:
            if is_announced(target, self.explainer.shop_of(customer)):
                at, kind = target
                breach = breach_of(self._explained(self._nomination(customer, 0.0, at)), kind, self.settings)
                self._breaches.append(breach)
                if customer.vector[LAST_ORDER] != NEVER:
                    self._moments.add_aside(customer, breach)

    def _count(self, at: int) -> None:
        self.counts.accepted += 1
        if at < self.stream_time:
            if at < self.stream_time - self.settings.lateness:
                self.counts.too_late += 1
            else:
                self.counts.late += 1

    def _ordered(self, customer: Customer, at: int) -> None:
        closed = self.stream_time - self.settings.lateness - 1  # horizons that ended by then have their label
        if first := record_order(customer.waiting, at, self.settings.horizon, closed):
            self._returned += first
            customer.packed = None
        if customer.alert is not None and at > customer.alert.opened_at:
            self._close(customer, at, RETURNED, 0.0)
        self._moments.forget(customer)
        if customer.due == 0:
            period = self.settings.decide_every
            earliest = max(at, self.stream_time) + 1
            phase = phase_of(customer.name, period)
            self._arm(customer, earliest + (phase - earliest) % period)

    def _arm(self, customer: Customer, due: int) -> None:
        customer.due = due
        self.timers.add(due, customer.name, customer)

    def _worth(self, indices: npt.NDArray[np.int64], at: int) -> Floats:
        """What the customers with these indices bring a month; NaN for all others. There may be a million of them."""
        chosen = [self._names[index].vector for index in indices]
        money = np.array([vector[MONEY] for vector in chosen])
        age = np.maximum(at / DAY_US - np.array([vector[FIRST_ORDER] for vector in chosen]), 0.0)
        worth = np.full(len(self._names), np.nan)
        worth[indices] = _a_month(money, age, self.settings.horizon / DAY_US)
        return worth

    def _nomination(self, customer: Customer, risk: float, at: int) -> AlertCandidate:
        about = self.explainer.profile(customer, at)
        worth = float(monthly_worth(about.frame)[0])
        last = customer.waiting[-1] if customer.waiting else None
        return AlertCandidate(
            customer=customer.name,
            at=at,
            rank_value=risk if self.settings.rank_by == "risk" else risk * worth,
            probability=risk,
            monthly_worth=worth,
            silent_days=about.silent_days,
            usual_gap_days=about.usual_gap_days,
            source=last.source if last else 0,
            version=last.version if last else 0,
            shop_id=about.shop.name,
        )

    def _explained(self, candidate: AlertCandidate) -> AlertCandidate:
        """A nomination with its reasons, which only those need who are told of: many more may tie for a place."""
        about = self.explainer.profile(self.customers[candidate.customer], candidate.at)
        return replace(candidate, explanation=self.explainer.explain(about))


def monthly_worth(view: StateFrame) -> Floats:
    """Money a month that customers have been bringing, shrunk towards nought over the first horizon."""
    return _a_month(view["money"], view.age, view.horizon)


def _a_month(money: Floats, age: Floats, horizon: float) -> Floats:
    return money / (age + horizon) * 30.44
