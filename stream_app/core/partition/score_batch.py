"""Batch of states to score: states are copied while events are applied, then scored as one matrix after the step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from stream_app.core.alerts.lifecycle import AlertClosing
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.sla import SlaBreach, SlaBreachEnded
from stream_app.core.arrays import Floats, Ints
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Matured, Pending, Returned
from stream_app.core.model.lost_probability import StepCounts
from stream_app.core.model.scores import Model, Scores
from stream_app.core.state.frame import StateFrame
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


class ScoreBatch:
    """Copies of state vectors, at decisions and after events."""

    def __init__(self) -> None:
        self._begin()

    def __len__(self) -> int:
        return len(self._rows)

    def _begin(self) -> None:
        self._rows: list[tuple[int, int, bytes, Pending | None]] = []  # ranking index, time in µs, vector, decision
        self._breaches: list[tuple[SlaBreach, bytes]] = []
        self._forgotten: dict[int, int] = {}  # ranking index -> row; scores before this row are not ranked

    def add(self, customer: Customer, at: int, pending: Pending | None) -> None:
        """Copy the current state of a customer.

        Args:
            customer: the customer to score.
            at: time of the score, microseconds.
            pending: the decision made at that time, if any.
        """
        self._rows.append((customer.index, at, customer.vector.tobytes(), pending))

    def add_breach(self, customer: Customer, breach: SlaBreach) -> None:
        """Copy a customer's current state to score an urgent alert. The score is not used in the ranking."""
        self._breaches.append((breach, customer.vector.tobytes()))

    def forget(self, customer: Customer) -> None:
        """Remove a customer's scores so far from the ranking, after an order or the last active day."""
        self._forgotten[customer.index] = len(self._rows)

    def score(self, model: Model, horizon: float, ranking: Ranking) -> Effects:
        """Score the batch, complete its decisions, add the scores to the ranking, and start a new batch.

        Args:
            model: the current model.
            horizon: label horizon, days.
            ranking: ranking of the partition.
        """
        for index in self._forgotten:
            ranking.forget(index)
        self._score_breaches(model, horizon)
        effects = Effects()
        if self._rows:
            indices, times, copies, pending = zip(*self._rows, strict=True)
            vectors, now = matrix(copies), np.array(times, dtype=np.float64) / DAY_US
            decided = np.array([one is not None for one in pending])
            probability = np.empty(len(now))
            if decided.any():
                effects.decisions = [one for one in pending if one is not None]
                effects.view = StateFrame(vectors[decided], now[decided], horizon)
                effects.scores = model.decide(effects.view)
                probability[decided] = effects.scores.probability
                _complete(effects.decisions, effects.scores)
            if not decided.all():
                probability[~decided] = model.score(StateFrame(vectors[~decided], now[~decided], horizon))
            self._rank(ranking, np.array(indices, dtype=np.int64), probability)
        self._begin()
        return effects

    def _score_breaches(self, model: Model, horizon: float) -> None:
        if not self._breaches:
            return
        now = np.array([breach.candidate.at for breach, _ in self._breaches], dtype=np.float64) / DAY_US
        scores = model.decide(StateFrame(matrix([vector for _, vector in self._breaches]), now, horizon))
        for (breach, _), probability in zip(self._breaches, scores.probability.tolist(), strict=True):
            breach.candidate = replace(
                breach.candidate, probability=probability, source=scores.source, version=scores.version
            )

    def _rank(self, ranking: Ranking, indices: Ints, probability: Floats) -> None:
        ranked = np.arange(len(indices)) >= np.array([self._forgotten.get(index, 0) for index in indices.tolist()])
        ranking.set_latest(indices[ranked], probability[ranked])
        for row, (index, at, _, pending) in enumerate(self._rows):
            if pending is not None and ranked[row]:
                ranking.add_decision(index, at, float(probability[row]))


def _complete(decisions: Iterable[Pending], scores: Scores) -> None:
    for row, pending in enumerate(decisions):
        pending.features = scores.features[row].tobytes()
        pending.log_odds = scores.stored[row].tobytes()
        pending.probability = float(scores.probability[row])
        pending.source = scores.source
        pending.version = scores.version
