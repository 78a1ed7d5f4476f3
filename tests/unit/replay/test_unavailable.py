"""Times in which customers get no planned call, whatever was called before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.alerts.sla import COMPLAINT, SlaBreach, SlaBreachEnded
from stream_app.core.events.enumerations import ComplaintForm, ContactAction
from stream_app.core.events.schema import Complaint, Contact, Event
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, NOT_DUE, from_micros
from stream_app.replay.evaluation.evaluation import evaluate
from stream_app.replay.unavailable import OptOuts, unavailable
from tests.harness.invented_replay import START, results
from tests.harness.shops import T0

SHOP = Settings(lost_after=60 * DAY_US, rank_by="worth")  # a cooldown of 10 days


def opt_outs_of(*events: Event) -> list[tuple[str, int, int]]:
    found = OptOuts()
    for event in events:
        found.record(event, event.at, 90 * DAY_US)
    return [(name, (begin - T0) // DAY_US, (end - T0) // DAY_US) for name, begin, end in found.spans()]


def contact(day: int, action: ContactAction) -> Contact:
    at = from_micros(T0 + day * DAY_US)
    return Contact(event_id=f"c{day}", customer_id="c", occurred_at=at, action=action)


def test_an_opt_out_lasts_until_the_customer_agrees_again() -> None:
    out, agree = contact(3, ContactAction.OPTED_OUT), contact(7, ContactAction.OPTED_IN)
    assert opt_outs_of(out, agree, contact(8, ContactAction.SENT)) == [("c", 3, 7)]
    assert opt_outs_of(agree, contact(9, ContactAction.OPTED_OUT)) == [("c", 9, (NOT_DUE - T0) // DAY_US)]


def test_planned_calls_rest_after_an_unsubscribe() -> None:
    given = {"event_id": "u", "customer_id": "c", "occurred_at": from_micros(T0)}
    gone = Complaint(form=ComplaintForm.UNSUBSCRIBE, **given)  # type: ignore[arg-type]
    assert opt_outs_of(gone, Complaint(**given)) == [("c", 0, 90)]  # type: ignore[arg-type]


def test_a_complaint_in_the_hands_of_staff_ends_with_a_cooldown() -> None:
    def breach(name: str) -> SlaBreach:
        candidate = AlertCandidate(name, T0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)
        return SlaBreach(COMPLAINT, T0 + 7 * DAY_US, candidate, (T0, COMPLAINT))

    met, expired = breach("b"), breach("a")
    ended = [SlaBreachEnded(met.alert_id, "b", T0 + 2 * DAY_US)]
    spans = unavailable(["a", "b"], OptOuts(), [met, expired, breach("unknown")], ended, SHOP)
    assert [column.tolist() for column in spans] == [
        [1, 0],
        [T0, T0],
        [T0 + 12 * DAY_US, T0 + 17 * DAY_US],
        [True, True],
    ]


def test_after_a_complaint_nobody_calls_until_the_next_order_and_the_silence_is_not_compared() -> None:
    given = results(customers=50, days=400)
    orders = evaluate(given).orders
    row = int(np.flatnonzero(orders.silence > 60 * DAY_US)[0])
    who, begin = int(orders.customer[row]), int(orders.at[row]) + 5 * DAY_US
    spans = np.array([who]), np.array([begin]), np.array([begin + DAY_US])
    complaint = evaluate(replace(given, unavailable=(*spans, np.array([True]))))
    later = np.array([begin - 1, begin, begin + 2 * DAY_US, begin + 50 * DAY_US])
    assert complaint.is_available(np.full(4, who), later).tolist() == [True, False, False, False]
    assert np.flatnonzero(~complaint.compared).tolist() == [row]
    opt_out = evaluate(replace(given, unavailable=(*spans, np.array([False]))))
    assert opt_out.is_available(np.full(4, who), later).tolist() == [True, False, True, True]
    assert opt_out.compared.all()
    assert begin > START
