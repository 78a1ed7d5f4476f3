"""Batch of states to score: collected while events are applied, then scored as one matrix after the step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stream_app.core.alerts.lifecycle import AlertClosing
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.arrays import Floats
from stream_app.core.causes.feedback import Feedback
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Matured, Pending, Returned
from stream_app.core.model.lost_probability import StepCounts
from stream_app.core.model.scores import Model, Scores
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import StateVector
from stream_app.core.units import DAY_US


@dataclass
class Effects:
    """Effects of a step, which the caller has to carry out."""

    decisions: list[Pending] = field(default_factory=list)
    scores: Scores | None = None  # one row per decision; None: no decisions
    view: StateFrame | None = None  # one row per decision
    matured: list[Matured] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)  # decisions followed by an order, reported once each
    steps: StepCounts = field(default_factory=StepCounts)  # steps of silences that ended
    closed: list[AlertClosing] = field(default_factory=list)
    breaches: list[SlaBreach] = field(default_factory=list)  # urgent alerts opened in this step
    ended: list[SlaBreachEnded] = field(default_factory=list)  # urgent alerts closed in this step
    feedback: Feedback = field(default_factory=Feedback)  # from staff


class ScoreBatch:
    """Decisions and events to score, until the model of the step is known.

    A decision is scored as its customer was when it was made, so the state is copied. An event changes only the
    customer's latest score: one score per customer, of the state at the end of the batch, serves all of their events.
    """

    def __init__(self) -> None:
        self._begin()

    def __len__(self) -> int:
        """Return the number of decisions and events."""
        return len(self._decisions) + self._events

    def _begin(self) -> None:
        self._decisions: list[tuple[Customer, bytes, Pending]] = []  # with a copy of the state vector
        self._changed: dict[Customer, int] = {}  # customer -> time of the latest event, if no decision came later
        self._events = 0
        self._breaches: list[tuple[SlaBreach, bytes]] = []
        self._forgotten: dict[Customer, int] = {}  # customer -> number of decisions that are not ranked

    def add_event(self, customer: Customer, at: int) -> None:
        """Score a customer after an event, once it has been applied.

        Args:
            customer: the customer, who must have ordered.
            at: time of the event, microseconds.
        """
        self._events += 1
        self._changed[customer] = at

    def add_decision(self, customer: Customer, pending: Pending) -> None:
        """Score a decision on the current state of a customer."""
        self._decisions.append((customer, customer.vector.tobytes(), pending))
        self._changed.pop(customer, None)

    def add_breach(self, customer: Customer, breach: SlaBreach) -> None:
        """Copy a customer's current state to score an urgent alert. The score is not used in the ranking."""
        self._breaches.append((breach, customer.vector.tobytes()))

    def forget(self, customer: Customer) -> None:
        """Remove a customer's scores so far from the ranking, after an order or the last active day."""
        self._forgotten[customer] = len(self._decisions)
        self._changed.pop(customer, None)

    @property
    def undecided(self) -> tuple[list[StateVector[float]], list[int]]:
        """State vectors and times of the states that are no decisions, microseconds."""
        return [customer.vector for customer in self._changed], [*self._changed.values()]

    def score(self, model: Model, horizon: float, ranking: Ranking, undecided: Floats | None = None) -> Effects:
        """Score the batch, complete its decisions, add the scores to the ranking, and start a new batch.

        Args:
            model: the current model.
            horizon: label horizon, days.
            ranking: ranking of the partition.
            undecided: the model's scores of `undecided`, if they are known.
        """
        for customer in self._forgotten:
            ranking.forget(customer.index)
        self._score_breaches(model, horizon)
        effects = Effects()
        if self._decisions:
            effects.decisions = [pending for _, _, pending in self._decisions]
            times = [pending.decided_at for pending in effects.decisions]
            effects.view = frame_of([copy for _, copy, _ in self._decisions], times, horizon)
            effects.scores = model.decide(effects.view)
            _complete(effects.decisions, effects.scores)
            self._rank(ranking, effects.scores.probability)
        if self._changed:
            if undecided is None:
                undecided = model.score(frame_of(*self.undecided, horizon))
            indices = np.array([customer.index for customer in self._changed], dtype=np.int64)
            ranking.set_latest(indices, undecided)
        self._begin()
        return effects

    def _score_breaches(self, model: Model, horizon: float) -> None:
        if not self._breaches:
            return
        times = [breach.candidate.at for breach, _ in self._breaches]
        scores = model.decide(frame_of([vector for _, vector in self._breaches], times, horizon))
        for (breach, _), probability in zip(self._breaches, scores.probability.tolist(), strict=True):
            breach.candidate = replace(
                breach.candidate, probability=probability, source=scores.source, version=scores.version
            )

    def _rank(self, ranking: Ranking, probability: Floats) -> None:
        for row, (customer, _, pending) in enumerate(self._decisions):
            if row >= self._forgotten.get(customer, 0):
                ranking.add_decision(customer.index, pending.decided_at, float(probability[row]))


def frame_of(vectors: Sequence[StateVector[float] | bytes], times: Sequence[int], horizon: float) -> StateFrame:
    """Return the states with these vectors at these times, in microseconds. The horizon is in days."""
    return StateFrame(matrix(vectors), np.array(times, dtype=np.float64) / DAY_US, horizon)


def _complete(decisions: Iterable[Pending], scores: Scores) -> None:
    for row, pending in enumerate(decisions):
        pending.features = scores.features[row].tobytes()
        pending.log_odds = scores.stored[row].tobytes()
        pending.probability = float(scores.probability[row])
        pending.source = scores.source
        pending.version = scores.version
