"""Spellings of enumeration values: known ones are read, unknown ones are kept and counted."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, OrderAction, Page
from stream_app.core.events.schema import KINDS, Event, Rejected, decode, encode
from stream_app.core.events.spellings import SPELLINGS, letters_of, word_of
from stream_app.core.messages.schema import AlertStep
from stream_app.core.messages.unknown_words import MAX_WORDS, MORE, UNREADABLE, UnknownValues
from stream_app.core.model.labels import counts_as_order
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.errors import NoOrders
from stream_app.ingest import LogFormat
from stream_app.replay.request import Request, Watcher
from stream_app.replay.session import replay_log
from stream_app.services.worker.worker_metrics import WorkerMonitor
from tests.harness.in_memory import TOPICS
from tests.harness.shops import SHOP, T0, browsing, order
from tests.unit.core.partition.test_task import fetch, steps_of, task_with

ENUMERATIONS: dict[str, Any] = {
    field.type.__name__: field.type
    for kind in (*KINDS.values(), AlertStep)
    for field in msgspec.structs.fields(kind)
    if isinstance(field.type, enum.EnumType)
}


def event_of(kind: str, **fields: Any) -> Any:
    head = {"type": kind, "event_id": "1", "customer_id": "c", "occurred_at": "2026-01-01T00:00:00Z"}
    event = decode(json.dumps(head | fields))
    assert not isinstance(event, Rejected), event
    return event


@pytest.mark.parametrize("word", ["PAID", "Paid ", "p-a-i-d", "已付款", "支付成功", "payment_success", "ＰＡＩＤ"])
def test_a_paid_order_counts_in_any_spelling(word: str) -> None:
    event = event_of("order", action=word)
    assert event.action is OrderAction.PAID
    assert counts_as_order(event, Settings())
    assert json.loads(encode(event))["action"] == "paid"


@pytest.mark.parametrize(
    ("kind", "field", "word", "meant"),
    [
        ("order", "action", "Canceled", OrderAction.CANCELLED),
        ("order", "action", "WAIT_BUYER_PAY", OrderAction.PLACED),
        ("order", "action", "已签收", OrderAction.DELIVERED),
        ("cart", "action", "addToCart", CartAction.ADD),
        ("cart", "action", "favorite", CartAction.FAVOURITE),
        ("cart", "action", "加入购物车", CartAction.ADD),
        ("complaint", "action", "CLOSED", ComplaintAction.RESOLVED),
        ("complaint", "form", "差评", ComplaintForm.LOW_REVIEW),
    ],
)
def test_known_spellings_are_read(kind: str, field: str, word: str, meant: object) -> None:
    assert getattr(event_of(kind, **{field: word}), field) is meant


@pytest.mark.parametrize("word", ["SENT", "Sent", "发送成功"])
def test_a_message_to_a_customer_counts_in_any_spelling(word: str) -> None:
    task = task_with(orders=[encode(order("c", T0))])
    steps_of(task)
    fetch(task, contacts=[contact_of(word)])
    steps_of(task)
    assert task.processor.customers["c"].is_duplicate("sent-1")


def test_an_unknown_word_of_a_contact_is_counted() -> None:
    task = task_with(orders=[encode(order("c", T0))])
    steps_of(task)
    fetch(task, contacts=[contact_of("teleported")])
    counts = sum((step.unknown_words for step in steps_of(task)), Counter())
    assert counts == {("contact.action", "teleported"): 1}


def contact_of(action: str) -> bytes:
    at = (EPOCH + (T0 + 1) * MICROSECOND).isoformat()
    head = {"type": "contact", "event_id": "sent-1", "customer_id": "c", "occurred_at": at}
    return json.dumps(head | {"action": action}).encode()


@pytest.mark.parametrize("word", ["completed", "success", "TRADE_FINISHED", "closed", "pending", "已完成", "待发货"])
def test_a_word_that_means_different_things_in_different_systems_is_not_guessed(word: str) -> None:
    assert word_of("OrderAction", word) is None


def test_the_table_names_every_enumeration_and_gives_each_spelling_one_meaning() -> None:
    assert SPELLINGS.keys() == ENUMERATIONS.keys()
    for name, words in SPELLINGS.items():
        assert {*words, "other"} == set(ENUMERATIONS[name])
        spelled = [letters_of(one) for word, others in words.items() for one in (word, *others)]
        assert sorted(spelled) == sorted(set(spelled))
        assert all(spelled)


@pytest.mark.parametrize("word", ["completed", "teleported", "", "x" * 1_000])
def test_an_unknown_word_counts_as_other_and_is_encoded_unchanged(word: str) -> None:
    event = event_of("order", action=word)
    assert (event.action.name, event.action.is_unknown) == ("OTHER", True)
    assert json.loads(encode(event))["action"] == word
    assert decode(encode(event)) == event


@pytest.mark.parametrize("word", ["other", "OTHER", "其他"])
def test_other_is_not_an_unknown_word(word: str) -> None:
    assert not event_of("order", action=word).action.is_unknown


def test_unknown_words_are_counted_by_field_and_word() -> None:
    words = UnknownValues()
    for event in (
        event_of("order", action="completed"),
        event_of("order", action="completed"),
        event_of("order", action="paid"),
        event_of("cart", action="nudged"),
        event_of("browsing", page="landing"),
        event_of("complaint", action="assigned", form="shouting"),
    ):
        words.record(event)
    assert words.by_field == {
        "browsing.page": {"landing": 1},
        "cart.action": {"nudged": 1},
        "complaint.action": {"assigned": 1},
        "complaint.form": {"shouting": 1},
        "order.action": {"completed": 2},
    }


def test_counts_of_unknown_words_are_bounded_and_hold_no_personal_data() -> None:
    words = UnknownValues()
    for number in range(1_000):
        words.add("order.action", f"word {chr(0x4E00 + number)}")
    for odd in ("li@example.com", "+86 138 0013 8000", "x" * 41, "", "\x00"):
        words.add("cart.action", odd)
    assert len(words.by_field["order.action"]) == MAX_WORDS + 1
    assert words.by_field["order.action"][MORE] == 1_000 - MAX_WORDS
    assert words.by_field["cart.action"] == {MORE: 5}
    fresh = UnknownValues()
    fresh.add("cart.action", "li@example.com")
    assert fresh.by_field == {"cart.action": {UNREADABLE: 1}}


def test_a_worker_counts_unknown_words_by_field_and_word_and_logs_each_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = WorkerMonitor(CollectorRegistry())
    for batch in range(2):
        events: list[Event] = [
            order("c", T0 + batch, action=OrderAction("completed")),
            order("c", T0 + 10 + batch, action=OrderAction("PAID")),
            browsing("c", T0 + 20 + batch, page=Page("landing")),
        ]
        for step in steps_of(task_with(orders=encoded(events))):
            watch.stepped(PartitionTask(0, TOPICS, SHOP, Limits()), step)
    counted = {
        (sample.labels["field"], sample.labels["value"]): sample.value
        for sample in next(iter(watch.worker.unknown_values.collect())).samples
        if sample.name.endswith("_total")
    }
    assert counted == {("order.action", "completed"): 2, ("browsing.page", "landing"): 2}
    logged = [(vars(record)["field"], vars(record)["value"]) for record in caplog.records]
    assert sorted(logged) == [("browsing.page", "landing"), ("order.action", "completed")]


def test_a_summary_and_a_replay_without_orders_name_unknown_words(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    days: list[Event] = [
        order("c", T0 + day * DAY_US, f"e{day}", action=OrderAction("completed")) for day in range(100)
    ]
    log.write_bytes(b"\n".join(encoded(days[::-1])))  # out of order: sorting must not lose the words
    request = Request((str(log),), LogFormat("jsonl"), Settings(), tmp_path / "out")
    with pytest.raises(NoOrders, match=r"Unknown values of order\.action: completed \(100\)"):
        replay_log(request, Watcher())


def encoded(events: Iterable[Event]) -> list[bytes]:
    return [encode(event) for event in events]
