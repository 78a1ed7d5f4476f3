"""Orders and refunds of a replay: what counts as taken back, and from which order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stream_app.core.events.enumerations import OrderAction
from stream_app.core.events.schema import Complaint, Event, Order
from stream_app.replay.money import Money

AT = datetime(2026, 1, 1, tzinfo=UTC)


def step(action: str, amount: float | None = None, order_id: str | None = "o-1", **fields: Any) -> Order:
    given: dict[str, Any] = {"event_id": f"{action}-{order_id}-{amount}", "customer_id": "c", "occurred_at": AT}
    return Order(action=OrderAction(action), amount=amount, order_id=order_id, **(given | fields))


def refunds_of(*events: Event, paid: tuple[Order, ...] = (step("paid", 100.0),)) -> list[float]:
    money = Money()
    for at, order in enumerate(paid):
        money.add_order(0, at, order)
    for at, event in enumerate(events, start=10):
        if money.takes_back(event):
            money.add_refund(0, at, event)
    return money.refunds()[2].tolist()


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ((step("refunded", 30.0),), [-30.0]),
        ((step("refunded", -30.0),), [-30.0]),
        ((step("returned", 30.0), step("refunded", 80.0)), [-30.0, -70.0]),
        ((step("returned"), step("refunded", 100.0)), [-100.0]),
        ((step("cancelled"), step("cancelled", event_id="2")), [-100.0]),
        ((step("refunded", 30.0), step("refunded", 30.0)), [-30.0]),
        ((step("cancelled", 50.0, order_id="never paid"),), []),
        ((step("refunded", 20.0, order_id=None),), [-20.0]),
        ((step("refunded", order_id=None),), []),
        ((step("shipped", 100.0),), []),
    ],
    ids=["part", "signed", "at most the order", "whole order", "twice", "repeated", "unpaid", "no id", "nothing", "no"],
)
def test_what_is_taken_back(events: tuple[Order, ...], wanted: list[float]) -> None:
    assert refunds_of(*events) == wanted


def test_a_complaint_without_an_amount_takes_nothing_back() -> None:
    complaint = Complaint(event_id="q", customer_id="c", occurred_at=AT)
    assert refunds_of(complaint) == []


def test_orders_keep_their_order_amount_and_currency() -> None:
    money = Money()
    money.add_order(3, 7, step("paid", 5.0, currency="GBP"))
    money.add_order(4, 8, step("paid", None))
    customer, at, amount = money.orders()
    assert (customer.tolist(), at.tolist(), amount.tolist()) == ([3, 4], [7, 8], [5.0, 0.0])
    assert money.currencies == {"GBP": 1}
    assert len(money) == 2
