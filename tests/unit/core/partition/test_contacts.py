"""What the shop's tools say on the contacts topic, and that nothing there can speak for the system."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stream_app.core.alerts.contact_history import NO_HISTORY
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.customers.consent import has_opted_out
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Event, encode
from stream_app.core.kpis.event_counts import PLACE
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outgoing import unpack
from stream_app.core.messages.schema import AlertAction, AlertStep, AllocationDone, encode_message
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.policy import Contacts, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from tests.harness.in_memory import TOPICS, tick
from tests.harness.shops import PLANNED, SHOP, T0, contact, order, planning_model
from tests.unit.core.partition.test_task import fetch, opening_of, sent, steps_of, task_with

MOMENT = T0 + DAY_US


def contact_with(**fields: Any) -> bytes:
    return json.dumps(json.loads(encode(contact("c", MOMENT))) | fields).encode()


def staff_action() -> bytes:
    at = EPOCH + MOMENT * MICROSECOND
    return encode_message(AlertStep("w1", "c", at, AlertAction.ACKED, "li", alert_id="al_c"))


# --- nothing on the contacts topic speaks for the system -------------------------------------------------------------

DONE = encode_message(AllocationDone(EPOCH + MOMENT * MICROSECOND, 10**9))
FOREIGN = [
    (contact_with(sequence=10**9), "sequence", "leave it out"),
    (contact_with(sequence=10**9, action="episode_opened", opening={}), "action", "stream-app alerts"),
    (contact_with(opening={"alert_id": "al_x"}), "opening", "leave it out"),
    (contact_with(action="episode_acked", alert_id="al_c", staff="eve"), "action", "stream-app alerts"),
    (contact_with(action="Alert Resolved", alert_id="al_c"), "action", "stream-app alerts"),
    (opening_of("c", MOMENT, 10**9), "type", ""),
    (opening_of("c", MOMENT, 10**9).replace(b'"alert_step"', b'"contact"'), "action", "stream-app alerts"),
    (contact_with().replace(b"}", rb',"opening":"\ud800"}'), "", ""),
    (contact_with().replace(b"}", b',"opening":' + b"[" * 5_000 + b"]" * 5_000 + b"}"), "", ""),
    (contact_with().replace(b"}", b',"sequence":' + b"9" * 5_000 + b"}"), "sequence", ""),
    (staff_action(), "type", ""),
    (DONE, "type", ""),
    (tick(MOMENT, nominates=True, waits=True), "type", ""),
    (encode(order("c", MOMENT)), "type", "the topic of their kind"),
]


@pytest.mark.parametrize(("value", "field", "remedy"), FOREIGN)
def test_what_only_the_system_may_say_is_a_dead_letter(value: bytes, field: str, remedy: str) -> None:
    task = task_with(orders=[encode(order("c", T0))], ticks=[tick(MOMENT)])
    steps_of(task)
    fetch(task, contacts=[value], control=[opening_of("c", MOMENT, 1)], orders=[encode(order("d", MOMENT + 1))])
    steps = steps_of(task)
    (message,) = sent(steps, "dead_letters")
    headers = dict(message.headers)
    assert headers["kafka_dlt-exception-field"] == field.encode()
    assert remedy in (headers["kafka_dlt-exception-message"] or b"").decode()
    # The allocator is still heard, nobody has taken the alert, and events are still applied.
    assert task.summary.allocator_sequence == 1
    alert = task.processor.customers["c"].alert
    assert alert is not None
    assert (alert.owner, task.hold, "d" in task.processor.customers) == ("", None, True)


@pytest.mark.parametrize("value", [tick(MOMENT, waits=True, nominates=True), encode(contact("c", MOMENT))])
def test_the_control_topic_has_control_messages_only(value: bytes) -> None:
    task = task_with(control=[value])
    assert len(sent(steps_of(task), "dead_letters")) == 1
    assert task.hold is None


@pytest.mark.parametrize("value", [opening_of("c", MOMENT, 1), DONE, encode(contact("c", MOMENT))])
def test_the_topic_of_the_ticks_has_ticks_only(value: bytes) -> None:
    task = task_with(orders=[encode(order("c", T0))], ticks=[value])
    assert len(sent(steps_of(task), "dead_letters")) == 1
    assert task.summary.allocator_sequence == 0


def test_unknown_fields_of_a_contact_are_ignored_like_those_of_every_event() -> None:
    task = task_with(orders=[encode(order("c", T0))], contacts=[contact_with(mood="good", opening=None)])
    assert sent(steps_of(task), "dead_letters") == []


# --- consent ---------------------------------------------------------------------------------------------------------


def planning_task(*contacts: bytes, shop: Settings = PLANNED) -> PartitionTask:
    """A task whose customers c and d could be called at MONDAY, after some contacts."""
    task = PartitionTask(0, TOPICS, shop, Limits())
    task.begin(b"", b"")
    fetch(task, orders=[encode(order(name, T0, amount=9.0)) for name in "cd"], contacts=contacts)
    return task


MONDAY = T0 + 7 * DAY_US + 12 * 3_600_000_000


def called(task: PartitionTask) -> tuple[list[str], Counter[str]]:
    """The candidates of a task at MONDAY, and how many customers were left out, by reason."""
    fetch(task, ticks=[tick(MONDAY, nominates=True)])
    model = planning_model()
    steps = list(iter(lambda: task.step(model), None))
    (batch,) = [unpack(one.payload, CandidateBatch) for one in sent(steps, "nominations")]
    return sorted(one.customer for one in batch.candidates), sum((one.suppressed for one in steps), Counter())


def test_who_opted_out_is_not_called_and_is_counted() -> None:
    assert called(planning_task())[0] == ["c", "d"]
    found, suppressed = called(planning_task(encode(contact("c", MOMENT, "opted_out"))))
    assert (found, suppressed["opted_out"]) == (["d"], 1)


def test_who_opted_in_again_is_called_in_whatever_order_both_arrive() -> None:
    answers = [encode(contact("c", MOMENT + at, one)) for at, one in ((0, "opted_out"), (5, "opted_in"))]
    for contacts in (answers, answers[::-1]):
        assert called(planning_task(*contacts))[0] == ["c", "d"]


COUNTING = PLANNED.with_policy(Policy(contacts=Contacts(count_shop_messages=True)))


@pytest.mark.parametrize(
    ("message", "shop", "limited"),
    [
        (contact("c", MONDAY - 6 * DAY_US), COUNTING, True),
        (contact("c", MONDAY - 6 * DAY_US), PLANNED, False),
        (contact("c", MONDAY - 7 * DAY_US), COUNTING, False),
        (contact("c", MONDAY - DAY_US, "delivered"), COUNTING, False),
        (replace(contact("c", MONDAY - DAY_US), alert_id="al_1"), COUNTING, False),  # the alert counts already
    ],
)
def test_messages_of_the_shops_tools_limit_calls_if_the_policy_says_so(
    message: Event, shop: Settings, limited: bool
) -> None:
    found, suppressed = called(planning_task(encode(message), shop=shop))
    assert (found, suppressed["contact_limit"]) == ((["d"], 1) if limited else (["c", "d"], 0))


def test_messages_are_stored_with_the_customer() -> None:
    customer = Customer("c", 0, history=NO_HISTORY.after_message(T0))
    (packed,) = encode_customers([customer], task_with().processor.ranking)
    (restored,) = decode_customers([("c", packed)], SHOP.horizon).customers
    assert restored.history == customer.history


BY_RISK = msgspec.structs.replace(SHOP, alert_above=0.0, agreement=0)


def test_who_opted_out_gets_no_alert_by_risk_and_is_counted() -> None:
    assert called(planning_task(shop=BY_RISK)) == (["c", "d"], Counter())
    out, back = encode(contact("c", MOMENT, "opted_out")), encode(contact("c", MOMENT + 5, "opted_in"))
    assert called(planning_task(out, shop=BY_RISK)) == (["d"], Counter(opted_out=1))
    assert called(planning_task(out, back, shop=BY_RISK)) == (["c", "d"], Counter())


def test_the_next_customer_by_risk_gets_the_place_of_one_who_opted_out() -> None:
    shop = msgspec.structs.replace(BY_RISK, capacity=1)
    (first,), _ = called(planning_task(shop=shop))
    out = encode(contact(first, MOMENT, "opted_out"))
    ((following,), suppressed) = called(planning_task(out, shop=shop))
    assert (following != first, suppressed) == (True, Counter(opted_out=1))


def test_who_opted_out_is_not_counted_on_days_without_alerts() -> None:
    sale = Campaign("sale", EPOCH.date(), EPOCH.date().replace(year=2100), lull_days=0)
    out = encode(contact("c", MOMENT, "opted_out"))
    shop = msgspec.structs.replace(BY_RISK, campaigns=(sale,))
    assert called(planning_task(out, shop=shop)) == ([], Counter(campaign=1))


def test_who_opts_out_before_their_first_order_is_remembered() -> None:
    task = task_with(contacts=[encode(contact("c", T0, "opted_out")), encode(contact("d", T0))])
    steps = steps_of(task)
    assert set(task.processor.customers) == {"c"}  # a message to somebody unknown is no reason to remember them
    again = PartitionTask(0, TOPICS, SHOP, Limits())
    again.restore(list(steps[-1].commit.states.items()))
    again.begin(steps[-1].commit.position, steps[-1].commit.summary)
    fetch(again, orders=[encode(order("c", MOMENT))])
    steps_of(again)
    assert has_opted_out(again.processor.customers["c"].consent)


@pytest.mark.parametrize("consent", [T0, -T0, 0])
def test_consent_is_stored_with_the_customer(consent: int) -> None:
    customer = Customer("c", 0, consent=consent)
    (packed,) = encode_customers([customer], task_with().processor.ranking)
    (restored,) = decode_customers([("c", packed)], SHOP.horizon).customers
    assert restored.consent == consent


# --- counts ----------------------------------------------------------------------------------------------------------


def test_contacts_of_known_customers_are_counted_once_by_action() -> None:
    contacts = [
        *[encode(contact("c", MOMENT, event_id="m1")) for _ in range(2)],
        encode(contact("c", MOMENT, "opened")),
        contact_with(event_id="m3", action="teleported"),
        encode(contact("nobody", MOMENT)),
    ]
    task = task_with(orders=[encode(order("c", T0))], contacts=contacts)
    (step,) = steps_of(task)
    assert step.events["contacts"] == 5
    row = step.event_counts["default"]
    counts = {kind: row[place] for (what, kind), place in PLACE.items() if what == "contacts" and row[place]}
    assert counts == {"sent": 1, "opened": 1, "other": 1}
    assert step.unknown_words == {("contact.action", "teleported"): 1}
