"""The states to be scored at the end of a step: copied while events stream by, scored together in one matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from stream_app.core.alerts.lifecycle import Ranking
from stream_app.core.alerts.sla import SlaBreach
from stream_app.core.arrays import Floats
from stream_app.core.customers.customer import Customer
from stream_app.core.model.churn_model import Model, Scores
from stream_app.core.model.labels import Pending
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import SLOTS
from stream_app.core.units import DAY_US


@dataclass
class CustomerScore:
    """What the model said of a step."""

    count: int = 0  # states scored
    decisions: list[Pending] = field(default_factory=list)
    scores: Scores | None = None  # of the decisions, row by row; None: there are none
    view: StateFrame | None = None  # of the decisions, row by row
    effects_of: list[tuple[str, float]] = field(default_factory=list)  # kind of event, change of the log-odds


class ScoreBatch:
    """States of customers at their moments: of decisions, of events, and of sampled events just before them."""

    def __init__(self) -> None:
        self._customers: list[Customer] = []
        self._at: list[int] = []
        self._facts: list[bytes] = []
        self._pending: list[Pending | None] = []
        self._after: list[tuple[int, str]] = []  # row of a sampled event's second score, and its kind
        self._aside: list[tuple[SlaBreach, bytes]] = []  # who is told of at once, and the facts on him
        self._forgotten: dict[int, int] = {}  # ranking index -> rows before this one count no more

    def add(self, customer: Customer, at: int, pending: Pending | None, sampled: str = "") -> None:
        """Keep a copy of a customer's facts as they are now.

        Args:
            customer: whose facts.
            at: the moment, microseconds.
            pending: the decision that is made at that moment, if it is one.
            sampled: the kind of an event that has just been applied; the row before this one is the state before it.
        """
        if sampled:
            self._after.append((len(self._at), sampled))
        self._customers.append(customer)
        self._at.append(at)
        self._facts.append(customer.vector.tobytes())
        self._pending.append(pending)

    def add_aside(self, customer: Customer, breach: SlaBreach) -> None:
        """Keep a copy of a customer's facts for the score in an urgent alert; the ranking hears nothing of it."""
        self._aside.append((breach, customer.vector.tobytes()))

    def forget(self, customer: Customer) -> None:
        """Take a customer out of the ranking as of now: he ordered, or is not active any more."""
        self._forgotten[customer.index] = len(self._at)

    def score(self, model: Model, horizon: float, ranking: Ranking) -> CustomerScore:
        """Score all, fill the decisions in, and bring the scores into the ranking; `horizon` is in days."""
        for index in self._forgotten:
            ranking.forget(index)
        self._score_aside(model, horizon)
        if not self._at:
            return CustomerScore()
        vector = np.frombuffer(b"".join(self._facts)).reshape(len(self._at), len(SLOTS))
        now = np.array(self._at, dtype=np.float64) / DAY_US
        decided = np.array([pending is not None for pending in self._pending])
        probability = np.empty(len(now))
        scored = CustomerScore(count=len(now))
        if decided.any():
            scored.decisions = [pending for pending in self._pending if pending is not None]
            scored.view = StateFrame(vector[decided], now[decided], horizon)
            scored.scores = model.decide(scored.view)
            probability[decided] = scored.scores.probability
            _fill_in(scored.decisions, scored.scores)
        if not decided.all():
            probability[~decided] = model.score(StateFrame(vector[~decided], now[~decided], horizon))
        scored.effects_of = self._effects(probability)
        self._rank(ranking, probability)
        return scored

    def _score_aside(self, model: Model, horizon: float) -> None:
        if not self._aside:
            return
        now = np.array([breach.candidate.at for breach, _ in self._aside], dtype=np.float64) / DAY_US
        vector = np.frombuffer(b"".join(vector for _, vector in self._aside)).reshape(len(now), len(SLOTS))
        scores = model.decide(StateFrame(vector, now, horizon))
        for (breach, _), probability in zip(self._aside, scores.probability.tolist(), strict=True):
            breach.candidate = replace(
                breach.candidate, probability=probability, source=scores.source, version=scores.version
            )

    def _effects(self, probability: Floats) -> list[tuple[str, float]]:
        return [(kind, _log_odds(probability[row]) - _log_odds(probability[row - 1])) for row, kind in self._after]

    def _rank(self, ranking: Ranking, probability: Floats) -> None:
        places = [customer.index for customer in self._customers]
        indices: npt.NDArray[np.int64] = np.array(places, dtype=np.int64)
        forgotten = self._forgotten
        counts = np.arange(len(indices)) >= np.array([forgotten.get(place, 0) for place in places])
        ranking.scored(indices[counts], probability[counts])
        for row, pending in enumerate(self._pending):
            if pending is not None and counts[row]:
                ranking.decided(int(indices[row]), self._at[row], float(probability[row]))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _fill_in(decisions: Iterable[Pending], scores: Scores) -> None:
    log_odds = scores.log_odds.astype(np.float16)
    for row, pending in enumerate(decisions):
        pending.features = scores.features[row].tobytes()
        pending.log_odds = log_odds[row].tobytes()
        pending.probability = float(scores.probability[row])
        pending.source = scores.source
        pending.version = scores.version
