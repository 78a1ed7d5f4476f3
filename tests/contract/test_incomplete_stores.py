"""What every store does when a part of what it has stored is gone: deleted, evicted or overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import redis

from stream_app.adapters.redis.connection import make_client
from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.adapters.redis.model_store import RedisModelStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.core.delivery.records import Delivery, DeliveryChanges, OutboundMessage, encode_record
from stream_app.core.partition.commit import Commit
from stream_app.errors import StoreIncomplete, StoreUnavailable
from stream_app.ports import DeliveryStore, ModelStore, ModelVersion, Outcome, StateStore
from tests.fakes.delivery_store import MemoryDeliveryStore, StoredDeliveries
from tests.fakes.stores import MemoryModelStore, MemoryServer, MemoryStateStore

DONE: Final = Outcome.DONE
KEEP: Final = 3


@dataclass
class MemoryHands:
    """Stores in memory, and hands that reach into them."""

    server: MemoryServer = field(default_factory=MemoryServer)
    deliveries: StoredDeliveries = field(default_factory=StoredDeliveries)

    def states(self) -> StateStore:
        return MemoryStateStore(self.server)

    def models(self) -> ModelStore:
        return MemoryModelStore(self.server, KEEP)

    def deliverer(self) -> DeliveryStore:
        return MemoryDeliveryStore(self.deliveries)

    def drop(self, owner: str, kind: str) -> None:
        place: Any = {"p3": self.server.partitions[3], "model": self.server.models, "deliver": self.deliveries}[owner]
        if kind != "meta":
            getattr(place, {"episodes": "alerts", "letters": "messages"}.get(kind, kind)).clear()
        elif owner == "p3":
            place.position, place.summary, place.sequence, place.counts = b"", b"", 0, {}
        else:
            place.number, place.counts = 0, {}

    def put(self, customer: str, state: bytes | None) -> None:
        states = self.server.partitions[3].states
        if state is None:
            del states[customer]
        else:
            states[customer] = state


@dataclass
class RedisHands:
    """The same on a real Redis."""

    url: str
    exits: AsyncExitStack
    cluster: bool

    def _client(self) -> Any:
        client = make_client(self.url, cluster=self.cluster)
        self.exits.push_async_callback(client.aclose)
        return client

    def states(self) -> StateStore:
        return RedisStateStore(self._client(), "test")

    def models(self) -> ModelStore:
        return RedisModelStore(self._client(), "test", KEEP, lambda: (b"key",))

    def deliverer(self) -> DeliveryStore:
        return RedisDeliveryStore(self._client(), "test")

    def drop(self, owner: str, kind: str) -> None:
        with redis.Redis.from_url(self.url) as client:
            assert client.delete(f"test:{{{owner}}}:{kind}") == 1

    def put(self, customer: str, state: bytes | None) -> None:
        with redis.Redis.from_url(self.url) as client:
            if state is None:
                assert client.hdel("test:{p3}:states", customer) == 1
            else:
                client.hset("test:{p3}:states", customer, state)


Hands = MemoryHands | RedisHands
Scenario = Callable[[Hands], Awaitable[None]]
Play = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "redis", "cluster"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scenario on empty stores of each kind."""
    kind = request.param
    url = "" if kind == "memory" else request.getfixturevalue("cluster_url" if kind == "cluster" else "redis_url")

    async def run(scenario: Scenario) -> None:
        async with AsyncExitStack() as exits:
            await scenario(RedisHands(url, exits, kind == "cluster") if url else MemoryHands())

    def played(scenario: Scenario) -> None:
        if url:
            with redis.Redis.from_url(url) as client:
                client.flushall()
        asyncio.run(run(scenario))

    return played


# --- states ----------------------------------------------------------------------------------------------------------


def batch(base: bytes, position: bytes, **states: bytes) -> Commit:
    return Commit(3, base, position, states, b"summary", [b"record"], {"episode": b"note " + position})


async def worker(hands: Hands, instance: str = "worker-1") -> StateStore:
    store = hands.states()
    await store.claim(instance)
    return store


async def opened(store: StateStore) -> dict[str, bytes]:
    """Open the partition and read its states, as a worker does."""
    await store.open(3)
    return {customer: state async for chunk in store.states(3) for customer, state in chunk}


async def two_batches(hands: Hands) -> StateStore:
    store = await worker(hands)
    await opened(store)
    assert (await store.commit(batch(b"", b"1", ann=b"a1", bob=b"b1"), "1", 0))[0] is DONE
    assert (await store.commit(batch(b"1", b"2", bob=b"b2", cem=b"c2"), "2", 1))[0] is DONE
    return store


@pytest.mark.parametrize("kind", ["states", "outbox", "episodes"])
def test_a_partition_that_lacks_a_key_is_neither_opened_nor_committed(play: Play, kind: str) -> None:
    async def scenario(hands: Hands) -> None:
        running = await two_batches(hands)
        hands.drop("p3", kind)
        with pytest.raises(StoreIncomplete, match=f"partition 3: `{kind}` holds 0 entries, and ") as refused:
            await (await worker(hands, "worker-2")).open(3)
        assert refused.value.exit_code == 4
        with pytest.raises(StoreIncomplete, match=f"`{kind}` holds 0"):
            await running.commit(batch(b"2", b"3", ann=b"a3"), "3", 1)
        assert await running.positions([3]) == {3: b"2"}
        assert await running.state(3, "ann") == (None if kind == "states" else b"a1")

    play(scenario)


def test_an_outbox_that_lacks_records_is_neither_trimmed_nor_moved(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        store = await two_batches(hands)
        hands.drop("p3", "outbox")
        with pytest.raises(StoreIncomplete, match="`outbox` holds 0 entries, and 1 were stored"):
            await store.trim(3, 2)
        with pytest.raises(StoreIncomplete, match="`outbox` holds 0 entries, and 1 were stored"):
            await store.skip(3, 9, 3, [b"void"])

    play(scenario)


def test_a_partition_without_its_position_is_not_begun_anew(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        await two_batches(hands)
        hands.drop("p3", "meta")
        with pytest.raises(
            StoreIncomplete, match=r"`states` holds 3 entries, and `meta`, .* is gone; `outbox` holds 1"
        ):
            await (await worker(hands)).open(3)

    play(scenario)


def test_one_customer_who_is_gone_is_missed(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        await two_batches(hands)
        hands.put("bob", None)
        with pytest.raises(StoreIncomplete, match="`states` holds 2 entries, and 3 were stored"):
            await (await worker(hands)).open(3)

    play(scenario)


@pytest.mark.parametrize(
    "changed",
    [{"ann": b"odd"}, {"bob": b"b1"}, {"ann": b"b2", "bob": b"a1"}, {"ann": None, "dan": b"a1"}],
    ids=["other bytes", "an older state", "two states exchanged", "another name"],
)
def test_states_of_the_right_number_and_other_values_are_refused(play: Play, changed: dict[str, bytes | None]) -> None:
    async def scenario(hands: Hands) -> None:
        await two_batches(hands)
        assert await opened(await worker(hands)) == {"ann": b"a1", "bob": b"b2", "cem": b"c2"}
        for customer, state in changed.items():
            hands.put(customer, state)
        with pytest.raises(StoreIncomplete, match="as many entries as were stored, but other values"):
            await opened(await worker(hands))

    play(scenario)


def test_the_digest_goes_on_from_life_to_life(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        await two_batches(hands)
        second = await worker(hands)
        await opened(second)
        assert (await second.commit(batch(b"2", b"3", ann=b"a3", dan=b"d3"), "1", 2))[0] is DONE
        await second.open(3)  # as after a rebalance that left the partition where it was
        assert (await second.commit(batch(b"3", b"4", dan=b"d4"), "2", 3))[0] is DONE
        await second.trim(3, 4)
        second.close(3)
        third = await worker(hands)
        assert await opened(third) == {"ann": b"a3", "bob": b"b2", "cem": b"c2", "dan": b"d4"}
        assert await third.skip(3, 9, 5, [b"void"]) == 10
        await (await worker(hands)).open(3)
        hands.put("dan", b"d3")
        with pytest.raises(StoreIncomplete, match="other values"):
            await opened(await worker(hands))

    play(scenario)


def test_a_batch_that_was_refused_leaves_the_digest_right(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        store = await two_batches(hands)
        assert (await store.commit(batch(b"of another", b"3", ann=b"a3"), "3", 2))[0] is Outcome.WRONG_BASE
        assert (await store.commit(batch(b"2", b"3", bob=b"b3"), "4", 2))[0] is DONE
        assert await opened(await worker(hands)) == {"ann": b"a1", "bob": b"b3", "cem": b"c2"}

    play(scenario)


def test_who_writes_while_states_are_read_raises_no_alarm(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        running = await two_batches(hands)
        other = hands.states()
        await other.claim("worker-2")
        await other.open(3)
        reading = other.states(3)
        await anext(reading)
        assert (await running.commit(batch(b"2", b"3", ann=b"a3"), "3", 2))[0] is DONE
        assert [chunk async for chunk in reading] == []
        assert (await other.commit(batch(b"2", b"3", ann=b"x"), "1", 2))[0] is Outcome.WRONG_BASE

    play(scenario)


def test_a_partition_of_an_earlier_version_is_opened_and_counted_from_then_on(redis_url: str) -> None:
    async def scenario(hands: Hands) -> None:
        await two_batches(hands)
        with redis.Redis.from_url(redis_url) as client:
            client.hdel("test:{p3}:meta", "count:states", "count:outbox", "count:episodes", "digest")
        store = await worker(hands)
        assert len(await opened(store)) == 3
        assert (await store.commit(batch(b"2", b"3", ann=b"a3"), "1", 2))[0] is DONE
        hands.put("bob", b"odd")
        with pytest.raises(StoreIncomplete, match="other values"):
            await opened(await worker(hands))
        hands.put("bob", None)
        with pytest.raises(StoreIncomplete, match="`states` holds 2 entries, and 3"):
            await opened(await worker(hands))

    async def run() -> None:
        async with AsyncExitStack() as exits:
            await scenario(RedisHands(redis_url, exits, cluster=False))

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    asyncio.run(run())


# --- models ----------------------------------------------------------------------------------------------------------


async def trainer(hands: Hands) -> ModelStore:
    store = hands.models()
    await store.claim("trainer")
    return store


async def learn(store: ModelStore, number: int) -> Outcome:
    version = ModelVersion(number, number, "print", 1, 1, {}, 1)
    return await store.checkpoint(
        base=number - 1, number=number, checkpoint=b"c", through=number, version=version, snapshot=b"s"
    )


@pytest.mark.parametrize("kind", ["versions", "index"])
def test_models_that_lack_a_key_are_refused(play: Play, kind: str) -> None:
    async def scenario(hands: Hands) -> None:
        running = await trainer(hands)
        for number in range(1, KEEP + 3):
            assert await learn(running, number) is DONE
        await running.verify()
        hands.drop("model", kind)
        with pytest.raises(StoreIncomplete, match=f"the trainer: `{kind}` holds 0 entries, and [35] were stored"):
            await trainer(hands)
        with pytest.raises(StoreIncomplete, match=f"`{kind}` holds 0"):
            await hands.models().verify()

    play(scenario)


def test_a_running_trainer_ends_when_snapshots_are_evicted(redis_url: str) -> None:
    async def run() -> None:
        async with AsyncExitStack() as exits:
            hands = RedisHands(redis_url, exits, cluster=False)
            running = await trainer(hands)
            assert await learn(running, 1) is DONE
            hands.drop("model", "snapshots")
            with pytest.raises(StoreIncomplete, match="`snapshots` holds 0 entries, and 1 were stored"):
                await learn(running, 2)
            assert (await running.latest()) == (1, b"c")

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    asyncio.run(run())


def test_versions_without_a_checkpoint_are_refused(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        assert await learn(await trainer(hands), 1) is DONE
        hands.drop("model", "meta")
        with pytest.raises(StoreIncomplete, match="`versions` holds 1 entries, and `meta`"):
            await trainer(hands)

    play(scenario)


# --- deliveries ------------------------------------------------------------------------------------------------------


def changes(base: int) -> DeliveryChanges:
    """Commits 0 and 1: one delivery that is pending, then one that is dead beside it."""
    name = "open" if base == 0 else "dead"
    stored = {name: encode_record(Delivery(name, "al", "team", "main", 1, 1, 9, 1, message=name))}
    messages: dict[str, bytes | None] = {
        name: encode_record(OutboundMessage(name, "team", (name,), "t", "m", "p", 1, 9, 1))
    }
    return DeliveryChanges(
        base,
        b"{}",
        stored,
        messages,
        channels={"team": b"state"},
        opened=[name] if base == 0 else [],
        ended={} if base == 0 else {name: 5},
        dead=[] if base == 0 else [name],
    )


async def deliverer(hands: Hands) -> DeliveryStore:
    store = hands.deliverer()
    await store.claim("deliver")
    return store


@pytest.mark.parametrize("kind", ["deliveries", "letters", "channels", "open", "ended", "dead"])
def test_deliveries_that_lack_a_key_are_refused(play: Play, kind: str) -> None:
    async def scenario(hands: Hands) -> None:
        running = await deliverer(hands)
        for number in range(2):
            assert await running.commit(changes(number), str(number)) is DONE
        await deliverer(hands)  # all is there
        hands.drop("deliver", kind)
        with pytest.raises(StoreIncomplete, match=f"the deliverer: `{kind}` holds 0 entries, and [12] were stored"):
            await deliverer(hands)

    play(scenario)


@pytest.mark.parametrize("kind", ["deliveries", "open"])
def test_a_running_deliverer_ends_when_a_key_is_evicted(play: Play, kind: str) -> None:
    async def scenario(hands: Hands) -> None:
        running = await deliverer(hands)
        assert await running.commit(changes(0), "1") is DONE
        hands.drop("deliver", kind)
        with pytest.raises(StoreIncomplete, match=f"`{kind}` holds 0 entries, and 1 were stored"):
            await running.commit(changes(1), "2")

    play(scenario)


def test_what_is_forgotten_is_not_missed(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        running = await deliverer(hands)
        for number in range(2):
            assert await running.commit(changes(number), str(number)) is DONE
        assert await running.forget(before=6, keep=10) == 1
        assert len(await (await deliverer(hands)).deliveries(["open", "dead"])) == 1
        hands.drop("deliver", "letters")
        with pytest.raises(StoreIncomplete, match="`letters` holds 0 entries, and 1 were stored"):
            await (hands.deliverer()).claim("deliver")

    play(scenario)


def test_deliveries_without_a_position_are_refused(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        assert await (await deliverer(hands)).commit(changes(0), "1") is DONE
        hands.drop("deliver", "meta")
        with pytest.raises(StoreIncomplete, match="`deliveries` holds 1 entries, and `meta`"):
            await deliverer(hands)

    play(scenario)


# --- a key of another type -------------------------------------------------------------------------------------------


def test_a_key_of_another_type_is_refused(redis_url: str) -> None:
    async def run() -> None:
        async with AsyncExitStack() as exits:
            hands = RedisHands(redis_url, exits, cluster=False)
            running = await two_batches(hands)
            with redis.Redis.from_url(redis_url) as client:
                client.set("test:{p3}:episodes", "text")
            with pytest.raises(StoreIncomplete, match="`episodes` holds 0 entries, and 1"):
                await (await worker(hands, "worker-2")).open(3)
            with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
                await running.commit(batch(b"2", b"3", ann=b"a3"), "3", 1)
            assert await running.state(3, "ann") == b"a1"

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    asyncio.run(run())


# --- ids of topics ----------------------------------------------------------------------------------------------------


def test_ids_of_topics_stay_once_something_was_read(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        store = await worker(hands)
        await opened(store)
        assert await store.keep_topics(3, {"orders": "a", "cart": "b"}) == {"orders": "a", "cart": "b"}
        assert await store.keep_topics(3, {"orders": "c"}) == {"orders": "c"}
        assert (await store.commit(batch(b"", b"1", ann=b"a1"), "1", 0))[0] is DONE
        kept = await store.keep_topics(3, {"cart": "x", "orders": "y", "ticks": "z"})
        assert kept == {"cart": "b", "orders": "c", "ticks": "z"}
        assert await store.keep_topics(4, {"orders": "d"}) == {"orders": "d"}
        await store.accept_topic(3, "orders", "y")
        assert await store.keep_topics(3, {"orders": "c"}) == {"orders": "y"}
        assert await store.keep_topics(3, {}) == {}

    play(scenario)


def test_trainer_and_deliverer_keep_ids_too(play: Play) -> None:
    async def scenario(hands: Hands) -> None:
        models, deliveries = await trainer(hands), await deliverer(hands)
        assert await models.keep_topics({"labelled": "a"}) == {"labelled": "a"}
        assert await models.keep_topics({"labelled": "b"}) == {"labelled": "b"}
        assert await learn(models, 1) is DONE
        assert await models.keep_topics({"labelled": "c"}) == {"labelled": "b"}
        await models.accept_topic("labelled", "c")
        assert await models.keep_topics({"labelled": "b"}) == {"labelled": "c"}
        assert await deliveries.keep_topics({"alerts": "a"}) == {"alerts": "a"}
        assert await deliveries.commit(changes(0), "1") is DONE
        assert await deliveries.keep_topics({"alerts": "b"}) == {"alerts": "a"}
        await deliveries.accept_topic("alerts", "b")
        assert await deliveries.keep_topics({"alerts": "a"}) == {"alerts": "b"}

    play(scenario)
