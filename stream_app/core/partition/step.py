"""A step of a partition task: collects the effects of one chunk of records, and builds the commit that stores them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isnan

from stream_app.core.alerts.ranking import Ranking
from stream_app.core.customers.customer import Customer
from stream_app.core.kpis.aggregator import UNKNOWN
from stream_app.core.kpis.event_counts import EventCounts, Row
from stream_app.core.messages.dead_letters import DeadLetter, dead_letter
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import Outgoing
from stream_app.core.messages.unknown_words import Found
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.scores import Model
from stream_app.core.partition import alert_records, outbox
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.progress import Position
from stream_app.core.partition.score_batch import Effects
from stream_app.core.segments.segments import COMPLAINING, SEGMENTS


@dataclass
class Step:
    """One step: its counts, and the changes to commit.

    Args:
        partition: partition number.
        decision_limit: the step makes no more decisions once `DueDecisions.made` reaches this value.
    """

    partition: int
    decision_limit: int = 0
    commit: Commit = field(init=False)
    position: Position = field(init=False)
    events: Counter[str] = field(default_factory=Counter)  # by role
    rejected: Counter[str] = field(default_factory=Counter)  # rejected records by field
    misplaced: Counter[str] = field(default_factory=Counter)  # by role: records whose customer is elsewhere
    decisions: int = 0
    decisions_left: bool = False  # whether more decisions are due than the limit allows
    scored: int = 0
    oldest_append: int = 0  # time when the broker appended the oldest event, milliseconds; 0: no events
    watermark: int = 0  # microseconds
    event_counts: dict[str, Row] = field(default_factory=dict)  # by shop
    opened: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # alerts by shop, cause and segment
    closed: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # alerts by shop, reason and segment
    suppressed: Counter[str] = field(default_factory=Counter)  # customers at risk who are no candidates, by reason
    # Alerts resolved by the staff, by outcome, cause and segment.
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    drawn: Counter[tuple[str, str]] = field(default_factory=Counter)  # see EventCounts, like the following
    trial_outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unknown_words: Counter[Found] = field(default_factory=Counter)
    outbox: list[Outgoing] = field(default_factory=list)
    dead_letter_bytes: int = 0  # in the outbox

    @property
    def is_empty(self) -> bool:
        """Whether the step has applied nothing."""
        return not (self.events or self.rejected or self.misplaced or self.decisions_left)

    def count_event(self, role: int, appended: int) -> None:
        """Count an event, given its topic's index in ROLES and the broker's append time in milliseconds."""
        self.events[ROLES[role]] += 1
        if not self.oldest_append or appended < self.oldest_append:
            self.oldest_append = appended

    def add_dead_letter(self, dead: DeadLetter, topic: str) -> None:
        """Send a record from a topic to the dead-letter topic."""
        self.rejected[dead.rejected.field] += 1
        outgoing = dead_letter(dead, topic, self.partition)
        self.outbox.append(outgoing)
        self.dead_letter_bytes += outgoing.size

    def add_effects(self, effects: Effects) -> None:
        """Send the processor's effects to the trainer and the staff."""
        cohorts = Cohorts()
        cohorts.record_decisions(effects.decisions)
        cohorts.record_returns(effects.returned)
        cohorts.steps = effects.steps
        cohorts.feedback = effects.feedback
        self.outbox += outbox.labelled(self.partition, effects.matured, cohorts, 0)
        self.outbox += alert_records.closed_alerts(self.partition, effects.closed)
        self.outbox += alert_records.urgent_alerts(self.partition, effects.breaches, effects.ended)
        self.outcomes.update(
            (one.outcome, one.cause, one.alert.opening_segment or UNKNOWN) for one in effects.closed if one.outcome
        )
        # An urgent case implies that the customer has complained.
        self.outcomes.update((one.outcome, one.cause, SEGMENTS[COMPLAINING]) for one in effects.ended if one.outcome)
        self.decisions += len(effects.decisions)

    def add_candidates(self, at: int, model: Model, processor: PartitionProcessor) -> None:
        """Close stale alerts and send alert candidates to the allocator. The closings follow with the next effects."""
        processor.alerts.close_stale(at)
        selection = processor.alerts.candidates
        best = [selection.explained(one) for one in selection.best(at, model)]
        self.suppressed = selection.rules.take_suppressed()
        self.outbox += outbox.candidate_batches(self.partition, at, best, processor.settings.policy.version)

    def add_scores(self, stream_time: int, version: int, ranking: Ranking, customers: Iterable[Customer]) -> None:
        """Send the latest scores of the customers that have one."""
        latest = ((one.name, ranking.latest(one.index)) for one in customers)
        scores = [(name, score) for name, score in latest if not isnan(score)]
        self.outbox += outbox.scores(self.partition, stream_time, version, scores)
        self.scored = len(scores)

    def take_counts(self, counts: EventCounts) -> None:
        """Move the counts since the last step into this step."""
        self.event_counts, counts.rows = counts.rows, {}
        self.opened, counts.opened = counts.opened, Counter()
        self.closed, counts.closed = counts.closed, Counter()
        self.drawn, counts.drawn = counts.drawn, Counter()
        self.trial_outcomes, counts.trial_outcomes = counts.trial_outcomes, Counter()
        self.unknown_words, counts.unknown_words.counts = counts.unknown_words.counts, Counter()
