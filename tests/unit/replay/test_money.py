"""Money of a replay: the same as that of the states, in columns."""

from __future__ import annotations

import io
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest

from stream_app.core.events.enumerations import OrderAction
from stream_app.core.events.schema import Order, decode
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.state.vector import SLOT
from stream_app.core.units import DAY_US
from stream_app.replay.money import Money
from stream_app.replay.runner import Replay
from stream_app.simulate import ShopSettings, write_log

AT = datetime(2026, 1, 1, tzinfo=UTC)


def step(action: str, amount: float | None = None, customer: str = "c", **fields: Any) -> Order:
    given: dict[str, Any] = {"event_id": f"{action}-{amount}", "occurred_at": AT, "order_id": "o-1"}
    return Order(action=OrderAction(action), amount=amount, customer_id=customer, **(given | fields))


def test_orders_and_refunds_keep_their_order_amount_and_currency() -> None:
    money = Money({"c": 3, "d": 4}.__getitem__)
    money.record(step("paid", 5.0, currency="GBP"), 7, counts=True)
    money.record(step("paid", None, "d"), 8, counts=True)
    money.record(step("refunded", 2.0), 9, counts=False)
    assert [column.tolist() for column in money.orders()] == [[3, 4], [7, 8], [5.0, 0.0]]
    assert [column.tolist() for column in money.refunds()] == [[3], [9], [-2.0]]
    assert money.currencies == {"GBP": 1}
    assert len(money) == 2


def test_a_repeated_event_takes_nothing_back() -> None:
    money = Money({"c": 0}.__getitem__)
    money.record(step("paid", 50.0), 7, counts=True)
    for at in (8, 9):
        money.record(step("refunded", 20.0), at, counts=False)
    assert money.refunds()[2].tolist() == [-20.0]


@pytest.mark.parametrize("rank_by", ["worth", "risk"])
def test_the_state_has_the_money_of_the_report_if_calls_are_planned(rank_by: str) -> None:
    log = io.BytesIO()
    write_log(ShopSettings(customers=80, days=200), 3, log)
    events = [event for line in log.getvalue().splitlines() if not isinstance(event := decode(line), tuple)]
    replay = Replay(Settings(rank_by=rank_by, horizon=30 * DAY_US))
    outcome = replay.run([events])  # type: ignore[list-item]
    net = defaultdict[int, float](float)
    customers, _, amounts, is_order = outcome.money.changes()
    assert 0.01 < -amounts[~is_order].sum() / amounts[is_order].sum() < 0.5
    for customer, amount, order in zip(customers.tolist(), amounts.tolist(), is_order.tolist(), strict=True):
        net[customer] += amount if order or rank_by == "worth" else 0.0
    names = outcome.columns.decisions().customers
    states = replay.partitions[0].customers
    assert len(net) > 50
    for customer, amount in net.items():
        assert states[names[customer]].vector[SLOT["money"]] == pytest.approx(amount)


def test_money_is_gross_again_after_a_change_to_ranking_by_risk() -> None:
    processor = PartitionProcessor(Settings(rank_by="worth"))
    steps = [step("paid", 50.0, order_id="o", event_id="1"), step("returned", order_id="o", event_id="2")]
    processor.apply(steps[0], steps[0].at)
    customer = processor.customers["c"]
    assert customer.amounts is not None
    processor.use(Settings(rank_by="risk"))
    processor.apply(steps[1], steps[1].at)
    assert customer.vector[SLOT["money"]] == 50.0
