"""Money net of returns: what is taken back, and from which order."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import Browsing, Complaint, Event, Order
from stream_app.core.state.order_amounts import REMEMBERED, OrderAmounts

AT = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = count()


def step(action: str, amount: float | None = None, order_id: str | None = "o-1") -> Order:
    given: dict[str, Any] = {"event_id": str(next(NUMBERS)), "customer_id": "c", "occurred_at": AT}
    return Order(action=OrderAction(action), amount=amount, order_id=order_id, **given)


def cancellation(amount: float | None, order_id: str | None = None, **fields: Any) -> Complaint:
    given: dict[str, Any] = {"event_id": "q", "customer_id": "c", "occurred_at": AT, "form": ComplaintForm.CANCELLATION}
    return Complaint(amount=amount, order_id=order_id, **(given | fields))


def changes(*events: Event, paid: tuple[Order, ...] = (step("paid", 100.0),)) -> list[float]:
    amounts = OrderAmounts()
    assert [amounts.change(one, counts=True) for one in paid] == [one.amount for one in paid]
    return [amounts.change(one, counts=False) for one in events]


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ((step("refunded", 30.0),), [-30.0]),
        ((step("refunded", -30.0),), [-30.0]),
        ((step("returned", 30.0), step("refunded", 80.0)), [-30.0, -70.0]),
        ((step("returned"), step("refunded", 100.0)), [-100.0, 0.0]),
        ((step("cancelled"), step("cancelled")), [-100.0, 0.0]),
        ((step("cancelled", 50.0, order_id="never paid"),), [0.0]),
        ((step("refunded", 20.0, order_id=None),), [-20.0]),
        ((step("refunded", order_id=None),), [0.0]),
        ((step("shipped", 100.0), step("placed", 100.0)), [0.0, 0.0]),
    ],
    ids=["part", "signed", "at most the order", "whole order", "twice", "unpaid", "no id", "nothing", "other steps"],
)
def test_what_a_step_takes_back(events: tuple[Order, ...], wanted: list[float]) -> None:
    assert changes(*events) == wanted


def test_the_lines_of_an_order_are_taken_back_together() -> None:
    assert changes(step("returned"), paid=(step("paid", 60.0), step("paid", 5.0))) == [-65.0]


def test_only_the_latest_orders_are_remembered() -> None:
    paid = tuple(step("paid", 1.0, f"o-{place}") for place in range(REMEMBERED + 1))
    assert changes(step("returned", order_id="o-0"), step("returned", order_id="o-1"), paid=paid) == [0.0, -1.0]


@pytest.mark.parametrize(
    ("complaint", "wanted"),
    [
        (cancellation(-30.0), -30.0),
        (cancellation(30.0, "o-2"), -30.0),
        (cancellation(300.0, "o-1"), -100.0),
        (cancellation(None), 0.0),
        (cancellation(30.0, action=ComplaintAction.RESOLVED), 0.0),
        (cancellation(30.0, form=ComplaintForm.COMPLAINT), 0.0),
    ],
    ids=["signed", "unknown order", "at most the order", "nothing", "later step", "other form"],
)
def test_what_a_complaint_takes_back(complaint: Complaint, wanted: float) -> None:
    assert changes(complaint) == [wanted]


def test_a_cancellation_and_the_refund_of_its_order_count_once() -> None:
    assert changes(cancellation(100.0, "o-1"), step("refunded", 100.0)) == [-100.0, 0.0]


def test_other_events_change_nothing() -> None:
    assert changes(Browsing(event_id="b", customer_id="c", occurred_at=AT)) == [0.0]
