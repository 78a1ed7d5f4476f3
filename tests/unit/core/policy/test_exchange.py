"""Orders in other currencies count by the fixed rates of the policy."""

from __future__ import annotations

import pytest

from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.policy.exchange import in_shop_currency
from stream_app.core.policy.policy import Currency, Policy
from stream_app.core.state.vector import MONEY
from stream_app.replay.runner import Replay
from tests.harness.shops import SHOP, T0, browsing, order

SHOP_CNY = SHOP.with_policy(Policy(currency=Currency("CNY", {"USD": 7.0})))


@pytest.mark.parametrize(("currency", "amount"), [("USD", 70.0), ("CNY", 10.0), ("EUR", 10.0), (None, 10.0)])
def test_an_amount_is_converted_if_its_currency_has_a_rate(currency: str | None, amount: float) -> None:
    bought = order("c", T0, amount=10.0, discount=1.0, currency=currency)
    partition = PartitionProcessor(SHOP_CNY)
    partition.apply(bought, T0)
    assert partition.customers["c"].vector[MONEY] == amount
    assert Replay(SHOP_CNY).run([[bought]]).money.orders()[2].tolist() == [amount]
    plain = PartitionProcessor(SHOP)
    plain.apply(bought, T0)
    assert plain.customers["c"].vector[MONEY] == 10.0


def test_only_amounts_change() -> None:
    bought, seen = order("c", T0, discount=2.0, currency="USD"), browsing("c", T0)
    converted = in_shop_currency(bought, Currency("CNY", {"USD": 7.0}))
    assert (converted.amount, converted.discount) == (None, 14.0)
    assert converted.event_id == bought.event_id
    assert in_shop_currency(seen, Currency("CNY", {"USD": 7.0})) is seen
    assert in_shop_currency(order("c", T0, amount=1e12, currency="USD"), Currency("CNY", {"USD": 7.0})).amount == 1e12
