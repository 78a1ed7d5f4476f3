"""What `stream-app state show` says about a customer."""

from __future__ import annotations

import math

from stream_app.cli.state import StoredCustomer, _content
from stream_app.core.customers.customer import Customer
from stream_app.core.partition.progress import Summary
from tests.harness.shops import T0


def test_it_says_since_when_a_customer_does_not_want_to_be_contacted() -> None:
    found = [
        _content(StoredCustomer(Customer("c", 0, consent=consent), 0, 9, math.nan, Summary()))["opted_out_at"]
        for consent in (T0, -T0, 0)
    ]
    assert found == ["2024-01-01T00:00:00+00:00", None, None]
