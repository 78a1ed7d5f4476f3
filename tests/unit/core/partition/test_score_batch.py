"""What is scored of a batch of decisions and events, and what the ranking takes from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream_app.core.alerts.ranking import Ranking
from stream_app.core.arrays import Floats
from stream_app.core.customers.customer import Customer
from stream_app.core.model.labels import Pending
from stream_app.core.model.scores import Scores
from stream_app.core.partition.score_batch import ScoreBatch
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import ORDERS
from stream_app.core.units import DAY_US
from tests.harness.shops import trained_model


class OrdersModel:
    """Scores a customer by their number of orders plus the time in days: a score shows which state it is of."""

    def __init__(self) -> None:
        self.scored = 0  # rows that were scored after events

    def decide(self, view: StateFrame) -> Scores:
        return replace(trained_model().decide(view), probability=view["orders"] + view.now)

    def score(self, view: StateFrame) -> Floats:
        self.scored += len(view.now)
        return view["orders"] + view.now


def scored(batch: ScoreBatch, ranking: Ranking) -> int:
    model = OrdersModel()
    batch.score(model, 60.0, ranking)  # type: ignore[arg-type] # only what a batch needs
    return model.scored


def test_a_customer_is_scored_once_however_many_events_they_had() -> None:
    batch, ranking, customer = ScoreBatch(), Ranking(agreement=0), Customer("c", 3)
    for orders, day in ((1, 10), (2, 12), (3, 11)):
        customer.vector[ORDERS] = orders
        batch.add_event(customer, day * DAY_US)
    assert len(batch) == 3
    assert scored(batch, ranking) == 1
    assert ranking.latest(3) == 3 + 11  # the last event applied, even if it is late
    assert len(batch) == 0


def test_a_decision_is_scored_on_the_state_at_its_time() -> None:
    batch, ranking, customer = ScoreBatch(), Ranking(agreement=0), Customer("c", 0)
    customer.vector[ORDERS] = 1
    batch.add_event(customer, 9 * DAY_US)
    batch.add_decision(customer, Pending("c", 10 * DAY_US))
    customer.vector[ORDERS] = 5
    assert scored(batch, ranking) == 0  # the decision is later than the event
    assert ranking.latest(0) == 1 + 10


def test_an_event_after_a_decision_sets_the_latest_score_alone() -> None:
    batch, ranking, customer = ScoreBatch(), Ranking(agreement=0), Customer("c", 0)
    batch.add_decision(customer, Pending("c", 10 * DAY_US))
    customer.vector[ORDERS] = 5
    batch.add_event(customer, 11 * DAY_US)
    assert scored(batch, ranking) == 1
    assert ranking.latest(0) == 5 + 11
    assert ranking.rows(np.array([0])).last.tolist() == [10.0]


def test_scores_before_an_order_are_not_ranked() -> None:
    batch, ranking, (known, other) = ScoreBatch(), Ranking(agreement=0), (Customer("c", 0), Customer("d", 1))
    for customer in (known, other):
        batch.add_decision(customer, Pending(customer.name, 10 * DAY_US))
        batch.add_event(customer, 11 * DAY_US)
    batch.forget(known)
    assert scored(batch, ranking) == 1
    assert [ranking.latest(index) == ranking.latest(index) for index in (0, 1)] == [False, True]
    batch.add_event(known, 12 * DAY_US)
    scored(batch, ranking)
    assert ranking.latest(0) == 12
