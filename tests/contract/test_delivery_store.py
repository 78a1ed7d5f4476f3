"""Contract of every delivery store, and further requirements on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis
from hypothesis import given, strategies as st

from stream_app.adapters.redis.connection import make_client
from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.core.delivery.records import Delivery, DeliveryChanges, DeliveryState, OutboundMessage, encode_record
from stream_app.errors import Fenced, NotClaimed, StoreUnavailable
from stream_app.ports import DeliveryStore, Outcome
from tests.fakes import MemoryDeliveryStore, StoredDeliveries

DONE, ALREADY_DONE, FENCED, WRONG_BASE = Outcome.DONE, Outcome.ALREADY_DONE, Outcome.FENCED, Outcome.WRONG_BASE
Make = Callable[[], DeliveryStore]
Scenario = Callable[[Make], Awaitable[None]]
Play = Callable[[Scenario], None]
ODD_NAMES = ["al_1:team", "客户:team", "lone \ud800:team", "a\x00b:team"]


def play_in_memory(scenario: Scenario) -> None:
    server = StoredDeliveries()

    async def run() -> None:
        await scenario(lambda: MemoryDeliveryStore(server))

    asyncio.run(run())


def play_on_redis(url: str, scenario: Scenario, *, cluster: bool = False) -> None:
    async def run() -> None:
        async with AsyncExitStack() as exits:

            def make() -> DeliveryStore:
                client = make_client(url, cluster=cluster)
                exits.push_async_callback(client.aclose)
                return RedisDeliveryStore(client, "test")

            await scenario(make)

    with redis.Redis.from_url(url) as client:
        client.flushall()
    asyncio.run(run())


@pytest.fixture(params=["memory", "redis", "cluster"])
def play(request: pytest.FixtureRequest) -> Play:
    """Provide a function that runs a scenario on an empty server of each kind."""
    if request.param == "memory":
        return play_in_memory
    in_cluster = request.param == "cluster"
    url: str = request.getfixturevalue("cluster_url" if in_cluster else "redis_url")
    return lambda scenario: play_on_redis(url, scenario, cluster=in_cluster)


def delivery(name: str, message: str = "", **fields: Any) -> bytes:
    return encode_record(
        Delivery(name.replace("\ud800", "?"), "al", "team", "main", 1, 1, 9, 1, message=message, **fields)
    )


def message(name: str, *deliveries: str) -> bytes:
    return encode_record(OutboundMessage(name, "team", deliveries, "t", "m", "p", 1, 9, 1))


def opening(base: int, *names: str, **fields: Any) -> DeliveryChanges:
    """Return a commit that opens deliveries, each with a message of its name."""
    stored = {name: delivery(name, f"letter {index}") for index, name in enumerate(names)}
    messages = {f"letter {index}": message(f"letter {index}", "x") for index, _ in enumerate(names)}
    return DeliveryChanges(base, b"position %d" % (base + 1), stored, {**messages}, opened=list(names), **fields)


async def deliverer(make: Make) -> DeliveryStore:
    store = make()
    await store.claim("notifier")
    return store


async def everything(store: DeliveryStore) -> tuple[DeliveryState, list[bytes], list[str], list[bytes]]:
    loaded = await store.load()
    loaded.deliveries.sort()
    loaded.messages.sort()
    found = sorted([value async for chunk in store.all_deliveries() for value in chunk])
    return loaded, found, await store.dead(), await store.asked(100)


def test_it_begins_empty(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        assert await everything(store) == (DeliveryState(), [], [], [])
        assert set(await store.deliveries(["a"])) == set()
        assert await store.messages([]) == {}

    play(scenario)


def test_changes_are_stored_as_a_whole_and_found_again(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        changes = opening(0, *ODD_NAMES, channels={"team": b"state"})
        assert await store.commit(changes, "1") is DONE
        again = await deliverer(make)
        loaded = await again.load()
        assert (loaded.number, loaded.position, loaded.channels, loaded.dead) == (
            1,
            b"position 1",
            {"team": b"state"},
            0,
        )
        assert sorted(loaded.deliveries) == sorted(changes.deliveries.values())
        assert sorted(loaded.messages) == sorted(value for value in changes.messages.values() if value is not None)
        assert set(await again.deliveries([*ODD_NAMES, "unknown"])) == set(ODD_NAMES)
        assert await again.deliveries(ODD_NAMES) == changes.deliveries

    play(scenario)


def test_ended_deliveries_are_kept_and_not_loaded(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        await store.commit(opening(0, "a", "b", "c"), "1")
        ended = {name: delivery(name, f"letter {index}") for index, name in enumerate(["a", "b"])}
        changes = DeliveryChanges(1, b"2", ended, {"letter 0": None}, ended={"a": 5, "b": 6}, dead=["b"])
        assert await store.commit(changes, "2") is DONE
        loaded, found, dead, _ = await everything(store)
        assert loaded.deliveries == [delivery("c", "letter 2")]
        assert (loaded.dead, dead, len(found)) == (1, ["b"], 3)
        assert set(await store.messages(["letter 0", "letter 1"])) == {"letter 1"}
        assert set(await store.deliveries(["a", "b", "c"])) == {"a", "b", "c"}

    play(scenario)


def test_dead_deliveries_can_be_reopened(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        await store.commit(opening(0, "a"), "1")
        await store.commit(DeliveryChanges(1, b"2", {"a": delivery("a", "letter 0")}, ended={"a": 5}, dead=["a"]), "2")
        await store.commit(DeliveryChanges(2, b"3", {"a": delivery("a", "letter 0")}, opened=["a"]), "3")
        loaded, _, dead, _ = await everything(store)
        assert (len(loaded.deliveries), loaded.dead, dead) == (1, 0, [])
        assert await store.forget(100, 0) == 0  # it has not ended

    play(scenario)


def test_the_same_commit_again_is_already_done(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        for request in [b"one", b"two", b"three"]:
            await store.ask(request)
        changes = opening(0, "a", answered=2)
        assert await store.commit(changes, "1") is DONE
        before = await everything(store)
        assert before[3] == [b"three"]
        assert await store.commit(changes, "1") is ALREADY_DONE
        assert await everything(store) == before
        assert await store.commit(changes, "2") is WRONG_BASE
        other = await deliverer(make)
        assert await other.commit(changes, "1") is WRONG_BASE  # batch ids start over in every process
        assert await everything(store) == before

    play(scenario)


def test_a_later_notifier_fences_the_earlier_one(play: Play) -> None:
    async def scenario(make: Make) -> None:
        old = await deliverer(make)
        await old.commit(opening(0, "a"), "1")
        new = await deliverer(make)
        before = await everything(new)
        assert await old.commit(opening(1, "b"), "2") is FENCED
        with pytest.raises(Fenced, match="has taken over the notifier"):
            await old.forget(100, 0)
        assert await everything(new) == before
        assert await new.commit(opening(1, "b"), "1") is DONE

    play(scenario)


def test_nothing_is_written_before_a_claim(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = make()
        with pytest.raises(NotClaimed):
            await store.commit(opening(0, "a"), "1")
        with pytest.raises(NotClaimed):
            await store.forget(1, 1)
        await store.ask(b"anybody may ask")
        assert await store.asked(10) == [b"anybody may ask"]

    play(scenario)


def test_epochs_only_grow(play: Play) -> None:
    async def scenario(make: Make) -> None:
        epochs = [await make().claim("notifier") for _ in range(3)]
        assert epochs == sorted(set(epochs))

    play(scenario)


def test_old_deliveries_are_deleted_with_their_messages(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        names = [f"a{place}" for place in range(6)]
        await store.commit(opening(0, *names), "1")
        ended = {name: place for place, name in enumerate(names[:5])}
        kept = {name: delivery(name, f"letter {place}") for place, name in enumerate(names)}
        await store.commit(DeliveryChanges(1, b"2", kept, ended=ended, dead=["a0", "a4"]), "2")
        assert await store.forget(2, 100) == 2  # those of before 2
        assert set(await store.deliveries(names)) == set(names[2:])
        assert await store.messages(["letter 0", "letter 2"]) == {"letter 2": message("letter 2", "x")}
        assert await store.dead() == ["a4"]
        assert await store.forget(2, 2) == 1  # of five that have ended two stay
        assert set(await store.deliveries(names)) == {"a3", "a4", "a5"}
        assert await store.forget(2, 2) == 0
        assert await store.forget(1_000, 100) == 2
        assert set(await store.deliveries(names)) == {"a5"}  # it is pending

    play(scenario)


def test_many_are_stored_at_once_and_read_once_each(play: Play) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        names = [f"al_{place}:team" for place in range(9_001)]
        assert await store.commit(opening(0, *names), "1") is DONE
        loaded, found, _, _ = await everything(store)
        assert len(loaded.deliveries) == len(found) == len(set(found)) == len(names)
        ended = dict.fromkeys(names, 1)
        assert await store.commit(DeliveryChanges(1, b"2", ended=ended, dead=names), "2") is DONE
        count = 0
        while dropped := await store.forget(2, 100):
            count += dropped
        assert count == len(names)
        assert await everything(store) == (DeliveryState(2, b"2"), [], [], [])

    play(scenario)


Move = tuple[str, int, int]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "end", "die", "back", "retry", "claim", "forget", "ask", "answer"]),
        st.integers(0, 1),
        st.integers(0, 5),
    ),
    max_size=30,
)


def history(run: Play, moves: list[Move]) -> list[object]:
    """Return the results of the moves of two processes, and what was stored after each."""
    seen: list[object] = []

    async def scenario(make: Make) -> None:
        stores = [await deliverer(make), await deliverer(make)]
        number, last = 0, DeliveryChanges(0, b"0")
        for batch, (what, who, which) in enumerate(moves):
            name, store = f"a{which}", stores[who]
            answer: object
            changes = {
                "open": DeliveryChanges(
                    number, b"p", {name: delivery(name, name)}, {name: message(name, name)}, opened=[name]
                ),
                "end": DeliveryChanges(number, b"p", {name: delivery(name, name)}, {name: None}, ended={name: which}),
                "die": DeliveryChanges(number, b"p", {name: delivery(name, name)}, ended={name: which}, dead=[name]),
                "back": DeliveryChanges(number, b"p", {name: delivery(name, name)}, opened=[name]),
                "answer": DeliveryChanges(number, b"p", answered=1),
            }.get(what)
            if changes is not None:
                last = changes
                answer = await store.commit(changes, str(batch))
                number += answer is DONE
            elif what == "retry":
                answer = await store.commit(last, str(batch - 1))
                number += answer is DONE
            elif what == "claim":
                answer = await store.claim("notifier") > 0
            elif what == "ask":
                await store.ask(name.encode())
                answer = None
            else:
                try:
                    answer = await store.forget(which, 3)
                except Fenced:
                    answer = "fenced"
            seen.append((what, answer, await everything(store)))

    run(scenario)
    return seen


@given(moves=MOVES)
def test_the_fake_agrees_with_redis_step_by_step(redis_url: str, moves: list[Move]) -> None:
    assert history(lambda scenario: play_on_redis(redis_url, scenario), moves) == history(play_in_memory, moves)


@pytest.mark.parametrize("key", ["meta", "deliveries", "letters", "channels", "open", "ended", "dead", "requests"])
def test_a_commit_that_fails_leaves_nothing_half_applied(fresh_redis: str, key: str) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        await store.commit(opening(0, "a", answered=1), "1")
        with redis.Redis.from_url(fresh_redis) as client:
            kept = client.dump(f"test:{{deliver}}:{key}")
            client.delete(f"test:{{deliver}}:{key}")
            client.set(f"test:{{deliver}}:{key}", "of another program")
            before = {name: client.dump(name) for name in client.keys("*")}
            with pytest.raises(StoreUnavailable, match="no other program writes keys with this prefix"):
                await store.commit(
                    opening(1, "b", channels={"team": b"x"}, ended={"c": 1}, dead=["c"], answered=1), "2"
                )
            assert {name: client.dump(name) for name in client.keys("*")} == before
            assert kept is None or kept

    play_on_redis(fresh_redis, scenario)


def test_a_full_redis_refuses_the_changes_as_a_whole(fresh_redis: str) -> None:
    async def scenario(make: Make) -> None:
        store = await deliverer(make)
        await store.commit(opening(0, "a"), "1")
        before = await everything(store)
        with redis.Redis.from_url(fresh_redis) as client:
            client.config_set("maxmemory", "1")
            try:
                with pytest.raises(StoreUnavailable, match="Raise maxmemory"):
                    await store.commit(opening(1, "b"), "2")
            finally:
                client.config_set("maxmemory", "0")
        assert await everything(store) == before
        assert await store.commit(opening(1, "b"), "2") is DONE

    play_on_redis(fresh_redis, scenario)
