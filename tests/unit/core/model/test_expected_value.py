"""The expected value: it follows money and pace, needs no fit, and counts what customers send back."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from stream_app.core.arrays import Floats
from stream_app.core.events.enumerations import ComplaintForm, OrderAction
from stream_app.core.events.schema import Complaint, Event, Order
from stream_app.core.model.expected_value import HALF_LIFE, SHRINKAGE, TypicalOrder, expected_value
from stream_app.core.model.features import NAMES
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import SLOT, new_vector
from stream_app.core.units import DAY_US, from_micros
from tests.harness.shops import PLANNED, SHOP, T0, order

UNKNOWN = TypicalOrder()


def frame(days: tuple[float, ...], money: float, now: float, customers: int = 1) -> StateFrame:
    """Customers who ordered on the given days."""
    vector = new_vector()
    vector[SLOT["first_order"]], vector[SLOT["last_order"]] = days[0], days[-1]
    vector[SLOT["orders"]] = vector[SLOT["order_days"]] = len(days)
    vector[SLOT["money"]] = money
    return StateFrame(np.tile(np.array(vector), (customers, 1)), np.full(customers, now), 60.0)


def value(view: StateFrame, probability: float, typical: TypicalOrder = UNKNOWN) -> float:
    return float(expected_value(view, np.full(len(view.now), probability), typical)[0])


def typical(amount: float, decisions: int = 10) -> TypicalOrder:
    found = TypicalOrder()
    found.learn_day(rows(*[amount] * decisions), T0)
    return found


def rows(*amounts: float) -> Floats:
    """Features of decisions on customers with these mean order amounts."""
    table = np.zeros((len(amounts), len(NAMES)))
    table[:, NAMES.index("mean_amount")] = np.log1p(amounts)
    return table


def test_the_value_is_that_of_the_formula() -> None:
    pace = 60.0 * 2.5 / (120.0 + 60.0)
    order_days = math.sqrt(-math.log(0.4) * 0.6 * pace)
    view = frame((0.0, 60.0, 100.0), 90.0, 120.0)
    assert value(view, 0.4) == pytest.approx(order_days * 30.0)
    assert value(view, 0.4, typical(50.0)) == pytest.approx(order_days * (90.0 + SHRINKAGE * 50.0) / (3 + SHRINKAGE))


def test_who_is_likelier_to_order_and_who_spends_more_is_worth_more() -> None:
    view = frame((0.0, 30.0), 100.0, 40.0)
    found = [value(view, probability) for probability in (0.95, 0.6, 0.3, 0.05)]
    assert found == sorted(found)
    assert value(frame((0.0, 30.0), 200.0, 40.0), 0.6) == pytest.approx(2 * value(view, 0.6))


@pytest.mark.parametrize("probability", [0.0, 1e-9, 1.0 - 1e-9, 1.0])
@pytest.mark.parametrize("money", [-50.0, 0.0, 1e9])
def test_the_value_is_finite_and_not_negative_whatever_was_spent(probability: float, money: float) -> None:
    for known in (UNKNOWN, typical(20.0)):
        found = value(frame((0.0,), money, 0.0), probability, known)
        assert math.isfinite(found)
        assert found >= 0.0


def test_a_value_does_not_depend_on_the_customers_that_are_scored_with_it() -> None:
    alone, many = (frame((0.0, 31.0), 77.7, 45.6, count) for count in (1, 37))
    found = expected_value(many, np.full(37, 0.37), typical(12.3))
    assert (found == value(alone, 0.37, typical(12.3))).all()


def test_the_typical_order_is_the_geometric_mean_and_forgets() -> None:
    known = TypicalOrder()
    assert known.amount == known.shrinkage == 0.0
    known.learn_day(rows(9.0, 99.0), T0)
    assert known.amount == pytest.approx(math.sqrt(10.0 * 100.0) - 1.0)
    known.learn_day(rows(999.0), T0 + HALF_LIFE)  # weighs as much as the two before
    assert known.amount == pytest.approx(math.sqrt(math.sqrt(1_000.0) * 1_000.0) - 1.0)


REFUND = Order(
    event_id="r", customer_id="c", occurred_at=from_micros(T0 + DAY_US), action=OrderAction.REFUNDED, amount=30.0
)
CANCELLATION = Complaint(
    event_id="x", customer_id="c", occurred_at=from_micros(T0 + DAY_US), form=ComplaintForm.CANCELLATION, amount=-30.0
)


@pytest.mark.parametrize("back", [REFUND, CANCELLATION], ids=["refund", "cancellation"])
@pytest.mark.parametrize(("planned", "left"), [(True, 70.0), (False, 100.0)])
def test_money_that_is_given_back_counts_only_if_calls_are_planned(back: Event, planned: bool, left: float) -> None:
    partition = PartitionProcessor(PLANNED if planned else SHOP)
    for event in (order("c", T0, amount=100.0), back):
        partition.apply(event, event.at)
    assert partition.customers["c"].vector[SLOT["money"]] == left


def test_the_other_steps_of_an_order_or_complaint_give_nothing_back() -> None:
    partition = PartitionProcessor(PLANNED)
    partition.apply(order("c", T0, amount=100.0), T0)
    others: list[Event] = [
        msgspec.structs.replace(REFUND, event_id=action.value, action=action)
        for action in OrderAction
        if action not in (OrderAction.REFUNDED, OrderAction.RETURNED, OrderAction.CANCELLED, OrderAction.PAID)
    ]
    others += [
        msgspec.structs.replace(CANCELLATION, event_id=form.value, form=form)
        for form in ComplaintForm
        if form is not ComplaintForm.CANCELLATION
    ]
    for event in others:
        partition.apply(event, event.at)
    assert partition.customers["c"].vector[SLOT["money"]] == 100.0
