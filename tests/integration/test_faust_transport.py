"""The batching transport on a real Kafka, through a real Faust app and agent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import faust
import pytest
import uvloop
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faust.types import TP
from mode import CrashingSupervisor

from stream_app.adapters.kafka.faust_transport import BatchingTransport, Fetched
from stream_app.adapters.kafka.faust_transport.consumer import BatchingConsumer
from stream_app.errors import HistoryGone, PositionAhead

# Faust and mode leave futures of cancelled services; the warnings are theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

PARTITIONS = 4


class Shop:
    """Topics of one test, with the records appended to each partition in order."""

    def __init__(self, bootstrap: str, topics: int, partitions: int = PARTITIONS) -> None:
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.topics = [f"transport-{uuid.uuid4().hex[:8]}" for _ in range(topics)]
        made = self.admin.create_topics([NewTopic(topic, partitions, 1) for topic in self.topics])
        for future in made.values():
            future.result(10)
        self.tps = [TP(topic, partition) for topic in self.topics for partition in range(partitions)]
        self.appended: dict[TP, list[bytes]] = {tp: [] for tp in self.tps}
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1})
        self._numbers = itertools.count()

    def append(self, count: int, *tps: TP) -> None:
        """Append a number of records, spread over the partitions."""
        for tp, _ in zip(itertools.cycle(tps or self.tps), range(count), strict=False):
            value = b"%012d" % next(self._numbers)
            self._producer.produce(tp.topic, value, partition=tp.partition, on_delivery=self._delivered)
        assert self._producer.flush(20) == 0

    def _delivered(self, error: object, message: Any) -> None:
        """Record a delivery; it is called in the order of offsets, which may differ from the order of `produce`."""
        assert error is None
        appended = self.appended[TP(message.topic(), message.partition())]
        assert message.offset() == len(appended)
        appended.append(message.value())

    def forget_before(self, tp: TP, offset: int) -> None:
        """Delete the records of a partition before an offset, as retention does."""
        deleted = self.admin.delete_records([TopicPartition(tp.topic, tp.partition, offset)])
        for future in deleted.values():
            future.result(10)

    def committed(self, group: str) -> dict[TP, int]:
        """Return the offsets that the group has committed to Kafka."""
        (answer,) = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        return {TP(each.topic, each.partition): each.offset for each in answer.result(10).topic_partitions}


class Store:
    """A substitute of Redis: positions, each advanced only from the start of the batch."""

    def __init__(self) -> None:
        self.positions: dict[TP, int] = {}
        self.values: dict[TP, list[bytes]] = defaultdict(list)
        self.wrong_bases: list[tuple[TP, int, Fetched]] = []

    def commit(self, tp: TP, fetched: Fetched) -> None:
        base = self.positions.get(tp, 0)
        if base != fetched.start:
            self.wrong_bases.append((tp, base, fetched))
            return
        self.positions[tp] = fetched.end
        self.values[tp] += [record.value or b"" for record in fetched.records]


class Reader:
    """A Faust app with one agent over all topics, which commits each batch to the store and reports that it is done."""

    def __init__(self, shop: Shop, store: Store, folder: Path, group: str = "", **options: Any) -> None:
        self.shop, self.store = shop, store
        self.got: dict[TP, list[Fetched]] = defaultdict(list)
        self.asked: list[frozenset[TP]] = []
        self.unwanted: set[TP] = set()
        self.tells: Callable[[TP], bool] = lambda _: True
        self.group = group or f"group-{uuid.uuid4().hex[:8]}"
        self.app = faust.App(
            self.group,
            broker=f"kafka://{shop.bootstrap}",
            datadir=str(folder / uuid.uuid4().hex),
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            agent_supervisor=CrashingSupervisor,
            stream_wait_empty=False,
            broker_session_timeout=10,
            broker_heartbeat_interval=1,
        )
        wants = lambda tp: tp not in self.unwanted  # noqa: E731 - a question in one line
        self.transport = BatchingTransport.install(self.app, positions=self.positions, wants=wants, **options)
        self.app.agent(self.app.topic(*shop.topics, key_serializer="raw", value_serializer="raw"))(self.consume)

    async def positions(self, tps: frozenset[TP]) -> Mapping[TP, int]:
        self.asked.append(tps)
        return {tp: self.store.positions[tp] for tp in tps if tp in self.store.positions}

    async def consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            assert message.offset == dict(event.value)[message.tp].end - 1
            for tp, fetched in event.value:
                self.got[tp].append(fetched)
                self.store.commit(tp, fetched)
                if self.tells(tp):
                    self.transport.done(tp, fetched.end)
            event.ack()
            assert message not in self.app.consumer.unacked

    def crash(self) -> BaseException | None:
        return self.app.crash_reason

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.app.start()
        try:
            yield
        finally:
            await self.app.stop()
            consumer = self.app.consumer
            assert isinstance(consumer, BatchingConsumer)
            thread = consumer._thread._thread
            if self.crash() is not None and thread is not None:  # runs on, and needs this loop until it ends
                await asyncio.to_thread(thread.join, 10)


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait for a condition, and return the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came about"
        await asyncio.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_kind(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Use this kind of event loop in all threads: Faust's threads create theirs by the policy."""
    policies: Any = asyncio  # deprecated from Python 3.14 on, but the only way for Faust
    before = policies.get_event_loop_policy()
    policies.set_event_loop_policy(request.param())
    yield request.param
    policies.set_event_loop_policy(before)


def test_all_records_of_all_partitions_come_in_order_without_a_gap(
    kafka: str, tmp_path: Path, event_loop_kind: Any
) -> None:
    shop, store = Shop(kafka, topics=6), Store()
    for _ in range(8):
        shop.append(3000)  # a fetch never splits a record batch
    reader = Reader(shop, store, tmp_path, max_partition_fetch_bytes=8192)

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: sum(map(len, store.values.values())) == 24_000)

    asyncio.run(scenario())
    assert store.values == shop.appended
    assert store.wrong_bases == []
    assert max(len(each) for each in reader.got.values()) > 2  # so it took several fetches
    for batches in reader.got.values():
        offsets = [record.offset for batch in batches for record in batch.records]
        assert offsets == list(range(1000))
        assert batches[0].start == 0
        assert all(before.end == after.start for before, after in itertools.pairwise(batches))
        assert all(batch.end <= batch.high_watermark == 1000 for batch in batches)


def test_a_partition_without_records_reports_once_that_it_is_caught_up(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=2), Store()
    busy = shop.tps[0]
    shop.append(3, busy)
    reader = Reader(shop, store, tmp_path)

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: len(reader.got) == len(shop.tps))
            await asyncio.sleep(0.3)  # about ten more empty responses of the broker
            assert all(len(batches) == 1 for batches in reader.got.values())
            shop.append(1, busy)
            await until(lambda: len(reader.got[busy]) == 2)
            await asyncio.sleep(0.1)

    asyncio.run(scenario())
    first, second = reader.got.pop(busy)
    assert (first.start, len(first.records), first.end, first.high_watermark) == (0, 3, 3, 3)
    assert (second.start, len(second.records), second.end, second.high_watermark) == (3, 1, 4, 4)
    assert set(map(tuple, reader.got.values())) == {(Fetched(0, (), 0, 0),)}


def test_paused_records_wait_and_are_not_lost(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=2), Store()
    held = {tp for tp in shop.tps if tp.topic == shop.topics[0]}
    shop.append(800)
    reader = Reader(shop, store, tmp_path, max_partition_fetch_bytes=2048)
    reader.unwanted = set(held)

    async def scenario() -> float:
        async with reader.running():
            await until(lambda: sum(map(len, store.values.values())) == 400)
            await asyncio.sleep(0.3)
            assert not held & set(reader.got)
            # A worker with all partitions paused waits without a fetch, which would hide the change.
            reader.unwanted = set(shop.tps)
            await asyncio.sleep(0.05)
            reader.unwanted = set()
            reader.transport.wants_changed()
            return await until(lambda: store.values == shop.appended)

    assert asyncio.run(scenario()) < 0.9  # a waiting fetch ends after 1 s
    assert store.wrong_bases == []


def test_a_partition_that_is_held_back_does_not_slow_the_others(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=2, partitions=1), Store()
    held, free = shop.tps
    reader = Reader(shop, store, tmp_path)
    reader.unwanted = {held}

    async def scenario() -> list[float]:
        seconds = []
        async with reader.running():
            await until(lambda: free in reader.got)
            for _ in range(20):
                shop.append(1, held)
                shop.append(1, free)
                seconds.append(await until(lambda: store.values[free] == shop.appended[free]))
        return seconds

    assert sorted(asyncio.run(scenario()))[-3] < 0.09  # with aiokafka's default settings it would take 0.1 to 0.6 s


def test_reading_begins_at_the_stored_positions(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=2), Store()
    shop.append(80)
    stored, at_end, missing = shop.tps[0], shop.tps[1], shop.tps[2]
    store.positions = {tp: 4 for tp in shop.tps if tp != missing} | {at_end: 10}
    reader = Reader(shop, store, tmp_path)

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: len(reader.got) == len(shop.tps))

    asyncio.run(scenario())
    assert reader.asked == [frozenset(shop.tps)]
    assert [batch.start for batch in reader.got[stored]] == [4]
    assert [record.offset for record in reader.got[stored][0].records] == list(range(4, 10))
    assert reader.got[at_end] == [Fetched(10, (), 10, 10)]
    assert reader.got[missing][0].start == 0


def test_the_offsets_committed_to_kafka_are_the_latest_positions(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=2), Store()
    silent, empty = shop.tps[0], shop.tps[1]
    shop.append(600, *(tp for tp in shop.tps if tp != empty))
    reader = Reader(shop, store, tmp_path, max_partition_fetch_bytes=2048)
    reader.tells = lambda tp: tp != silent and store.positions[tp] < 70

    async def scenario() -> dict[TP, int]:
        async with reader.running():
            await until(lambda: store.values == {tp: each for tp, each in shop.appended.items() if each or tp == empty})
            await reader.app.consumer.commit()
            return shop.committed(reader.group)

    committed = asyncio.run(scenario())
    told = {
        tp: max([batch.end for batch in batches if batch.end < 70], default=None)
        for tp, batches in reader.got.items()
        if tp != silent
    }
    assert committed == {tp: end for tp, end in told.items() if end is not None}
    assert committed[empty] == 0


def test_reading_resumes_at_the_stored_positions(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=1), Store()
    shop.append(40)
    reader = Reader(shop, store, tmp_path)

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: store.values == shop.appended)
            reader.app.consumer.stop_flow()
            back = shop.tps[0]
            store.positions[back] = 3  # an older snapshot of Redis
            store.values[back] = shop.appended[back][:3]
            shop.append(40)
            reader.app.consumer.resume_flow()
            await until(lambda: store.values == shop.appended)

    asyncio.run(scenario())
    assert len(reader.asked) == 2
    assert store.wrong_bases == []


def test_a_joining_and_leaving_worker_loses_and_duplicates_nothing(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=3), Store()
    first = Reader(shop, store, tmp_path)
    second = Reader(shop, store, tmp_path, group=first.group)

    async def keep_appending(stop: asyncio.Event) -> None:
        while not stop.is_set():
            shop.append(240)
            await asyncio.sleep(0.02)

    async def scenario() -> None:
        stop = asyncio.Event()
        async with first.running():
            appending = asyncio.create_task(keep_appending(stop))
            await until(lambda: len(store.values) == len(shop.tps))
            async with second.running():
                await until(lambda: len(second.got) == len(shop.tps) // 2)
                await asyncio.sleep(0.5)
            await until(lambda: len(first.asked) == 3)
            await asyncio.sleep(0.5)
            stop.set()
            await appending
            await until(lambda: store.values == shop.appended)

    asyncio.run(scenario())
    assert [len(tps) for tps in first.asked] == [12, 6, 12]
    assert store.wrong_bases == []  # each batch begins exactly where the one before has ended, in any worker
    shared = {tp.partition for tp in second.got}
    assert set(second.got) == {tp for tp in shop.tps if tp.partition in shared}  # all topics of its partition numbers


@pytest.mark.parametrize(("position", "error"), [(2, HistoryGone), (11, PositionAhead)])
def test_a_position_that_kafka_does_not_have_ends_the_app(
    kafka: str, tmp_path: Path, position: int, error: type[Exception]
) -> None:
    shop, store = Shop(kafka, topics=1, partitions=1), Store()
    (tp,) = shop.tps
    shop.append(10)
    shop.forget_before(tp, 5)
    store.positions[tp] = position
    reader = Reader(shop, store, tmp_path)

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: reader.crash() is not None)

    asyncio.run(scenario())
    assert isinstance(reader.crash(), error)
    assert f"{tp.topic}[0]" in str(reader.crash())
    assert not reader.got


def test_history_that_is_deleted_while_it_is_read_ends_the_app(kafka: str, tmp_path: Path) -> None:
    shop, store = Shop(kafka, topics=1, partitions=1), Store()
    (tp,) = shop.tps
    for _ in range(10):
        shop.append(100)
    reader = Reader(shop, store, tmp_path, max_partition_fetch_bytes=1024)
    reader.unwanted = {tp}

    async def scenario() -> None:
        async with reader.running():
            await until(lambda: bool(reader.asked))
            await asyncio.sleep(0.3)  # the first fetch has arrived and is held back
            shop.forget_before(tp, 990)
            reader.unwanted = set()
            reader.transport.wants_changed()
            await until(lambda: reader.crash() is not None)

    asyncio.run(scenario())
    assert isinstance(reader.crash(), HistoryGone)
    assert 0 < store.positions[tp] < 990
    assert "the earliest offset is 990" in str(reader.crash())
