"""Ten thousand hostile records among a hundred thousand good ones end no process and change no good customer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from random import Random
from threading import Event as Flag
from typing import Any, Final

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from faust.types import TP

from stream_app.adapters.kafka.last_records import read_last
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import confluent_options
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.schema import encode_message
from stream_app.ingest import LogFormat, open_log
from stream_app.publish.feed import Feed, Summary
from stream_app.publish.pace import FLAT_OUT, Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES, Sender
from stream_app.publish.watermarks import read_ends
from stream_app.simulate import ShopSettings, write_log
from tests.harness import hostile, raw_kafka
from tests.harness.alerts import urgent_alert
from tests.harness.processes import LiveSystem, Outcome, outcome_of_replay
from tests.harness.processes.outcome import outcome_in_redis
from tests.harness.receivers import AlertReceiver

SETTINGS: Final = {
    "kafka.partitions": "4",
    "shop.horizon": "7d",
    "shop.active_window": "40d",
    "shop.decide_every": "2d",
    "shop.capacity": "5",
    "shop.alert_above": "0.3",
    "trainer.keep": "1000",
    "health.watchdog_after": "0s",
}
CUSTOMERS, DAYS = 5_900, 28
GOOD, HOSTILE, SEED = 100_000, 10_000, 7
FIRST_GOOD: Final = 1_000  # events before the first hostile record
SERVICES: Final = ("worker", "worker", "trainer", "allocator", "notifier")
INPUTS: Final = ("ticks", "control", "contacts", *hostile.EVENTS)
UNREADABLE: Final = ("random bytes", "invalid UTF-8", "empty", "null", "not an object", "deep nesting")
URGENT: Final = 20  # current alerts of good customers, which the notifier delivers
DONE_SECONDS: Final = 240.0


class Attack:
    """Sends hostile records between the good ones.

    Args:
        live: whose topics.
        kinds: of the records.
        count: of small records in all, as many at a time as their share of the log.
        events: of the whole log.
        flush: returns when the broker has all good records so far.
    """

    def __init__(
        self, live: LiveSystem, kinds: Collection[str], count: int, events: int, flush: Callable[[], None]
    ) -> None:
        self.sent: Counter[str] = Counter()  # by kind
        self.unreadable = 0  # records that no version can read, on topics that are dead-lettered
        self.refused: Counter[str] = Counter()  # batches by hand that the broker does not take, by kind
        self._live, self._count, self._events, self._flush = live, count, events, flush
        self._at = ""
        self._many = hostile.many(SEED, count, lambda: self._at, kinds)
        self._few = list(hostile.few(SEED, kinds))
        Random(SEED).shuffle(self._few)
        self._producers: dict[str, Producer] = {}
        self._passed = 0

    def publishing(self, summary: Summary) -> None:
        """Send the share that corresponds to what has been published so far, of half of all records."""
        if summary.until is not None and summary.events >= FIRST_GOOD:
            if not self._at:
                # An event of a later time before good ones in its topic would rightly make these late; and the
                # good shop is the first that the partitions know.
                self._flush()
                self._at = summary.until.isoformat()
            due = summary.events * self._count // (2 * self._events)
            self.send(due - self._passed)
            self._passed = max(due, self._passed)

    def send(self, count: int) -> None:
        """Send the next small records, and one of the few with every hundred of them."""
        for record in islice(self._many, max(count, 0)):
            self._produce(record)
            if self.sent.total() % 100 == 0 and self._few:
                self._produce(self._few.pop())

    def finish(self) -> None:
        """Send the remaining records."""
        self.send(self._count)
        while self._few:
            self._produce(self._few.pop())
        for producer in self._producers.values():
            assert producer.flush(30) == 0

    def _produce(self, record: hostile.Record) -> None:
        config = self._live.config.kafka
        topic = getattr(config.topics, record.role)
        number = partition_of(record.customer, config.partitions) if record.customer else len(self.sent) % 4
        number = (number + record.strays) % config.partitions
        if record.batch is not None:
            answer = raw_kafka.send(config.bootstrap, topic, number, record.batch)
            self.refused[record.kind] += answer != 0
            self.sent[record.kind] += answer == 0
            return
        producer = self._producers.get(record.codec) or self._producers.setdefault(
            record.codec,
            Producer(
                {
                    **confluent_options(config),
                    "compression.type": record.codec,
                    "linger.ms": 1,
                    "message.max.bytes": 1_000_000,
                }
            ),
        )
        producer.produce(topic, record.value, record.key, number, headers=list(record.headers))
        producer.poll(0)
        self.sent[record.kind] += 1
        self.unreadable += record.role in INPUTS and record.kind in UNREADABLE


def attacked(live: LiveSystem, log: Path, kinds: Collection[str], count: int) -> Attack:
    """Publish a log among hostile records."""
    config = live.config
    topics = config.kafka.topics
    names = [*topics.of(*ROLES.values()).values(), topics.ticks]
    nothing_yet = dict.fromkeys(read_ends(config, names), 0)
    with open_log([str(log)], LogFormat("jsonl"), live.folder) as opened:
        events = opened.scan().events
        sender, stop = Sender(config, b"hostile", nothing_yet, flat_out=True), Flag()
        attack = Attack(live, kinds, count, events, sender.flush)
        feed = Feed(sender, Pace(FLAT_OUT, stop), config.kafka.partitions, attack.publishing, stop)
        feed.go(steps(opened.batches(), config.shop.settings(), complete=True, opening=True))
    return attack


def counted(live: LiveSystem, role: str) -> list[Any]:
    """Yield all records of a topic that librdkafka can read, partition by partition."""
    config = live.config.kafka
    options = {**confluent_options(config), "group.id": "counted", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({**options, "enable.partition.eof": True, "check.crcs": False})
    found: list[Any] = []
    try:
        consumer.assign(
            [TopicPartition(getattr(config.topics, role), number, 0) for number in range(config.partitions)]
        )
        left, deadline = config.partitions, time.monotonic() + 60
        while left and time.monotonic() < deadline:
            message = consumer.poll(5.0)
            error = message.error() if message is not None else None
            if message is None or (error and error.code() != KafkaError._PARTITION_EOF):
                continue
            if error:
                left -= 1
            else:
                found.append(message)
    finally:
        consumer.close()
    assert not left, f"the end of {role} could not be read"
    return found


def is_of_an_input(message: Any) -> bool:
    """Whether a record is a dead letter of a hostile record, rather than a hostile record."""
    try:
        names = dict(message.headers() or [])
    except UnicodeDecodeError:
        return False
    return "kafka_dlt-original-topic" in names and (message.key() or b"").startswith(hostile.PREFIX.encode())


def alerts_of(live: LiveSystem) -> dict[tuple[str, str], AlertOpened | AlertClosed]:
    """Return the alerts of good customers, by id and kind.

    They are read as the services read them: behind a record with a false offset, librdkafka skips others.
    """
    found: dict[tuple[str, str], AlertOpened | AlertClosed] = {}

    def take(_: TP, records: list[Record]) -> None:
        for record in records:
            try:
                alert = msgspec.json.decode(record.value or b"", type=AlertOpened | AlertClosed)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            if not alert.customer_id.startswith((hostile.PREFIX, "customer-")):
                found[alert.alert_id, type(alert).__name__] = alert

    topic = live.config.kafka.topics.alerts
    read_last(live.config, [TP(topic, number) for number in range(live.partitions)], 10**9, take)
    return found


def good(outcome: Outcome) -> dict[str, Any]:
    """Return what must not change: states and scores of good customers, and models."""
    return {
        "states": {name: state for name, state in outcome.states.items() if not name.startswith(hostile.PREFIX)},
        "scores": {name: score for name, score in outcome.scores.items() if not name.startswith(hostile.PREFIX)},
        "model": outcome.model,
        "versions": outcome.versions,
    }


def assert_same(mine: dict[Any, Any], theirs: dict[Any, Any], what: str) -> None:
    differing = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    examples = "\n".join(f"{key}: {mine.get(key)}\n!= {theirs.get(key)}" for key in differing[:3])
    assert not differing, f"{len(differing)} {what} differ:\n{examples}"


def send_urgent(live: LiveSystem) -> None:
    """Send current alerts of good customers to the same topic."""
    config = live.config.kafka
    producer = Producer(confluent_options(config))
    for number in range(URGENT):
        alert = urgent_alert(number)
        partition = partition_of(alert.customer_id, config.partitions)
        header: list[tuple[str, str | bytes | None]] = [("sequence", str(10**6 + number).encode())]
        producer.produce(config.topics.alerts, encode_message(alert), alert.customer_id, partition, headers=header)
    assert producer.flush(30) == 0


def attack_and_compare(
    log: Path, kinds: Collection[str], count: int, tell: Callable[[str], None], seconds: float = DONE_SECONDS
) -> None:
    """Run the services among hostile records of some kinds, and compare good customers with a replay."""
    with AlertReceiver() as receiver, LiveSystem(SETTINGS) as live:
        live.write_channels(team={"url": receiver.url("team")})
        live.run("topics", "create")
        began = time.monotonic()
        attack = attacked(live, log, kinds, count)
        published = time.monotonic()
        processes = [live.start(name) for name in SERVICES]
        total = sum(live.ends().values())
        live.wait("the services work", lambda: live.consumed() > total / 10, seconds)
        attack.finish()
        send_urgent(live)
        live.wait("the log is worked off", live.done, seconds, every=0.5)
        live.wait("the alerts are delivered", lambda: receiver.accepted >= URGENT, seconds)
        finished = time.monotonic()
        came = outcome_in_redis(live)
        alerts, dead = alerts_of(live), counted(live, "dead_letters")
        running = [process.running for process in processes]
        statuses = [process.stop() for process in processes]
        replayed = outcome_of_replay(live.config.shop.settings(), live.partitions, log, LogFormat("jsonl"))
    buried = sum(map(is_of_an_input, dead))
    tell(f"{attack.sent.total()} hostile records, {sum(attack.refused.values())} refused {dict(attack.refused)}")
    tell(f"published in {published - began:.0f} s, worked off in {finished - published:.0f} s; {buried} dead letters")
    assert not +attack.refused  # or the broker is tested instead
    assert buried >= attack.unreadable
    assert all(running)
    assert statuses == [0] * len(SERVICES)
    assert len(replayed.opened) > 50
    expected: dict[tuple[str, str], AlertOpened | AlertClosed] = {}
    expected.update({(name, "AlertOpened"): one for name, one in replayed.opened.items()})
    expected.update({(name, "AlertClosed"): one for name, one in replayed.closed.items()})
    assert_same(alerts, expected, "alerts")
    mine, theirs = good(came), good(replayed)
    assert_same(mine["states"], theirs["states"], "states")
    assert_same(mine["scores"], theirs["scores"], "scores")
    assert_same(mine["versions"], theirs["versions"], "versions")
    assert mine["model"] == theirs["model"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of about a hundred thousand events of a simulated shop."""
    path = tmp_path_factory.mktemp("hostile") / "shop.jsonl"
    with path.open("wb") as file:
        events = write_log(ShopSettings(customers=CUSTOMERS, days=DAYS), SEED, file)
    assert events >= GOOD
    return path


@pytest.mark.slow
def test_hostile_records_end_no_service_and_change_no_good_customer(log: Path, tell: Callable[[str], None]) -> None:
    attack_and_compare(log, hostile.KINDS, HOSTILE, tell)
