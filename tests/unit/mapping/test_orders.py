"""Lines of one invoice become one event, also if the invoice takes goods back."""

from __future__ import annotations

from stream_app.core.events.enumerations import ComplaintForm
from stream_app.core.events.schema import Complaint
from stream_app.core.units import EPOCH
from stream_app.mapping.orders import OrderLines


def line(amount: float | None) -> Complaint:
    return Complaint(event_id="C1", customer_id="c", occurred_at=EPOCH, form=ComplaintForm.CANCELLATION, amount=amount)


def test_the_amounts_of_a_cancellation_are_summed() -> None:
    lines = OrderLines(line(None))
    for amount in (-3.0, -4.5):
        lines.add(line(amount))
    found = lines.event()
    assert isinstance(found, Complaint)
    assert found.amount == -7.5
