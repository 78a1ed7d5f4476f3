"""`stream-app explain`: what is known of a customer, in words and as JSON."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.cli import app, explain as module
from stream_app.core.alerts.staff_actions import WORK, AlertNote, WorkNote
from stream_app.core.customers.codec.states import encode_customers
from stream_app.core.events.schema import Event
from stream_app.core.model.snapshot import snapshot
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.progress import Summary
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from tests.fakes import MemoryServer, MemoryStateStore
from tests.harness.shops import T0, complaint, order, planning_model, trained_model

NOW = T0 + 60 * DAY_US


def stored(events: list[Event], *alerts: AlertNote) -> MemoryStateStore:
    """A store with the states after some events, as of NOW, and with open alerts."""
    processor = PartitionProcessor(Settings())
    for event in events:
        processor.apply(event, event.at)
        processor.finish(trained_model())
    processor.advance(NOW)
    processor.finish(trained_model())
    store = MemoryStateStore(MemoryServer())

    async def fill() -> None:
        await store.claim("w")
        customers = list(processor.customers.values())
        states = encode_customers(customers, processor.ranking)
        for customer, state in zip(customers, states, strict=True):
            number = partition_of(customer.name, 4)
            summary = Summary(stream_time=NOW, version=7, shops=processor.explainer.shops.known)
            notes = {one.alert_id: msgspec.json.encode(one) for one in alerts if one.customer_id == customer.name}
            notes |= {name + WORK: msgspec.json.encode(WorkNote("li")) for name in notes}
            summary_bytes = msgspec.json.encode(summary)
            await store.commit(Commit(number, b"", b"1", {customer.name: state}, summary_bytes, [], notes), "1", 0)

    asyncio.run(fill())
    return store


EVENTS: list[Event] = [
    *(order("c1", T0 + day * DAY_US, amount=100.0) for day in (0, 8, 17, 25)),
    complaint("c1", T0 + 50 * DAY_US),
]
ALERT = AlertNote(
    "al_abcdef01",
    "c1",
    EPOCH + (NOW - DAY_US) * MICROSECOND,
    EPOCH + (NOW + 13 * DAY_US) * MICROSECOND,
    3,
    0.8,
    100.0,
    40.0,
)


async def kept(number: int) -> bytes | None:
    """The only model version that is kept is the one in use."""
    return snapshot(planning_model()) if number == 7 else None


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command over a store."""

    def run(store: MemoryStateStore, *words: str) -> Result:
        stores = SimpleNamespace(states=store, models=SimpleNamespace(snapshot=kept))
        monkeypatch.setattr(module, "with_stores", lambda _, task: asyncio.run(task(stores)))
        return CliRunner().invoke(app, ["explain", *words], env={"LC_ALL": "C", "COLUMNS": "80"})

    return run


def test_it_tells_risk_causes_evidence_alert_and_measure(explain: Any) -> None:
    text = explain(stored(EVENTS, ALERT), "c1").stdout
    lines = text.splitlines()
    assert lines[0] == "Customer c1, as of 2024-03-01 00:00 (shop time)"
    entries = {line[2:18].strip(): line[20:] for line in lines[1:] if line[2:18].strip()}
    assert entries["last order"] == "35 days ago, on 2024-01-26"
    assert entries["usual gap"] == "8 days"
    assert entries["orders"] == "4"
    assert entries["open complaints"] == "open for 10 days"
    assert entries["open alerts"].startswith("al_abcdef01: rank 3, expires 2024-03-14 00:00, assigned to li")
    assert entries["stored in"] == f"partition {partition_of('c1', 4)}, model version 7 in use"
    assert "%" in entries["churn risk"]
    assert "1. " in text
    assert "per month" in entries["worth"]


def test_it_speaks_chinese(explain: Any) -> None:
    text = explain(stored(EVENTS, ALERT), "c1", "--lang", "zh").stdout
    assert text.startswith("客户 c1，截至 2024-03-01 00:00（店铺时间）")
    assert "35 天前（2024-01-26）" in text
    assert "未解决的投诉" in text


def test_json_has_the_same_content(explain: Any) -> None:
    found = json.loads(explain(stored(EVENTS, ALERT), "c1", "--json").stdout)
    assert (found["orders"], found["last_order_days"], found["model_version"]) == (4, 35.0, 7)
    assert found["risk_band"] in {"low", "medium", "high", "very_high"}
    assert [one["alert_id"] for one in found["alerts"]] == ["al_abcdef01"]
    assert found["open_complaint_days"] == [10.0]
    assert found["steps"]
    assert sum(one["percent"] for one in found["causes"]) <= 101


def test_a_customer_without_an_order_has_no_score(explain: Any) -> None:
    store = stored([complaint("c2", T0 + 50 * DAY_US)])
    text = explain(store, "c2").stdout
    assert "no order within 180d" in text
    assert "nan" not in text
    found = json.loads(explain(store, "c2", "--json").stdout)
    assert (found["probability"], found["risk_band"], found["usual_gap_days"]) == (None, None, None)


def test_an_unknown_customer_exits_with_1_and_names_the_partition(explain: Any) -> None:
    done = explain(stored(EVENTS), "c9")
    assert done.exit_code == 1
    assert f"No state for customer c9 (expected in partition {partition_of('c9', 4)})." in done.stderr


HALF = ("--set", "shop.margin=0.5")
BY_RISK = ("--set", "shop.rank_by=risk")


@pytest.mark.parametrize(
    ("lang", "label", "value", "order_label", "order"),
    [
        (
            "en",
            "expected",
            "within 60 days",
            "next order",
            r"(between .* and .*|not before .*, if at all) \(80% sure\)",
        ),
        ("zh", "预期价值", "60 天内", "下一单", r"(.* 至 .* 之间|不早于 .*，也可能不再下单)（把握 80%）"),
    ],
)
def test_it_predicts_value_and_next_order_if_calls_are_planned(
    explain: Any, lang: str, label: str, value: str, order_label: str, order: str
) -> None:
    lines = explain(stored(EVENTS), "c1", "--lang", lang, *HALF).stdout.splitlines()
    (expected,) = [line for line in lines if line.strip().startswith(label)]
    (when,) = [line for line in lines if line.strip().startswith(order_label)]
    assert value in expected
    assert re.search(order, when)
    by_risk = explain(stored(EVENTS), "c1", "--lang", lang, *BY_RISK).stdout.splitlines()
    assert not [line for line in by_risk if value in line]


def test_json_has_the_predictions_only_if_calls_are_planned(explain: Any) -> None:
    whole, half, by_risk = (
        json.loads(explain(stored(EVENTS), "c1", "--json", *more).stdout) for more in ((), HALF, BY_RISK)
    )
    assert half["expected_value"] == pytest.approx(whole["expected_value"] / 2, abs=0.01)
    assert whole["as_of"] <= whole["next_order_from"]
    assert whole["next_order_to"] is None or whole["next_order_from"] <= whole["next_order_to"]
    assert "expected_value" not in by_risk
