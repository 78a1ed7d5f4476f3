"""Foreign records on every internal topic, on real servers: no service ends, and good records are processed."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from stream_app.config import PORT_OFFSETS, Topics, confluent_options
from stream_app.core.events.schema import encode
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch
from stream_app.core.messages.outgoing import pack
from stream_app.core.messages.schema import (
    AlertAction,
    AlertOpening,
    AlertStep,
    AllocationDone,
    CandidateRecord,
    Tick,
    encode_message,
)
from stream_app.core.units import EPOCH, MICROSECOND
from tests.harness.processes import LiveSystem
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.processes.outcome import messages_of
from tests.harness.servers.process import free_port
from tests.harness.shops import contact
from tests.integration.test_outgoing_records import limit
from tests.integration.test_worker import PARTITIONS, SECONDS, Make, accepted, orders_at, produce

FOREIGN = [b"not msgpack", None, b"\xff\xfe", b"{}", b"\xc1", b"\x93\x01\x02\x03", b"", b"[1,2]"]
CHANNELS = """\
mode: live
channels:
  crm: {kind: webhook, url: "http://127.0.0.1:9/", secret: "env:HOOK", allow_private: true, timeout: 1s}
"""


@pytest.fixture
def make(kafka: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Provide a maker of systems with topics, keys and a group of their own, and a channel that never answers."""
    monkeypatch.setenv("HOOK", "whsec_" + "A" * 43 + "=")
    with ExitStack() as stack:

        def made(settings: Mapping[str, str] | None = None) -> LiveSystem:
            prefix = f"f{uuid4().hex[:8]}"
            own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
            own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
            live = stack.enter_context(LiveSystem({**own, **(settings or {})}, kafka, redis_url))
            path = live.folder / "channels.yaml"
            path.write_text(CHANNELS)
            live.settings["delivery.config"] = str(path)
            live.run("topics", "create")
            return live

        yield made


def put(live: LiveSystem, role: str, *values: bytes | None, **headers: bytes) -> int:
    """Produce values to every partition of a topic, and return the number of records."""
    config = live.config
    producer = Producer({**confluent_options(config.kafka), "linger.ms": 0})
    for value in values:
        for number in range(PARTITIONS):
            producer.produce(getattr(config.kafka.topics, role), value, b"k", number, headers=list(headers.items()))
    assert producer.flush(30) == 0
    return len(values) * PARTITIONS


def counted(live: LiveSystem, name: str, service: str = "worker") -> float:
    """Return a counter of a service, summed over its series."""
    address = f"http://127.0.0.1:{live.config.health.port + PORT_OFFSETS[service]}/metrics"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # it is not listening yet
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def alert(at: datetime, **fields: Any) -> AlertOpened:
    given = {"expires_at": at + timedelta(days=14), "rank": 1, "probability": 0.8, "monthly_worth": 9.0}
    given |= {"silent_days": 30.0, "usual_gap_days": None, "source": "model", "version": 1, "urgent": True}
    return AlertOpened(**{"alert_id": "al_good", "customer_id": "nobody", "opened_at": at, **given, **fields})


@pytest.mark.parametrize("service", ["trainer", "allocator", "notifier"])
def test_a_service_skips_records_that_it_cannot_use(make: Make, service: str) -> None:
    live = make({"health.port": str(free_port()), "shop.capacity": "3"})
    now = datetime.now(UTC)
    moment = (now - timedelta(days=1) - EPOCH) // MICROSECOND
    absurd = CandidateRecord("c", float("inf"), 0.9, 1e308, 3.0, None, 0, 0)
    role, good, bad = {
        "trainer": ("labelled", pack(LabelledBatch(moment=moment)), [pack(LabelledBatch(moment=1 << 62))]),
        "allocator": ("nominations", pack(CandidateBatch(moment, [])), [pack(CandidateBatch(moment, [absurd]))]),
        "notifier": ("alerts", encode_message(alert(now)), [encode_message(alert(now)).replace(b"9.0", b"null")]),
    }[service]
    sent = put(live, role, *FOREIGN, sequence=b"1") + put(live, role, *bad, sequence=b"1")
    if service != "notifier":
        sent += put(live, role, good, sequence=b"abc") + put(live, role, good, sequence=b"9" * 5_000)
    put(live, role, good, sequence=b"2")
    process = live.start(service)
    live.wait("all is passed over", lambda: counted(live, "churn_records_skipped_total", service) == sent, SECONDS)
    done = {"trainer": "churn_trainer_rounds_total", "allocator": "churn_allocator_rounds_total"}
    name = done.get(service, "churn_delivery_alerts_total")
    live.wait("the good one counts", lambda: counted(live, name, service) >= 1, SECONDS)
    logged = [json.loads(line) for line in process.log.read_text().splitlines() if "Record skipped" in line]
    assert 0 < len(logged) <= 10
    assert logged[0]["topic"] == getattr(live.config.kafka.topics, role)
    assert {"partition", "offset", "reason"} <= logged[0].keys()
    messages = [one for of in messages_of(live, "dead_letters").values() for one in of]
    assert len(messages) == sent
    kept = [dict(one.headers()) for one in messages]
    assert {one["kafka_dlt-original-topic"].decode() for one in kept} == {getattr(live.config.kafka.topics, role)}
    assert len({(one["kafka_dlt-original-partition"], one["kafka_dlt-original-offset"]) for one in kept}) == sent
    assert all(one["kafka_dlt-exception-message"] for one in kept)
    assert {one.value() for one in messages} >= {*filter(None, FOREIGN), *bad}
    assert process.stop() == 0
    put(live, role, *FOREIGN, sequence=b"1")
    again = live.start(service)  # and so is the next one
    live.wait("all is passed over", lambda: counted(live, "churn_records_skipped_total", service) >= 16, SECONDS)
    assert again.stop() == 0


@pytest.mark.parametrize("service", ["trainer", "allocator", "notifier"])
def test_a_dead_letter_that_kafka_rejects_ends_no_service(make: Make, service: str) -> None:
    live = make({"health.port": str(free_port()), "shop.capacity": "3"})
    limit(live, "dead_letters", max_message_bytes=5_000)
    now = datetime.now(UTC)
    moment = (now - timedelta(days=1) - EPOCH) // MICROSECOND
    role, good, name = {
        "trainer": ("labelled", pack(LabelledBatch(moment=moment)), "churn_trainer_rounds_total"),
        "allocator": ("nominations", pack(CandidateBatch(moment, [])), "churn_allocator_rounds_total"),
        "notifier": ("alerts", encode_message(alert(now)), "churn_delivery_alerts_total"),
    }[service]
    # Small ones together make a batch that is refused; the large one is cut.
    sent = put(live, role, *[b"x" * 300] * 40, b"y" * 50_000, sequence=b"1")
    process = live.start(service)
    live.wait("all are kept", lambda: sum(map(len, messages_of(live, "dead_letters").values())) == sent, SECONDS)
    cut = [dict(one.headers()) for of in messages_of(live, "dead_letters").values() for one in of]
    assert [one.get("kafka_dlt-original-bytes") for one in cut].count(b"50000") == PARTITIONS
    limit(live, "dead_letters", max_message_bytes=100)
    sent += put(live, role, b"z", sequence=b"1")
    put(live, role, good, sequence=b"2")
    live.wait("the good one counts", lambda: counted(live, name, service) >= 1, SECONDS)
    assert counted(live, "churn_records_skipped_total", service) == sent
    logged = [json.loads(line) for line in process.log.read_text().splitlines() if "Dead letter not written" in line]
    assert sorted((one["topic"], one["partition"], one["offset"]) for one in logged) == [
        (getattr(live.config.kafka.topics, role), number, 41) for number in range(PARTITIONS)
    ]
    assert "MessageSizeTooLarge" in logged[0]["problem"]
    assert process.stop() == 0


def test_a_worker_dead_letters_what_it_cannot_use_and_continues(make: Make) -> None:
    live = make({"health.port": str(free_port())})
    now = datetime.now(UTC)
    orders = orders_at(now - timedelta(days=3), 20)
    produce(live, "orders", orders)
    at = (now - timedelta(days=1) - EPOCH) // MICROSECOND
    told = AlertOpening("al", at, at + 1, 1, 0.9, CandidateRecord("c0001", 0.9, 0.9, 10.0, 3.0, None, 0, 0))
    step = encode_message(AlertStep("al", "c0001", EPOCH + at * MICROSECOND, AlertAction.OPENED, opening=told))
    far = str(1 << 62).encode()
    bad = [
        *FOREIGN,
        step.replace(f'"opened_at":{at}'.encode(), b'"opened_at":' + far),
        step.replace(b'"rank":1', b'"rank":0'),
        encode_message(AllocationDone(EPOCH + at * MICROSECOND)).replace(b"}", b',"sequence":' + far + b"}"),
        b'{"type":"contact","event_id":"  ","customer_id":"c0001","occurred_at":"2024-05-01T00:00:00Z"}',
        b'{"type":"contact","event_id":"e","customer_id":"c0001","occurred_at":"9999-12-31T23:59:59-14:00"}',
    ]
    ticks = [*FOREIGN, encode_message(Tick(EPOCH + at * MICROSECOND, 1)).replace(b":1}", b":" + far + b"}")]
    events = [
        b'{"type":"order","event_id":"x","customer_id":"k","occurred_at":"2024-05-01T00:00:00Z","amount":-1e308}',
        b'{"type":"order","event_id":"x","customer_id":"   ","occurred_at":"2024-05-01T00:00:00Z"}',
        b'{"type":"order","event_id":"x","customer_id":"k","occurred_at":"1970-01-01T00:00:00Z"}',
    ]
    contacts = [
        *FOREIGN,
        step,  # what only the allocator may say
        encode_message(AllocationDone(EPOCH + at * MICROSECOND, 10**9)),
        step.replace(b'"alert_step"', b'"contact"'),
        encode(contact("c0001", at)).replace(b"}", b',"sequence":1000000000}'),
        encode_message(Tick(EPOCH + at * MICROSECOND, nominates=True, waits=True)),
    ]
    sent = put(live, "control", *bad) + put(live, "contacts", *contacts)
    sent += put(live, "ticks", *ticks) + put(live, "orders", *events)
    put(live, "ticks", encode_message(Tick(EPOCH + at * MICROSECOND, 999_999)))  # this version does not exist
    worker = live.start("worker")
    live.wait("all is worked off", live.done, SECONDS)
    assert accepted(live) == len(orders)
    messages = messages_of(live, "dead_letters")
    live.wait("they are kept", lambda: sum(map(len, messages_of(live, "dead_letters").values())) == sent, SECONDS)
    assert messages
    assert counted(live, "churn_events_rejected_total") == sent
    assert worker.stop() == 0


def test_listings_skip_unreadable_records_in_the_store(make: Make) -> None:
    live = make()
    prefix = f"{live.config.redis.prefix}:{{deliver}}"
    process = live.start("notifier")
    now = datetime.now(UTC)
    put(live, "alerts", encode_message(alert(now)), encode_message(alert(now, alert_id="al_bad")))
    live.wait("both are taken", lambda: live.redis.hlen(f"{prefix}:deliveries") == 2, SECONDS)
    assert process.stop() == 0
    live.redis.hset(f"{prefix}:deliveries", "al_bad:crm", b'{"id":"al_bad:crm","due_at":null}')
    assert live.redis.hlen(f"{prefix}:deliveries") == 2
    live.redis.rpush(f"{prefix}:requests", b"\xff\xfe", b"[]")
    process = live.start("notifier")
    words = [str(STREAM_APP), "deliveries", "list", "--json"]
    done = subprocess.run(words, env=live.environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "al_bad" in done.stderr
    assert [msgspec.json.decode(line)["alert"] for line in done.stdout.splitlines()] == ["al_good"]
    live.wait("the requests are answered", lambda: live.redis.llen(f"{prefix}:requests") == 0, SECONDS)
    assert process.stop() == 0
