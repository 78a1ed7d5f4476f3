"""Batch of states to score: states are copied while events are applied, then scored as one matrix after the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.sla import SlaBreach
from stream_app.core.arrays import Floats, Ints
from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending
from stream_app.core.model.scores import Model, Scores
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import SLOTS
from stream_app.core.units import DAY_US


@dataclass
class ScoredBatch:
    """Scores of a step."""

    count: int = 0  # number of scored states
    decisions: list[Pending] = field(default_factory=list)
    scores: Scores | None = None  # one row per decision; None: no decisions
    view: StateFrame | None = None  # one row per decision
    effects_of: list[tuple[str, float]] = field(default_factory=list)  # kind of event, change of the log-odds


class ScoreBatch:
    """Copies of state vectors: at decisions, after events, and before sampled events."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._customers: list[Customer] = []
        self._at: list[int] = []
        self._vectors: list[bytes] = []
        self._pending: list[Pending | None] = []
        self._sampled: list[tuple[int, str]] = []  # row of the score after a sampled event, event kind
        self._breaches: list[tuple[SlaBreach, bytes]] = []
        self._forgotten: dict[int, int] = {}  # ranking index -> row; scores before this row are not ranked

    def add(self, customer: Customer, at: int, pending: Pending | None, sampled: str = "") -> None:
        """Copy the current state of a customer.

        Args:
            customer: the customer to score.
            at: time of the score, microseconds.
            pending: the decision made at that time, if any.
            sampled: kind of the event that was just applied; the previous row is the state before the event.
        """
        if sampled:
            self._sampled.append((len(self._at), sampled))
        self._customers.append(customer)
        self._at.append(at)
        self._vectors.append(customer.vector.tobytes())
        self._pending.append(pending)

    def add_breach(self, customer: Customer, breach: SlaBreach) -> None:
        """Copy a customer's current state to score an urgent alert. The score is not used in the ranking."""
        self._breaches.append((breach, customer.vector.tobytes()))

    def forget(self, customer: Customer) -> None:
        """Remove a customer's scores so far from the ranking, after an order or the last active day."""
        self._forgotten[customer.index] = len(self._at)

    def score(self, model: Model, horizon: float, ranking: Ranking) -> ScoredBatch:
        """Score the batch, complete its decisions, add the scores to the ranking, and start a new batch.

        Args:
            model: the current model.
            horizon: label horizon, days.
            ranking: ranking of the partition.
        """
        for index in self._forgotten:
            ranking.forget(index)
        self._score_breaches(model, horizon)
        scored = ScoredBatch(count=len(self._at))
        if self._at:
            vectors, now = _matrix(self._vectors), np.array(self._at, dtype=np.float64) / DAY_US
            decided = np.array([pending is not None for pending in self._pending])
            probability = np.empty(len(now))
            if decided.any():
                scored.decisions = [pending for pending in self._pending if pending is not None]
                scored.view = StateFrame(vectors[decided], now[decided], horizon)
                scored.scores = model.decide(scored.view)
                probability[decided] = scored.scores.probability
                _complete(scored.decisions, scored.scores)
            if not decided.all():
                probability[~decided] = model.score(StateFrame(vectors[~decided], now[~decided], horizon))
            scored.effects_of = [
                (kind, _log_odds(probability[row]) - _log_odds(probability[row - 1])) for row, kind in self._sampled
            ]
            self._rank(ranking, probability)
        self._begin()
        return scored

    def _score_breaches(self, model: Model, horizon: float) -> None:
        if not self._breaches:
            return
        now = np.array([breach.candidate.at for breach, _ in self._breaches], dtype=np.float64) / DAY_US
        scores = model.decide(StateFrame(_matrix([vector for _, vector in self._breaches]), now, horizon))
        for (breach, _), probability in zip(self._breaches, scores.probability.tolist(), strict=True):
            breach.candidate = replace(
                breach.candidate, probability=probability, source=scores.source, version=scores.version
            )

    def _rank(self, ranking: Ranking, probability: Floats) -> None:
        indices: Ints = np.array([customer.index for customer in self._customers], dtype=np.int64)
        ranked = np.arange(len(indices)) >= np.array([self._forgotten.get(index, 0) for index in indices.tolist()])
        ranking.set_latest(indices[ranked], probability[ranked])
        for row, pending in enumerate(self._pending):
            if pending is not None and ranked[row]:
                ranking.add_decision(int(indices[row]), self._at[row], float(probability[row]))


def _matrix(vectors: list[bytes]) -> Floats:
    return np.frombuffer(b"".join(vectors)).reshape(len(vectors), len(SLOTS))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _complete(decisions: Iterable[Pending], scores: Scores) -> None:
    """Store the features and predictions with each decision."""
    log_odds = scores.log_odds.astype(np.float16)
    for row, pending in enumerate(decisions):
        pending.features = scores.features[row].tobytes()
        pending.log_odds = log_odds[row].tobytes()
        pending.probability = float(scores.probability[row])
        pending.source = scores.source
        pending.version = scores.version
