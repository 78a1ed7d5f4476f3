"""Impossible values and foreign bytes are rejected by field, without other effects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.alerts.sla import UNANSWERED, breach_of
from stream_app.core.allocation.allocator import Allocator
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.events.schema import KINDS, Rejected, decode, encode
from stream_app.core.messages.alerts import AlertClosed, AlertOpened, decode_alert
from stream_app.core.messages.batches import (
    CandidateBatch,
    LabelledBatch,
    LabelledExample,
    decode_candidates,
    decode_labelled,
)
from stream_app.core.messages.dead_letters import DeadLetter
from stream_app.core.messages.decoding import decode_record, read_internal
from stream_app.core.messages.outgoing import pack, sequence_of
from stream_app.core.messages.schema import (
    AlertAction,
    AlertOpening,
    AlertStep,
    AllocationDone,
    CandidateRecord,
    Tick,
    decode_control,
    decode_tick,
    encode_message,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.experts.recursive import Span
from stream_app.core.model.features import NAMES
from stream_app.core.model.nowcast import Nowcast
from stream_app.core.partition.alert_records import record_of_candidate, urgent_alert
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.ingest import LogFormat, open_log
from tests.harness.in_memory import APPENDED_MS, TOPICS, Record
from tests.harness.shops import SHOP, T0, order

DAY_US = 86_400_000_000
SKEW = Limits().skew
NUMBERED = [("sequence", b"1")]


def event(kind: str = "order", **fields: Any) -> bytes:
    head = {"type": kind, "event_id": "e", "customer_id": "c", "occurred_at": "2024-05-01T00:00:00Z"}
    return json.dumps(head | fields).encode()


# --- events: one validation for a replay and the live services -------------------------------------------------------


REJECTED: list[tuple[str, dict[str, Any], str]] = [
    ("order", {"amount": 1e308}, "amount"),
    ("order", {"amount": -1e13}, "amount"),
    ("order", {"discount": 1e300}, "discount"),
    ("order", {"items": 10**30}, "items"),
    ("order", {"promised_at": "1970-01-01T00:00:00Z"}, "promised_at"),
    ("order", {"promised_at": "0001-01-01T00:00:00+14:00"}, "promised_at"),
    ("order", {"delivered_at": "9999-12-31T23:59:59-14:00"}, "delivered_at"),
    ("order", {"carrier": "x" * 8_193}, "carrier"),
    ("cart", {"price": 1e13}, "price"),
    ("cart", {"quantity": -1e308}, "quantity"),
    ("browsing", {"dwell_seconds": 1e308}, "dwell_seconds"),
    ("browsing", {"load_seconds": -1e10}, "load_seconds"),
    ("browsing", {"search_results": 1 << 62}, "search_results"),
    ("browsing", {"price": 2e12}, "price"),
    ("complaint", {"rating": 1e9}, "rating"),
    ("complaint", {"text": "x" * 100_001}, "text"),
    ("complaint", {"category": "x" * 8_193}, "category"),
    ("cart", {"customer_id": "   "}, "customer_id"),
    ("order", {"customer_id": "\t\n"}, "customer_id"),
    ("order", {"event_id": " "}, "event_id"),
    ("browsing", {"shop_id": "\u3000"}, "shop_id"),
    ("order", {"occurred_at": "1970-01-01T00:00:00Z"}, "occurred_at"),
    ("complaint", {"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
    ("order", {"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at"),
]


@pytest.mark.parametrize(("kind", "fields", "field"), REJECTED)
def test_impossible_values_are_rejected_live_and_in_a_replay_for_the_same_field(
    kind: str, fields: dict[str, Any], field: str, tmp_path: Path
) -> None:
    line = event(kind, **fields)
    (dead,), _ = decode_record("orders", [Record(0, APPENDED_MS, None, line)], SKEW)
    assert isinstance(dead, DeadLetter)
    assert dead.rejected.field == field
    assert len(dead.rejected.reason) > 10
    (tmp_path / "log").write_bytes(event(event_id="good") + b"\n" + line + b"\n")
    not_after = datetime(2100, 1, 1, tzinfo=UTC)
    with open_log([tmp_path / "log"], LogFormat("jsonl"), tmp_path, not_after=not_after) as log:
        log.scan()
        assert [one.event_id for batch in log.batches() for one in batch] == ["good"]
        assert [(one.line, one.field) for one in log.rejections] == [(2, field)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"\\ud800"', '"\\udc00x"'])
def test_invalid_json_numbers_and_texts_are_rejected(value: str) -> None:
    assert isinstance(decode(event(amount=7).replace(b"7", value.encode())), Rejected)


@pytest.mark.parametrize(
    "line",
    [
        event(amount=1e12, discount=-1e12, items=10**12, promised_at="2033-01-01T00:00:00+08:00"),
        event("complaint", text="慢" * 5_000, rating=4.5, category=""),
        event("browsing", dwell_seconds=-1.0, search_results=-1, session_id="t" * 4_000),
        event("cart", price=0.0, quantity=1e6),
        event(customer_id="客户 1", event_id="\x00\x7f"),
    ],
)
def test_plausible_values_are_accepted(line: bytes) -> None:
    assert not isinstance(decode(line), Rejected)


def test_the_reason_names_the_remedy() -> None:
    for line, word in [
        (event(occurred_at="1970-01-01T00:00:00Z"), "check the time's unit"),
        (event(promised_at="1970-01-01T00:00:00Z"), "leave the field out"),
        (event(event_id="  "), "give every event a unique id"),
        (event(amount=1e13), "<= 1000000000000"),
    ]:
        (dead,), _ = decode_record("orders", [Record(0, APPENDED_MS, None, line)], SKEW)
        assert isinstance(dead, DeadLetter)
        assert word in dead.rejected.reason


@pytest.mark.parametrize("timestamp", [1 << 62, -(1 << 62), -1, 0])
def test_an_invented_timestamp_does_not_stop_decoding(timestamp: int) -> None:
    values = [event(occurred_at=at) for at in ("9999-12-31T23:59:59Z", "2024-05-01T00:00:00Z", "1970-01-01T00:00:00Z")]
    items, _ = decode_record("orders", [Record(0, timestamp, None, value) for value in values], SKEW)
    assert [isinstance(item, DeadLetter) for item in items] == [True, timestamp < 1 << 62, True]


# --- sums stay finite, and what is written can be read ---------------------------------------------------------------


def steps_of(task: PartitionTask) -> list[Any]:
    model = ChurnModel(SHOP.horizon, SHOP.decide_every, SHOP.seed)
    return list(iter(lambda: task.step(model), None))


def task_with(**records: list[bytes]) -> PartitionTask:
    task = PartitionTask(0, TOPICS, SHOP, Limits())
    task.begin(b"", b"")
    for role in TOPICS:
        fetched = [Record(place, APPENDED_MS, b"k", value) for place, value in enumerate(records.get(role, ()))]
        task.inputs.receive(role, 0, fetched, len(fetched), len(fetched))
    return task


@given(st.lists(st.floats(allow_nan=False) | st.sampled_from([1e12, -1e12, 1e308, -1e308, 5e-324]), max_size=40))
def test_the_state_vector_stays_finite_for_any_amounts(amounts: list[float]) -> None:
    sent = [
        event(event_id=str(place), amount=amount, discount=amount)
        for place, amount in enumerate(amounts)
        if math.isfinite(amount)
    ]
    task = task_with(orders=sent)
    steps_of(task)
    for customer in task.processor.customers.values():
        assert all(map(math.isfinite, customer.vector))


@pytest.mark.parametrize("worth", [math.inf, -math.inf, math.nan, 1e308, 12.5])
def test_an_alert_round_trips_for_any_state(worth: float) -> None:
    told = AlertCandidate("c", T0, worth, 0.4, worth, worth, worth, 0, 0)
    alert = urgent_alert(breach_of(told, UNANSWERED, SHOP))
    assert decode_alert(encode_message(alert)) == alert
    nominated = CandidateBatch(T0, [record_of_candidate(told)])
    assert decode_candidates(pack(nominated)) == nominated
    assert nominated.candidates[0].monthly_worth == (0.0 if math.isnan(worth) else max(min(worth, 1e15), -1e15))


# --- control messages and ticks --------------------------------------------------------------------------------------


def candidate(customer: str = "c", **fields: Any) -> CandidateRecord:
    given = {"rank_value": 0.9, "probability": 0.9, "monthly_worth": 10.0, "silent_days": 3.0, "usual_gap_days": None}
    return CandidateRecord(**{"customer": customer, "source": 0, "version": 0, **given, **fields})


def opening(at: int = T0, customer: str = "c", sequence: int = 1) -> dict[str, Any]:
    """Return an opening of the allocator as JSON."""
    told = AlertOpening(f"al_{at}", at, at + 14 * DAY_US, 1, 0.9, candidate(customer))
    step = AlertStep(
        f"al_{at}", customer, EPOCH + at * MICROSECOND, AlertAction.OPENED, sequence=sequence, opening=told
    )
    found: dict[str, Any] = json.loads(encode_message(step))
    return found


SPOILT: list[tuple[str, Any]] = [
    *[("opening.opened_at", value) for value in (1 << 62, -1, 1 << 80, None, T0 + 400 * DAY_US)],
    *[("opening.expires_at", value) for value in (1 << 62, 0, T0)],
    *[("opening.rank", value) for value in (0, -1, 1 << 62)],
    *[("opening.bar", value) for value in (2.0, -1, 1e308)],
    *[("opening.alert_id", value) for value in ("", "x" * 257)],
    *[("opening.nominee.customer", value) for value in ("another", "")],
    *[("opening.nominee.monthly_worth", value) for value in (1e308, -1e16)],
    *[("opening.nominee.version", value) for value in (-1, 1 << 62)],
    ("opening.nominee.explanation", {"causes": [{"key": "x" * 41, "probability": 1}]}),
    ("opening.nominee.explanation", []),
    ("opening.nominee.explanation", {"evidence": [{"sign": "s", "numbers": {str(n): 1 for n in range(17)}}]}),
    ("opening.nominee.explanation", {"causes": [{"key": "k", "probability": 0.1}] * 17}),
    *[("sequence", value) for value in (1 << 62, -1, "1")],
    ("customer_id", "  "),
    ("event_id", ""),
    ("note", "x" * 100_001),
    ("staff", "x" * 8_193),
]


@pytest.mark.parametrize(("place", "value"), SPOILT)
def test_a_step_of_an_alert_out_of_range_is_a_dead_letter_and_later_ones_count(place: str, value: Any) -> None:
    spoilt = opening()
    *way, last = place.split(".")
    inner = spoilt
    for name in way:
        inner = inner[name]
    inner[last] = value
    good = opening(T0 + DAY_US, sequence=2)
    control = [json.dumps(one).encode() for one in (spoilt, good)]
    task = task_with(orders=[encode(order("c", T0))], control=control)
    steps = steps_of(task)
    assert sum(step.rejected.total() for step in steps) == 1
    alert = task.processor.customers["c"].alert
    assert alert is not None
    assert alert.alert_id == f"al_{T0 + DAY_US}"


def test_a_forged_sequence_number_hides_no_later_opening() -> None:
    forged, good = opening(T0, "a", sequence=10**15 - 1), opening(T0 + DAY_US, "b", sequence=2)
    events = [encode(order(name, T0)) for name in ("a", "b")]
    task = task_with(orders=events, control=[json.dumps(one).encode() for one in (forged, good)])
    steps_of(task)
    assert task.processor.customers["b"].alert is not None


def test_only_openings_have_a_number() -> None:
    sent = {"type": "alert_step", "event_id": "e", "customer_id": "c", "occurred_at": "2024-05-01T00:00:00Z"}
    acked = sent | {"action": "episode_acked"}
    for fields, place in [({"sequence": 5}, "sequence"), ({"opening": opening()["opening"]}, "opening")]:
        rejected = decode_control(json.dumps(acked | fields).encode())
        assert isinstance(rejected, Rejected)
        assert rejected.field == place
    for action in ("sent", "other", "teleported"):
        rejected = decode_control(json.dumps(sent | {"action": action}).encode())
        assert isinstance(rejected, Rejected)
        assert rejected.field == "action"


@pytest.mark.parametrize("version", [-1, 1 << 62, 10**9])
def test_a_tick_has_a_valid_version(version: int) -> None:
    assert isinstance(decode_tick(encode_message(Tick(EPOCH, version))), Rejected)


# --- what trainer, desk and deliverer read ---------------------------------------------------------------------------


def example(**fields: Any) -> LabelledExample:
    given = {"decided_at": T0, "features": bytes(2 * len(NAMES)), "log_odds": bytes(2 * 7), "probability": 0.5}
    return LabelledExample(**{"customer": "c", "label": 1, "source": 0, "version": 0, **given, **fields})


FOREIGN = [
    None,
    b"",
    b"not msgpack",
    b"\xff\xfe",
    b"{}",
    b"\xc1",
    b"[]",
    b"\x93\x01\xa1\xff\xc0",
    b"\xdd\xff\xff\xff\xff",
]
ALERT = AlertOpened("al", "c", EPOCH, EPOCH, 1, 0.5, 1.0, 1.0, None, "model", 1)
READERS: list[tuple[Callable[[bytes], Any], list[bytes]]] = [
    (
        decode_labelled,
        [
            pack(LabelledBatch([example(**fields)]))
            for fields in (
                {"label": 2},
                {"label": -1},
                {"probability": math.nan},
                {"probability": 0.0},
                {"probability": 1.0},
                {"decided_at": 1 << 62},
                {"version": -1},
                {"source": 7},
                {"customer": ""},
            )
        ]
        + [
            pack(message)
            for message in (
                LabelledBatch(expected={-1: 1.0}),
                LabelledBatch(expected={1 << 40: 1.0}),
                LabelledBatch(expected={1: math.nan}),
                LabelledBatch(expected={1: math.inf}),
                LabelledBatch(returns=[(1, -1, 1)]),
                LabelledBatch(returns=[(1, 1, 1 << 62)]),
                LabelledBatch(moment=1 << 62),
                LabelledBatch(moment=(APPENDED_MS + 86_400_000) * 1_000),
                LabelledBatch(expected={50_000: 1.0}),
                LabelledBatch(voids=-1),
                LabelledBatch(voids=1 << 62),
            )
        ],
    ),
    (
        decode_candidates,
        [
            pack(CandidateBatch(1 << 62, [])),
            pack(CandidateBatch(-1, [])),
            pack(CandidateBatch((APPENDED_MS + 86_400_000) * 1_000, [])),
            pack(CandidateBatch(T0, [candidate(rank_value=math.nan)])),
            pack(CandidateBatch(T0, [candidate(rank_value=math.inf)])),
            pack(CandidateBatch(T0, [candidate(probability=1.5)])),
            pack(CandidateBatch(T0, [candidate(monthly_worth=1e308)])),
            pack(CandidateBatch(T0, [candidate(explanation=Explanation("", (Cause("k", math.nan),)))])),
            pack(CandidateBatch(T0, [candidate(explanation=Explanation("", (), (Evidence("s", {"n": math.inf}),)))])),
        ],
    ),
    (
        decode_alert,
        [
            encode_message(ALERT).replace(b'"monthly_worth":1.0', b'"monthly_worth":null'),
            encode_message(ALERT).replace(b'"opened_at":"1970', b'"opened_at":"0001'),
            encode_message(ALERT).replace(b'"expires_at":"1970', b'"expires_at":"9999'),
            encode_message(ALERT).replace(b'"opened_at":"1970', b'"opened_at":"2199'),
            encode_message(ALERT).replace(b'"al"', b'""'),
            encode_message(ALERT).replace(b'"rank":1', b'"rank":-1'),
            encode_message(ALERT).replace(b'"probability":0.5', b'"probability":7'),
            encode_message(ALERT).replace(b'"al"', b'"\xff"'),
            encode_message(AlertClosed("al", "c", EPOCH, "lost")).replace(b"1970", b"2199"),
        ],
    ),
]


@pytest.mark.parametrize(("read", "values"), READERS)
def test_foreign_bytes_and_values_out_of_range_are_rejected_with_a_reason(
    read: Callable[[bytes], Any], values: list[bytes]
) -> None:
    for value in [*FOREIGN, *values]:
        found = read_internal(Record(0, APPENDED_MS, None, value, NUMBERED), read, SKEW)
        assert isinstance(found, Rejected), value
        assert found.reason


@given(st.binary(max_size=60), st.sampled_from([decode_labelled, decode_candidates, decode_alert]))
def test_reading_never_raises(value: bytes, read: Callable[[bytes], Any]) -> None:
    read_internal(Record(0, APPENDED_MS, None, value, [("sequence", value)]), read, SKEW)


@pytest.mark.parametrize("header", [b"abc", b"-1", b"9" * 5_000, b"", None, b"\xff", b"1.5", "²".encode()])
def test_an_invalid_sequence_header_counts_as_none(header: bytes | None) -> None:
    assert sequence_of([("sequence", header)]) == 0
    found = read_internal(
        Record(0, APPENDED_MS, None, pack(CandidateBatch(T0, [])), [("sequence", header)]), decode_candidates, SKEW
    )
    assert isinstance(found, Rejected)
    assert found.field == "sequence"


def test_unreadable_examples_are_skipped_and_the_day_is_learned() -> None:
    training = Trainer(ChurnModel(SHOP.horizon, SHOP.decide_every, 1), 1, SHOP.horizon)
    inf = b"\x00\x7c" * len(NAMES)
    bad = [example(features=b""), example(features=inf), example(log_odds=bytes(2)), example(features=bytes(999))]
    moment = T0 + 90 * DAY_US
    assert training.push(0, 0, 1, LabelledBatch([example(customer=f"c{n}") for n in range(3)] + bad, moment=moment))
    assert training.learn() == moment
    assert (training.churn_model.examples, training.unfit) == (3, 4)


def test_returns_of_days_without_expectations_are_ignored() -> None:
    nowcast, cohorts = Nowcast(Span(60.0, 7.0)), Cohorts()
    cohorts.expected[19_700] = 1.0
    cohorts.returns.update({(19_700, 3): 1, (19_999, 3): 1, (1, 3): 1})
    nowcast.record(cohorts)
    assert nowcast._returns.sum() == 1


def test_a_foreign_record_does_not_block_a_partition() -> None:
    allocator = Allocator(2, SHOP, lambda customer: partition_of(customer, 2))
    allocator.skip(0, 4)
    assert allocator.fetched(0) == 5
    for number in range(2):
        allocator.push(number, 5, 1, CandidateBatch(T0, [candidate(f"c{number}")]))
    decided = allocator.decide()
    assert decided is not None
    assert decided.opened == 2


# --- everything at once ----------------------------------------------------------------------------------------------

_ODD: list[Any] = [None, True, "", " ", "x" * 300, -1, 0, 1, 1 << 53, 1 << 62, -(1 << 62), 1e308, 5e-324, [], {}]
_EXTREMES = st.sampled_from(_ODD)


def spoil(draw: st.DrawFn, value: Any) -> Any:
    """Return a value with one part replaced."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: spoil(draw, value[key])}
    return draw(_EXTREMES)


@st.composite
def spoilt_records(draw: st.DrawFn) -> tuple[str, bytes]:
    step = json.loads(
        encode_message(AlertStep("w1", "c", EPOCH + T0 * MICROSECOND, AlertAction.SNOOZED, alert_id="al"))
    )
    contact = json.loads(event("contact", action="opted_out"))
    done = json.loads(encode_message(AllocationDone(EPOCH + T0 * MICROSECOND, 3)))
    tick = json.loads(encode_message(Tick(EPOCH + T0 * MICROSECOND, 1, learns=True, nominates=True)))
    events = [json.loads(event(kind, amount=1.0, price=1.0, rating=1.0, text="x")) for kind in KINDS]
    role, value = draw(
        st.sampled_from(
            [("control", opening()), ("control", step), ("control", done), ("contacts", contact), ("ticks", tick)]
            + [("orders", one) for one in events]
        )
    )
    return role, json.dumps(spoil(draw, value)).encode()


@given(st.lists(spoilt_records(), max_size=12))
def test_no_record_stops_a_task_and_its_output_can_be_read(records: list[tuple[str, bytes]]) -> None:
    by_role: dict[str, list[bytes]] = {"orders": [encode(order("good", T0))]}
    for role, value in records:
        by_role.setdefault(role, []).append(value)
    task = task_with(**by_role)
    steps = steps_of(task)
    assert "good" in task.processor.customers
    again = PartitionTask(0, TOPICS, SHOP, Limits())
    states: dict[str, bytes] = {}
    for step in steps:
        states |= step.commit.states
    again.restore(list(states.items()))
    again.begin(steps[-1].commit.position, steps[-1].commit.summary)
    assert again.processor.customers.keys() == task.processor.customers.keys()
