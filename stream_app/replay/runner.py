"""Replay of a recorded log: runs the partitions, trainer and allocator in one loop, in log time.

At midnight (UTC), the trainer learns from the matured decisions and a new model version takes effect. At the
nomination hour of each working day (in the shop's time zone), the allocator opens alerts. Only events and timers are
processed between these times, so a replay over P partitions gives the same results as P live partitions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.core.alerts.arms import Draws
from stream_app.core.alerts.lifecycle import QUOTA, Alert, AlertCandidate, AlertClosing, allocate
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.arrays import Floats
from stream_app.core.events.schema import Browsing, Cart, Event, times_of
from stream_app.core.messages.schema import PolicyRecord
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured
from stream_app.core.partition.processor import Counts, PartitionProcessor
from stream_app.core.partition.score_batch import Effects
from stream_app.core.policy.exchange import in_shop_currency
from stream_app.core.schedule import settings_by_time
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import DAY_US
from stream_app.replay.columns import DecisionColumns
from stream_app.replay.money import Money
from stream_app.replay.results import Version
from stream_app.replay.unavailable import OptOuts

OnProgress = Callable[[int, int], None]  # events so far, decisions so far
_MAX_CHUNK = 8_192  # events, after whose batch all are scored; limits memory without affecting results
_VISITS = (Browsing, Cart)  # kinds of most events, which change neither money nor consent


@dataclass
class Outcome:
    """Outcome of a replay."""

    columns: DecisionColumns
    opened: list[Alert] = field(default_factory=list)
    closed: list[AlertClosing] = field(default_factory=list)
    next_list: list[Alert] = field(default_factory=list)  # alerts of the first list after the log
    breaches: list[SlaBreach] = field(default_factory=list)  # urgent alerts
    ended: list[SlaBreachEnded] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    money: Money = field(init=False)
    opt_outs: OptOuts = field(default_factory=OptOuts)  # if calls are planned
    suppressed: Counter[str] = field(default_factory=Counter)  # customers who were not called, by reason
    measured: Settings | None = None  # settings of the latest holdout experiment
    customers: int = 0
    events: int = 0
    last_at: int = 0  # time of the last event, microseconds

    def __post_init__(self) -> None:
        """Let decisions and money share the customers' indices."""
        self.money = Money(self.columns.customer_index)


class Replay:
    """Replays events in order of time.

    Args:
        settings: the shop's settings.
        partitions: number of partitions.
        on_progress: called after every chunk.
        policies: contact policies that the log names.
    """

    def __init__(
        self,
        settings: Settings,
        partitions: int = 1,
        on_progress: OnProgress | None = None,
        policies: Sequence[PolicyRecord] = (),
    ) -> None:
        self._policies = deque(settings_by_time(settings, policies))
        self.partitions = [PartitionProcessor(settings, complaint_reader()) for _ in range(partitions)]
        self.churn_model = ChurnModel.of(settings)
        for partition in self.partitions:
            partition.use_model(self.churn_model)
        self.outcome = Outcome(DecisionColumns(self.churn_model.names))
        self._use(settings)
        self._on_progress = on_progress or (lambda _events, _decisions: None)
        self._draws = Draws()
        self._matured: list[Matured] = []
        self._cohorts = Cohorts()  # since midnight
        self._midnight = 0
        self._nomination = 0

    def run(self, batches: Iterable[list[Event]]) -> Outcome:
        """Replay a log. At its end, decisions whose horizon has ended get their labels."""
        last, unscored = 0, 0
        for batch in batches:
            times = times_of(batch)
            for start, end in self._chunks(times):
                self._process(batch[start:end], times[start:end])
            last = times[-1] if times else last
            unscored += len(batch)
            if unscored >= _MAX_CHUNK:
                self._finish(None)
                unscored = 0
        if self.outcome.events:
            self._finish(last + 1, watermark=last)
            self._learn(last)
            following, _ = self._allocated(self._next_opening(last))
            self.outcome.next_list = [alert for alert in following if not alert.is_held_out]
        self.outcome.last_at = last
        self.outcome.customers = sum(len(partition.customers) for partition in self.partitions)
        return self.outcome

    @property
    def counts(self) -> Counts:
        """Counts of processed events, summed over all partitions."""
        total = Counts()
        for partition in self.partitions:
            for name, value in vars(partition.counts).items():
                setattr(total, name, getattr(total, name) + value)
        return total

    def _chunks(self, times: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield the start and end of chunks between midnights and allocations, which are processed between them."""
        start = 0
        while start < len(times):
            at = times[start]
            if not self._midnight:
                self._midnight = (at // DAY_US + 1) * DAY_US
                self._nomination = self.settings.next_nomination(at)
                self._follow_policies(at)
            elif at >= self._next_moment:
                self._advance_clock(at)
            end = bisect_left(times, self._next_moment, start)
            yield start, end
            start = end

    def _advance_clock(self, at: int) -> None:
        """Process all midnights, allocations and changes of the policy up to the time of the next event."""
        while (moment := self._next_moment) <= at:
            self._finish(moment)
            self._follow_policies(moment)
            if moment == self._nomination:
                self._nominate(moment)
            if moment == self._midnight:
                self._learn(moment)
                self._midnight += DAY_US
            if moment == self._nomination:
                self._nomination = self.settings.next_nomination(moment)

    @property
    def _next_moment(self) -> int:
        return min(self._midnight, self._nomination, *(at for at, _ in islice(self._policies, 1)))

    def _follow_policies(self, at: int) -> None:
        """Use the policy that is in force at a time."""
        while self._policies and self._policies[0][0] <= at:
            self._use(self._policies.popleft()[1])

    def _use(self, settings: Settings) -> None:
        self.settings = settings
        if settings.holdout.share:
            self.outcome.measured = settings
        for partition in self.partitions:
            partition.use(settings)

    def _process(self, events: Sequence[Event], times: Sequence[int]) -> None:
        outcome, currency = self.outcome, self.settings.policy.currency
        only = self.partitions[0] if len(self.partitions) == 1 else None
        for event, at in zip(events, times, strict=True):
            counts = (only or self._partition(event.customer_id)).apply(event, at)
            if isinstance(event, _VISITS):  # most events: nothing else to record
                continue
            outcome.money.record(in_shop_currency(event, currency), at, counts=counts)
            if self.settings.plans_calls:
                outcome.opt_outs.record(event, at, self.settings.policy.contacts.rest_after_opt_out)
        outcome.events += len(events)
        self._on_progress(outcome.events, len(outcome.columns))

    def _finish(self, until: int | None, watermark: int | None = None) -> None:
        """Advance every partition to a time, and collect its new and matured decisions."""
        for partition in self.partitions:
            if until is not None:
                partition.advance(until)
            self._record(partition.finish(self.churn_model, watermark))
            partition.alerts.take_notes()  # meant for a state store, which a replay does not have
            partition.working_set.changed.clear()  # also meant for a state store

    def _record(self, effects: Effects) -> None:
        outcome = self.outcome
        if effects.scores is not None and effects.view is not None:
            lost_after_days = self.settings.lost_after_or_default / DAY_US
            planned = self._planned(effects.view, effects.scores.probability) if self.settings.plans_calls else {}
            outcome.columns.add(effects.decisions, effects.scores, effects.view, lost_after_days, planned)
        self._matured += effects.matured
        self._cohorts.record_decisions(effects.decisions)
        self._cohorts.record_returns(effects.returned)
        self._cohorts.steps.merge(effects.steps.rows())
        self._cohorts.feedback.add(effects.feedback.confirmed, effects.feedback.filed)
        outcome.closed += effects.closed
        outcome.breaches += effects.breaches
        outcome.ended += effects.ended

    def _planned(self, view: StateFrame, probability: Floats) -> dict[str, Floats]:
        """Return the columns of `columns.PLANNED`."""
        return {
            "lost_probability": self.churn_model.lost_probability(view.recency, probability),
            "expected_value": self.settings.margin * self.churn_model.expected_value(view, probability),
        }

    def _learn(self, moment: int) -> None:
        """Learn from the matured decisions."""
        cohorts, self._cohorts = self._cohorts, Cohorts()
        self.churn_model.record_cohorts(cohorts)
        # Sorted independently of the partitions, since floating-point sums depend on the order.
        matured = sorted(self._matured, key=lambda one: (one.matured_at, one.pending.customer))
        self._matured = []
        self.outcome.columns.label(matured)
        self.churn_model.learn_day(matured, moment, cohorts.steps, cohorts.feedback)
        versions = self.outcome.versions
        if not versions or versions[-1].number != self.churn_model.version:
            shares = self.churn_model.shares()
            versions.append(Version(self.churn_model.version, moment, self.churn_model.examples, shares))

    def _nominate(self, moment: int) -> None:
        for partition in self.partitions:
            partition.alerts.close_stale(moment)
        alerts, suppressed = self._allocated(moment)
        self.outcome.suppressed += suppressed
        for alert in alerts:
            self._partition(alert.customer).alerts.open_alert(alert)
            self.outcome.opened.append(alert)

    def _allocated(self, moment: int) -> tuple[list[Alert], Counter[str]]:
        """Return the alerts that the allocator would open, with explanations, and who is not called, by reason."""
        candidates, suppressed = list[AlertCandidate](), Counter[str]()
        for partition in self.partitions:
            candidates += partition.alerts.candidates.best(moment, self.churn_model)
            suppressed += partition.alerts.candidates.rules.take_suppressed()
        alerts, put_off = allocate(self._draws.assign(candidates, self.settings.holdout), self.settings)
        self._draws.add(candidates, alerts)
        suppressed.update({QUOTA: put_off} if put_off else {})
        explained = [
            replace(alert, candidate=self._partition(alert.customer).alerts.candidates.explained(alert.candidate))
            for alert in alerts
        ]
        return explained, suppressed

    def _next_opening(self, after: int) -> int:
        """Return the first allocation after an instant at which alerts may open."""
        moment = self.settings.next_nomination(after)
        while not self.settings.opens_alerts(moment):
            moment = self.settings.next_nomination(moment)
        return moment

    def _partition(self, customer: str) -> PartitionProcessor:
        return self.partitions[partition_of(customer, len(self.partitions))]
