"""Batches that no client library writes, on a real Kafka: no service ends."""

from __future__ import annotations

import asyncio
import re
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiokafka
import msgspec
import pytest
from confluent_kafka import Producer

from stream_app.adapters.kafka.last_records import last_of_allocator, last_sequence
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import PORT_OFFSETS, confluent_options
from stream_app.core.alerts.arms import Draws
from stream_app.core.events.schema import encode
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.messages.schema import AllocationDone, encode_message
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.errors import MissingCodec, TooManyUnreadable
from tests.harness.processes import LiveSystem, Process
from tests.harness.processes.outcome import messages_of
from tests.harness.raw_kafka import batch, pack, record, send
from tests.harness.servers.process import free_port
from tests.harness.shops import order
from tests.integration.test_notifier import make as make_deliverer
from tests.integration.test_worker import PARTITIONS, SECONDS, Make, accepted, ended, make

__all__ = ["make", "make_deliverer"]  # fixtures

Records = list[tuple[bytes, bytes]]
START = datetime.now(UTC) - timedelta(days=3)
FIRST = (START - EPOCH) // MICROSECOND
PACKED = ("gzip", "snappy", "xerial", "lz4", "zstd")


def an_order(name: str) -> bytes:
    return encode(order(name, FIRST, amount=9.0))


def raw(live: LiveSystem, role: str, partition: int, data: bytes) -> int:
    return send(live.config.kafka.bootstrap, getattr(live.config.kafka.topics, role), partition, data)


NAMES = [name for name in (f"customer {number}" for number in range(400)) if partition_of(name, PARTITIONS) == 0]
OTHER = next(name for name in (f"other {number}" for number in range(400)) if partition_of(name, PARTITIONS) == 1)


def good(index: int, name: str) -> bytes:
    return record(index, an_order(name), name.encode())


def count_of(live: LiveSystem, metric: str, port: int = 0) -> float:
    """Return a metric of a process; -1 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or live.config.health.port}/metrics", timeout=5) as answer:
            found = re.search(rf"^{metric} (\S+)", answer.read().decode(), re.MULTILINE)
    except OSError:
        return -1.0
    return float(found[1]) if found else -1.0


def peak_mib(process: Process) -> float:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


async def through_aiokafka(bootstrap: str, topic: str, codec: str, records: Records) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec) as producer:
        for key, value in records:
            await producer.send(topic, value, key, partition_of(key.decode(), PARTITIONS))


def through_librdkafka(live: LiveSystem, codec: str, records: Records) -> None:
    producer = Producer({**confluent_options(live.config.kafka), "compression.codec": codec, "linger.ms": 50})
    for key, value in records:
        producer.produce(live.config.kafka.topics.orders, value, key, partition_of(key.decode(), PARTITIONS))
    assert producer.flush(30) == 0


def test_batches_of_every_codec_and_client_are_read(make: Make) -> None:
    live = make()
    sent = 0
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        rdkafka, python = (
            [(name.encode(), an_order(name)) for name in (f"{client} {codec} {number}" for number in range(50))]
            for client in ("librdkafka", "aiokafka")
        )
        through_librdkafka(live, codec, rdkafka)
        asyncio.run(through_aiokafka(live.config.kafka.bootstrap, live.config.kafka.topics.orders, codec, python))
        sent += len(rdkafka) + len(python)
    worker = live.start("worker")
    live.wait("all is worked off", live.done, SECONDS)
    assert accepted(live) == sent
    assert worker.stop() == 0


def bad_batches(names: Iterator[str]) -> list[tuple[bytes, int]]:
    """Return batches with one bad record between two good ones that a broker accepts, and the index of the bad one."""
    bad = [record(1, an_order("bad"), b"bad", [(b"\xff\xfe", b"x")])]
    between = [(batch([good(0, next(names)), *bad, good(2, next(names))], codec), 1) for codec in ("none", *PACKED)]
    moved = record(0, an_order("bad"), b"bad", delta=1000)
    return [*between, (batch([moved, good(1, next(names)), good(2, next(names))]), 0)]


def bombs() -> list[bytes]:
    """Return batches of less than 1 MiB that decompress to many times as much."""
    empty = b"".join(record(index, None) for index in range(300_000))
    headers = record(0, b"", headers_count=3_000_000, tail=b"\0\1" * 3_000_000)
    return [
        *(batch([record(0, bytes(200 << 20))], codec) for codec in ("gzip", "zstd")),
        batch([record(0, bytes(90 << 20))], "lz4"),
        *(batch([record(0, bytes(19 << 20))], codec) for codec in ("snappy", "xerial")),
        *(batch([], codec, packed=pack(codec, empty), count=300_000) for codec in ("gzip", "zstd")),
        *(batch([headers], codec) for codec in PACKED),
    ]


def test_a_worker_skips_bad_batches_and_bombs_and_loses_nothing_else(make: Make) -> None:
    live = make({"health.port": str(free_port()), "worker.batch_events": "4"})
    names = iter(NAMES)
    bad = bad_batches(names)
    offset, expected = 0, []
    for data, place in [*bad, *((one, 0) for one in bombs())]:
        assert raw(live, "orders", 0, data) == 0
        expected.append(offset + place)
        offset += int.from_bytes(data[57:61], "big")
        assert raw(live, "orders", 0, batch([good(0, next(names))])) == 0
        offset += 1
    assert raw(live, "orders", 1, batch([record(0, an_order(OTHER), OTHER.encode())])) == 0
    # A worker is killed in between, and one continues.
    first = live.start("worker")
    live.wait("something is stored", lambda: accepted(live) > 0, SECONDS)
    first.kill()
    worker = live.start("worker", instance="worker-0")
    live.wait("all is worked off", live.done, 2 * SECONDS)
    assert accepted(live) == 2 * len(bad) + len(expected) + 1
    messages = [dict(message.headers()) for message in messages_of(live, "dead_letters")[0]]
    # A killed relay may send records again, with the same numbers.
    told = {int(one["sequence"]): int(one["kafka_dlt-original-offset"]) for one in messages}
    assert [told[number] for number in sorted(told)] == expected
    assert peak_mib(worker) < 700
    assert 0 < count_of(live, "churn_unreadable_batches_total") <= len(expected)
    said = worker.tail() + first.tail()
    assert f'"first": {expected[-1]}' in said
    assert worker.stop() == 0


@pytest.mark.parametrize("role", ["labelled", "control"])
def test_an_unreadable_end_of_a_topic_does_not_prevent_a_start(make: Make, role: str) -> None:
    live = make()
    topic = getattr(live.config.kafka.topics, role)
    done = (
        encode_message(AllocationDone(occurred_at=START, sequence=0))
        if role == "control"
        else msgspec.msgpack.encode(LabelledBatch())
    )
    sent = [record(index, done, None, [(b"sequence", b"%d" % (5 + index))]) for index in range(2)]
    bad = [
        batch([record(0, b"x", None, [(b"\xff", b"x")])]),
        batch([record(0, b"short", length=3), record(1, b"{}")], "gzip"),
        batch([record(0, bytes(200 << 20))], "zstd"),
        batch([record(0, bytes(200 << 20))], "gzip"),
    ]
    assert last(live, topic) == 0
    for data in (batch(sent), *bad):
        assert raw(live, role, 0, data) == 0
    assert last(live, topic) == 6
    forged = [record(index, value, None, [(b"sequence", b"999999")]) for index, value in enumerate((b"{}", b""))]
    assert raw(live, role, 0, batch(forged)) == 0
    assert last(live, topic) == 6  # a number on an invalid message is ignored


def test_an_allocator_looks_beyond_unreadable_batches(make: Make) -> None:
    """Its last marker is further back than it first looks, and unreadable batches hide how far."""
    live = make()
    topic = live.config.kafka.topics.control
    assert last_of_allocator(live.config, topic, 0) == (0, 0, -1, Draws())
    done = encode_message(AllocationDone(occurred_at=START, sequence=7, drawn=9, experiment="spring"))
    assert raw(live, "control", 0, batch([record(0, done, None, [(b"sequence", b"5")])])) == 0
    for _ in range(20):
        assert raw(live, "control", 0, batch([record(0, b"x", None, [(b"\xff", b"x")])])) == 0
    assert last_of_allocator(live.config, topic, 0) == (5, 7, FIRST, Draws("spring", 9))


def last(live: LiveSystem, topic: str) -> int:
    """Return the sequence number of an outbox's last record on a topic."""
    if topic == live.config.kafka.topics.control:
        return last_of_allocator(live.config, topic, 0)[0]
    return last_sequence(live.config, 0)


def buried(live: LiveSystem, role: str) -> dict[int, tuple[bytes | None, dict[str, bytes | None]]]:
    """Return value and headers of the dead letters of a topic's first partition, by offset of the record."""
    topic, found = getattr(live.config.kafka.topics, role).encode(), {}
    for message in messages_of(live, "dead_letters")[0]:
        headers = dict(message.headers())
        if headers["kafka_dlt-original-topic"] == topic:
            found[int(headers["kafka_dlt-original-offset"])] = message.value(), headers
    return found


def bury_bad_batches(live: LiveSystem, service: str, role: str) -> None:
    """Let a service skip bad batches, and read its dead letters."""
    mixed = [record(0, b"before", b"k"), record(1, b"bad", b"k", [(b"\xff", b"x")]), record(2, b"after")]
    for data in (batch(mixed), batch([record(0, bytes(200 << 20))], "zstd")):
        assert raw(live, role, 0, data) == 0
    process = live.start(service)
    port = live.config.health.port + PORT_OFFSETS[service]
    live.wait("both are counted", lambda: count_of(live, "churn_unreadable_batches_total", port) == 2, SECONDS)
    live.wait("all are kept", lambda: buried(live, role).keys() == {0, 1, 2, 3}, SECONDS)
    messages = buried(live, role)
    assert [messages[offset][0] for offset in range(3)] == [b"before", b"bad", b"after"]
    assert messages[1][1]["kafka_dlt-exception-message"] == b"the name of a header is not UTF-8"
    assert b"batch" in (messages[3][1]["kafka_dlt-exception-message"] or b"")
    assert len(messages[3][0] or b"") > 1_000  # the compressed bytes
    skipped = f'churn_records_skipped_total{{topic="{role}"}}'
    live.wait("they are counted", lambda: count_of(live, re.escape(skipped), port) == 4, SECONDS)
    assert process.stop() == 0


@pytest.mark.parametrize(("service", "role"), [("trainer", "labelled"), ("allocator", "nominations")])
def test_trainer_and_allocator_dead_letter_a_bad_batch(make: Make, service: str, role: str) -> None:
    bury_bad_batches(make({"health.port": str(free_port())}), service, role)


def test_a_notifier_dead_letters_a_bad_batch(make_deliverer: Make) -> None:
    live = make_deliverer("mode: shadow\n", {}, {"health.port": str(free_port())})
    bury_bad_batches(live, "notifier", "alerts")
    # Its position is beyond the bad batches: nothing is read again.
    again = live.start("notifier")
    assert raw(live, "alerts", 0, batch([record(0, b"later")])) == 0
    live.wait("the next one is kept", lambda: 4 in buried(live, "alerts"), SECONDS)
    assert len(messages_of(live, "dead_letters")[0]) == 5
    assert again.stop() == 0


def test_more_than_a_hundred_bad_batches_end_a_worker_with_an_error(make: Make) -> None:
    live = make()
    bad = batch([record(0, an_order("bad"), b"bad", [(b"\xff", b"x")])])
    for _ in range(101):
        assert raw(live, "orders", 0, bad) == 0
    worker = live.start("worker")
    assert ended(worker, 2 * SECONDS) == TooManyUnreadable.exit_code
    assert "kafka-dump-log" in worker.tail()


@pytest.mark.parametrize("service", ["worker", "trainer", "allocator"])
def test_a_service_without_a_codec_refuses_to_start(make: Make, service: str) -> None:
    live = make()
    without = "import sys; sys.modules['cramjam'] = None; from stream_app.cli import main; main()"
    process = live.start(service, program=[sys.executable, "-c", without])
    assert ended(process) == MissingCodec.exit_code
    assert "pip install" in process.tail()
