"""Publishing a log to a real broker: every record once, in order, in the partition that Kafka's own clients choose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Event as Flag
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient
from msgspec.structs import replace

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.topics import create_topics
from stream_app.config import LiveConfig, Topics, load_config
from stream_app.core.events.schema import Contact, Event, Rejected, decode, encode
from stream_app.core.messages.schema import Tick, decode_tick, encode_message
from stream_app.errors import NoBroker, NotDelivered, OtherLog
from stream_app.ingest import LogFormat, open_log
from stream_app.publish import Request, Summary, publish_log, speed_factor
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES
from stream_app.publish.watermarks import next_offsets
from stream_app.simulate import ShopSettings, write_log
from tests.harness import raw_kafka
from tests.harness.shops import order

COMMAND = str(Path(sys.executable).parent / "stream-app")
PARTITIONS = 3
Record = tuple[bytes | None, bytes, int]  # key, value, place in the log
Contents = dict[tuple[str, int], list[Record]]  # by role and partition


@dataclass
class Shop:
    """Topics of one test."""

    bootstrap: str
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        prefix = uuid4().hex[:8]
        self.environ = {
            "STREAM_APP_KAFKA__BOOTSTRAP": self.bootstrap,
            "STREAM_APP_KAFKA__PARTITIONS": str(PARTITIONS),
            "STREAM_APP_SHOP__ZONE": "Asia/Kolkata",  # its times of candidates are between full hours
            **{f"STREAM_APP_KAFKA__TOPICS__{role.upper()}": f"{prefix}.{role}" for role in Topics.model_fields},
        }

    @property
    def config(self) -> LiveConfig:
        return load_config(environ=self.environ)

    def command(self, log: Path, *options: str) -> list[str]:
        return [COMMAND, "publish", str(log), *options]

    def run(self, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(log, *options),
            env=os.environ | self.environ | {"COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def partitions(self) -> dict[tuple[str, int], str]:
        """Topic and number -> role."""
        roles = self.config.kafka.topics.of(*ROLES.values(), "ticks")
        return {(name, number): role for role, name in roles.items() for number in range(PARTITIONS)}

    @cached_property
    def ends(self) -> Callable[[], Mapping[tuple[str, int], int]]:
        """Reader of the next offsets. A new client for each reading would miss a short run."""
        return next_offsets(self.config, self.partitions())

    def written(self) -> int:
        """Return the number of records."""
        return sum(self.ends().values())

    def contents(self) -> Contents:
        """Return all records, in the order of the broker."""
        roles = self.partitions()
        found: Contents = {(role, number): [] for (_, number), role in roles.items()}
        options = {"bootstrap.servers": self.bootstrap, "group.id": "test", "enable.partition.eof": True}
        consumer = Consumer(options | {"enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(topic, number, 0) for topic, number in roles])
            left = set(roles)
            while left:
                message = consumer.poll(10.0)
                assert message is not None, f"no end of {left}"
                topic, number = message.topic(), message.partition()
                assert topic is not None
                assert number is not None
                if error := message.error():
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard((topic, number))
                    continue
                value, place = message.value(), dict(message.headers() or [])["place"]
                assert isinstance(value, bytes)
                assert isinstance(place, bytes)
                key = message.key()
                assert key is None or isinstance(key, bytes)
                found[roles[topic, number], number].append((key, value, int.from_bytes(place, "big")))
        finally:
            consumer.close()
        return found


@pytest.fixture
def new_shop(kafka: str) -> Callable[[], Shop]:
    """Provide a maker of shops with existing topics."""

    def make() -> Shop:
        shop = Shop(kafka)
        create_topics(shop.config)
        return shop

    return make


@pytest.fixture
def shop(new_shop: Callable[[], Shop]) -> Shop:
    return new_shop()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a log of about 16,000 events over 90 days, and contacts with some of the customers."""
    path = tmp_path_factory.mktemp("publish") / "shop.jsonl"
    with path.open("w+b") as file:
        write_log(ShopSettings(customers=1000, days=90), 3, file)
        file.seek(0)
        for place, line in enumerate(file.readlines()[::20]):
            event = decode(line)
            assert not isinstance(event, Rejected)
            sent = Contact(event_id=f"m{place}", customer_id=event.customer_id, occurred_at=event.occurred_at)
            file.write(encode(sent) + b"\n")
    return path


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a log that takes a while to publish: about 64,000 events over 90 days."""
    path = tmp_path_factory.mktemp("publish") / "long.jsonl"
    with path.open("wb") as file:
        write_log(ShopSettings(customers=4000, days=90), 3, file)
    return path


@pytest.fixture(scope="module")
def short_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a log of a few days."""
    path = tmp_path_factory.mktemp("publish") / "short.jsonl"
    with path.open("wb") as file:
        write_log(ShopSettings(customers=200, days=8), 3, file)
    return path


def publish(
    shop: Shop, log: Path, speed: str = "max", on_step: Callable[[Summary], object] = lambda _: None, **more: Any
) -> Summary:
    request = Request((str(log),), LogFormat("jsonl"), speed_factor(speed), **more)
    return publish_log(shop.config, request, Flag(), lambda _: None, on_step)


def expected(
    shop: Shop, log: Path, workdir: Path, *, complete: bool = True, before: Contents | None = None
) -> Contents:
    """Return the records that publishing the log must append to the topics."""
    found: Contents = {(role, number): [] for (_, number), role in shop.partitions().items()}
    place = 0
    with open_log([log], LogFormat("jsonl"), workdir) as read:
        for step in steps(read.batches(), shop.config.shop.settings(), complete=complete, opening=True):
            if isinstance(step, Tick):
                place += 1
                for number in range(PARTITIONS):
                    sent = {role: len(found[role, number]) for role in ROLES.values()}
                    ends = {role: count + len((before or {}).get((role, number), [])) for role, count in sent.items()}
                    found["ticks", number].append((None, encode_message(replace(step, ends=ends)), place))
                continue
            for event in step:
                place += 1
                number = partition_of(event.customer_id, PARTITIONS)
                found[ROLES[type(event)], number].append((event.customer_id.encode(), encode(event), place))
    return found


def tick_of(value: bytes) -> Tick:
    tick = decode_tick(value)
    assert isinstance(tick, Tick)
    return tick


def ends_of(value: bytes) -> dict[str, int]:
    ends = tick_of(value).ends
    assert ends is not None
    return ends


def without_ends(contents: Contents) -> Contents:
    """Return the records, with ticks that do not have the ends of the topics."""
    return {
        (role, number): records
        if role != "ticks"
        else [(key, encode_message(replace(tick_of(value), ends=None)), place) for key, value, place in records]
        for (role, number), records in contents.items()
    }


def assert_continued(contents: Contents, wanted: Contents) -> None:
    """Check that all records of several runs exist.

    The ends in a later run's tick may include records that an earlier run has sent beyond it, but no others.
    """
    assert without_ends(contents) == without_ends(wanted)
    for number in range(PARTITIONS):
        ticks = [ends_of(value) for _, value, _ in contents["ticks", number]]
        least = [ends_of(value) for _, value, _ in wanted["ticks", number]]
        there = {role: len(contents[role, number]) for role in ROLES.values()}
        assert all(least[at][role] <= ends[role] <= there[role] for at, ends in enumerate(ticks) for role in there)


def test_every_record_is_there_once_in_order_and_in_its_partition(shop: Shop, log: Path, tmp_path: Path) -> None:
    summary = publish(shop, log)
    contents = shop.contents()
    assert contents == expected(shop, log, tmp_path)
    assert min(map(len, contents.values())) > 0
    records = sum(map(len, contents.values()))
    assert summary.finished
    assert (summary.sent, summary.skipped, summary.rejected) == (records, 0, 0)
    assert summary.events == summary.total == len(log.read_bytes().splitlines())
    assert summary.ticks == len(contents["ticks", 0])
    again = publish(shop, log)
    assert (again.sent, again.skipped, again.finished) == (0, records, True)
    assert shop.contents() == contents


@pytest.mark.parametrize(
    ("key", "hashed"),
    [  # from UtilsTest of Kafka's own sources
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_customers_are_partitioned_as_in_java(key: str, hashed: int) -> None:
    for partitions in (2, 7, 1_000_003):
        assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


def test_the_clients_own_partitioner_agrees(shop: Shop) -> None:
    names = [f"c{number:08d}" for number in range(300)] + ["客户", "é", "x" * 255]
    topic, producer = (
        shop.config.kafka.topics.orders,
        Producer({"bootstrap.servers": shop.bootstrap, "partitioner": "murmur2"}),
    )
    header: list[tuple[str, str | bytes | None]] = [("place", bytes(8))]
    for name in names:
        producer.produce(topic, b"", name.encode(), headers=header)
    assert producer.flush(10) == 0
    found = {key.decode(): number for (_, number), records in shop.contents().items() for key, _, _ in records if key}
    assert found == {name: partition_of(name, PARTITIONS) for name in names}


def until(shop: Shop, records: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for a number of records, or for the end of the process."""
    deadline = time.monotonic() + 60
    while process.poll() is None and shop.written() < records:
        assert time.monotonic() < deadline, "nothing is published"
        time.sleep(0.01)


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Provide a starter of publishers, which end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(shop: Shop, log: Path, *options: str) -> subprocess.Popen[bytes]:
        environ = os.environ | shop.environ
        processes.append(subprocess.Popen(shop.command(log, *options), env=environ, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("speed", ["max", "1500000x"])
def test_nothing_is_missing_or_duplicated_after_kills(
    speed: str, shop: Shop, long_log: Path, tmp_path: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    wanted = expected(shop, long_log, tmp_path)
    total = sum(map(len, wanted.values()))
    kills = 0
    for share in (0.0, 0.2, 0.4, 0.6):
        process = started(shop, long_log, "--speed", speed)
        until(shop, max(shop.written(), round(total * share)) + 1, process)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL and 0 < shop.written() < total
    assert kills  # in the middle, at least once
    summary = publish(shop, long_log)
    assert summary.finished
    assert_continued(shop.contents(), wanted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_gracefully(
    number: signal.Signals, shop: Shop, short_log: Path, tmp_path: Path, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = started(shop, short_log, "--speed", "20000x")  # 8 days in 35 s
    until(shop, 100, process)
    process.send_signal(number)
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 0, said
    assert "run the same command to resume" in " ".join(said.split())
    wanted, contents = expected(shop, short_log, tmp_path), shop.contents()
    assert 0 < sum(map(len, contents.values())) < sum(map(len, wanted.values()))
    assert all(records == wanted[one][: len(records)] for one, records in contents.items())
    # The records are a prefix of the whole log, not only of each partition.
    places = {place for records in contents.values() for _, _, place in records}
    assert places == set(range(1, max(places) + 1))
    done = shop.run(short_log)
    assert done.returncode == 0, done.stderr
    assert "already sent by an earlier run" in done.stderr
    assert shop.contents() == wanted


def test_the_speed_is_kept(shop: Shop, tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, 12, 1, tzinfo=UTC)
    path = tmp_path / "log.jsonl"
    events = [order("c", int((start + timedelta(seconds=second)).timestamp()) * 10**6) for second in (0, 60, 180)]
    path.write_bytes(b"\n".join(encode(event) for event in events))
    summary = publish(shop, path, "90x")
    assert summary.finished
    assert 2.0 <= summary.seconds < 4.0  # three minutes at 90 times the speed


def test_an_open_end_can_be_closed_later(shop: Shop, short_log: Path, tmp_path: Path) -> None:
    publish(shop, short_log, open_end=True)
    assert shop.contents() == expected(shop, short_log, tmp_path, complete=False)
    summary = publish(shop, short_log)
    assert summary.sent == PARTITIONS
    assert shop.contents() == expected(shop, short_log, tmp_path)
    (_, value, _) = shop.contents()["ticks", 0][-1]
    tick = decode_tick(value)
    assert isinstance(tick, Tick)
    assert (tick.complete, tick.learns, tick.waits, tick.nominates) == (True, True, True, False)


def test_another_log_is_refused_unless_forced(shop: Shop, short_log: Path, log: Path, tmp_path: Path) -> None:
    publish(shop, short_log)
    before = shop.contents()
    with pytest.raises(OtherLog, match="--after-other-logs"):
        publish(shop, log)
    refused = shop.run(log)
    assert refused.returncode == 2
    assert "another log" in refused.stderr
    assert shop.contents() == before
    publish(shop, log, after_other_logs=True)
    publish(shop, log, after_other_logs=True)  # nothing is left to do the second time
    after = expected(shop, log, tmp_path, before=before)
    assert shop.contents() == {one: records + after[one] for one, records in before.items()}


def test_foreign_records_are_refused(shop: Shop, short_log: Path) -> None:
    producer = Producer({"bootstrap.servers": shop.bootstrap})
    producer.produce(shop.config.kafka.topics.cart, b"{}", partition=1)
    assert producer.flush(10) == 0
    with pytest.raises(OtherLog, match="was not written by a publisher"):
        publish(shop, short_log)
    assert shop.written() == 1


def test_a_record_with_a_binary_header_is_refused(shop: Shop, short_log: Path) -> None:
    batch = raw_kafka.batch([raw_kafka.record(0, b"{}", None, [(b"\xff\xfe", b"x")])])
    assert raw_kafka.send(shop.bootstrap, shop.config.kafka.topics.cart, 1, batch) == 0
    with pytest.raises(OtherLog, match="was not written by a publisher"):
        publish(shop, short_log)


@pytest.mark.parametrize(
    "batch",
    [
        raw_kafka.batch([raw_kafka.record(0, b"{}", delta=1_000)]),  # claims an offset far behind its batch
        raw_kafka.batch([raw_kafka.record(0, b"{}", None, [(b"\xff", b"x")])], "gzip"),
        raw_kafka.batch(
            [raw_kafka.record(0, b"{}")], "lz4", raw_kafka.pack("lz4", raw_kafka.record(0, b"{}")) + b"garbage"
        ),
    ],
    ids=["offset", "packed header", "bytes behind lz4"],
)
def test_an_unreadable_last_batch_is_refused_unless_forced(shop: Shop, short_log: Path, batch: bytes) -> None:
    publish(shop, short_log)
    before = shop.written()
    assert raw_kafka.send(shop.bootstrap, shop.config.kafka.topics.cart, 1, batch) == 0
    refused = shop.run(short_log)
    assert (refused.returncode, shop.written()) == (2, before + 1)
    assert f"{shop.config.kafka.topics.cart}" in refused.stderr
    assert "a record that cannot be read or was not written by a publisher" in refused.stderr
    assert "skipped" not in refused.stderr
    done = shop.run(short_log, "--after-other-logs")
    assert done.returncode == 0, done.stderr


def test_a_bad_batch_before_the_last_record_hides_nothing(shop: Shop, short_log: Path, log: Path) -> None:
    bad = raw_kafka.batch([raw_kafka.record(0, b"{}", delta=1_000)])
    for number in range(PARTITIONS):
        assert raw_kafka.send(shop.bootstrap, shop.config.kafka.topics.orders, number, bad) == 0
    publish(shop, short_log, after_other_logs=True)
    before = shop.written()
    publish(shop, short_log, after_other_logs=True)
    assert shop.written() == before
    with pytest.raises(OtherLog, match="another log"):
        publish(shop, log)


def test_a_tick_of_a_worker_on_the_wall_clock_is_named(shop: Shop, short_log: Path) -> None:
    producer = Producer({"bootstrap.servers": shop.bootstrap})
    tick = encode_message(Tick(datetime.now(UTC)))
    producer.produce(shop.config.kafka.topics.ticks, tick, partition=1)
    assert producer.flush(10) == 0
    with pytest.raises(OtherLog, match=r"wall clock.*--set ticks\.clock=log"):
        publish(shop, short_log)
    assert shop.written() == 1


class Intruder:
    """Write into the same topic from another producer during the block."""

    def __init__(self, shop: Shop, role: str = "orders", value: bytes = b"{}") -> None:
        self.shop, self.role, self.value, self.done = shop, role, value, False

    def __call__(self, _: Summary) -> None:
        if not self.done:
            self.done = True
            producer = Producer({"bootstrap.servers": self.shop.bootstrap})
            producer.produce(getattr(self.shop.config.kafka.topics, self.role), self.value, partition=0)
            assert producer.flush(10) == 0


def test_a_second_writer_is_noticed(shop: Shop, short_log: Path) -> None:
    with pytest.raises(NotDelivered, match=r"partition 0 has \+1 records besides .* Another producer wrote there"):
        publish(shop, short_log, on_step=Intruder(shop))


def test_a_tick_of_a_worker_on_the_wall_clock_ends_it_at_once(shop: Shop, log: Path) -> None:
    intruder = Intruder(shop, "ticks", encode_message(Tick(datetime.now(UTC))))
    started = time.monotonic()
    with pytest.raises(NotDelivered, match=r"Check for a worker on the wall clock\. .*--set ticks\.clock=log"):
        publish(shop, log, "1000x", on_step=intruder)  # two hours in all
    assert time.monotonic() - started < 15


def test_a_rejected_record_ends_it_without_a_gap(shop: Shop, log: Path, tmp_path: Path) -> None:
    with KafkaAdminClient(bootstrap_servers=shop.bootstrap) as admin:

        def limit(size: int) -> None:
            name = shop.config.kafka.topics.complaints
            admin.alter_configs([ConfigResource("TOPIC", name, {"max.message.bytes": str(size)})])

        limit(400)
        with pytest.raises(NotDelivered, match="run the command again: it continues where this run stopped") as error:
            publish(shop, log)
        assert str(error.value).startswith(f"Cannot write to {shop.config.kafka.topics.complaints}: ")
        limit(1_048_588)
    publish(shop, log)
    assert_continued(shop.contents(), expected(shop, log, tmp_path))


def test_future_and_unreadable_events_are_reported_and_not_published(shop: Shop, tmp_path: Path) -> None:
    path, rejected = tmp_path / "log.jsonl", tmp_path / "rejected.jsonl"
    soon = int((datetime.now(UTC) + timedelta(hours=1)).timestamp()) * 10**6
    good: list[Event] = [order("a", soon - 7 * 3600 * 10**6), order("b", soon - 6 * 3600 * 10**6)]
    future = [order("c", soon), order("c", soon + 10 * 365 * 86_400 * 10**6)]
    path.write_bytes(b"\n".join([encode(event) for event in good + future] + [b"rubbish"]))
    done = shop.run(path, "--rejected", str(rejected))
    assert done.returncode == 0, done.stderr
    assert "3 lines were rejected" in done.stderr
    assert len(rejected.read_text(encoding="utf-8").splitlines()) == 3
    now = datetime.now(UTC)
    for (role, _), records in shop.contents().items():
        for _, value, _ in records:
            happened = decode_tick(value) if role == "ticks" else decode(value)
            assert isinstance(happened, Tick | Event)
            assert happened.occurred_at < now


def test_missing_topics_are_reported_with_the_remedy(kafka: str, short_log: Path) -> None:
    done = Shop(kafka).run(short_log)
    assert done.returncode == 1
    assert "is missing" in done.stderr
    assert "topics check" in done.stderr


def test_an_unreachable_broker_is_reported(short_log: Path) -> None:
    away = Shop("127.0.0.1:9")
    assert away.run(short_log).returncode == 5
    with pytest.raises(NoBroker, match=r"127\.0\.0\.1:9"):
        publish(away, short_log)
