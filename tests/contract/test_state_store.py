"""Contract of every state store, and further requirements on Redis: lost replies and interrupted scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import given, strategies as st

from stream_app.adapters.redis.connection import make_client
from stream_app.adapters.redis.packing import pack_strings
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.core.partition.commit import Commit
from stream_app.errors import BadStoreAddress, Fenced, NotClaimed, StoreUnavailable
from stream_app.ports import INSTANCES, Opened, Outcome, StateStore
from tests.contract.conftest import Door, Play, Scenario, play_in_memory, play_on_redis
from tests.fakes import MemoryServer, MemoryStateStore

DONE, ALREADY_DONE, FENCED, WRONG_BASE = Outcome.DONE, Outcome.ALREADY_DONE, Outcome.FENCED, Outcome.WRONG_BASE
ODD_NAMES: Final = ["ann", "", "客户-7", "\udcff lone \ud800", "a\x00b", "x" * 5_000]


def batch_of(number: int, base: bytes = b"", position: bytes = b"1", **changes: Any) -> Commit:
    plain = Commit(number, base, position, {"ann": b"of " + position}, b"summary " + position, [b"record " + position])
    return replace(plain, **changes)


async def worker(door: Door, instance: str = "worker-1") -> StateStore:
    store = door.state_store()
    await store.claim(instance)
    return store


async def all_states(store: StateStore, partition: int) -> list[tuple[str, bytes]]:
    return [pair async for chunk in store.states(partition) for pair in chunk]


async def everything(store: StateStore, partition: int) -> tuple[bytes, dict[str, bytes], list[tuple[int, bytes]]]:
    """Return all that is stored of a partition and can be read without opening it."""
    position = (await store.positions([partition]))[partition]
    return position, dict(await all_states(store, partition)), await store.outbox(partition, 0, 1_000_000)


def test_a_partition_begins_empty(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        assert await store.open(3) == Opened(b"", b"", 1)
        assert await all_states(store, 3) == []
        assert await store.state(3, "ann") is None
        assert await store.outbox(3, 0, 10) == []
        assert await store.positions([3, 4]) == {3: b"", 4: b""}

    play(scenario)


def test_a_batch_is_stored_as_a_whole(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.open(3)
        states = {name: name.encode("utf-8", "replace") + bytes(range(256)) for name in ODD_NAMES}
        first = batch_of(3, position=b'{"o":[1,2]}', states=states, outbox=[b"\x00\xff", b"", b"third"])
        assert await store.commit(first, "1", 0) == (DONE, 1)
        second = batch_of(3, base=b'{"o":[1,2]}', position=b"2", states={"ann": b""}, summary=b"s2", outbox=[b"fourth"])
        assert await store.commit(second, "2", 0) == (DONE, 4)
        again = await worker(door)
        assert await again.open(3) == Opened(b"2", b"s2", 5)
        assert dict(await all_states(again, 3)) == states | {"ann": b""}
        assert await again.state(3, ODD_NAMES[3]) == states[ODD_NAMES[3]]
        assert await again.outbox(3, 0, 10) == [(1, b"\x00\xff"), (2, b""), (3, b"third"), (4, b"fourth")]
        assert await again.outbox(3, 1, 2) == [(2, b""), (3, b"third")]
        assert await again.outbox(3, 4, 10) == []

    play(scenario)


def test_partitions_are_independent(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.open(1)
        assert await store.commit(batch_of(1), "1", 0) == (DONE, 1)
        assert await store.commit(batch_of(11, position=b"x"), "1", 0) == (DONE, 1)
        assert await store.positions([1, 11, 2]) == {1: b"1", 11: b"x", 2: b""}
        assert await store.state(2, "ann") is None

    play(scenario)


def test_commits_of_several_partitions_at_once_succeed_or_fail_alone(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        for number in range(5):
            await store.open(number)
        await store.commit(batch_of(3), "1", 0)
        await worker(door, "worker-2")
        bases = {0: b"", 1: b"other", 2: b"", 3: b""}
        commits = [store.commit(batch_of(number, base), "1", 0) for number, base in bases.items()]
        assert await asyncio.gather(*commits) == [(DONE, 1), (WRONG_BASE, 0), (DONE, 1), (ALREADY_DONE, 1)]
        assert await store.positions(range(5)) == {0: b"1", 1: b"", 2: b"1", 3: b"1", 4: b""}
        assert await store.commit(batch_of(4), "1", 0) == (DONE, 1)

    play(scenario)


def test_an_empty_batch_moves_the_position(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        assert await store.commit(batch_of(0, states={}, outbox=()), "1", 0) == (DONE, 1)
        assert await store.commit(batch_of(0, b"1", b"2"), "2", 0) == (DONE, 1)

    play(scenario)


def test_a_large_batch_is_stored_and_read_back_once_each(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        states = {f"customer-{n}": n.to_bytes(4) * 20 for n in range(12_000)}
        records = [n.to_bytes(4) for n in range(9_000)]
        assert await store.commit(batch_of(0, states=states, outbox=records), "1", 0) == (DONE, 1)
        read = await all_states(store, 0)
        assert len(read) == len(states)
        assert dict(read) == states
        assert [record for _, record in await store.outbox(0, 0, 10_000)] == records

    play(scenario)


def test_epochs_only_grow(play: Play) -> None:
    async def scenario(door: Door) -> None:
        epochs = [await door.state_store().claim(name) for name in ["a", "b", "a", "a"]]
        assert epochs == sorted(set(epochs))

    play(scenario)


def test_nothing_is_written_before_a_claim(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.state_store()
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: store.open(0),
            lambda: store.commit(batch_of(0), "1", 0),
            lambda: store.trim(0, 1),
        ]
        for write in writes:
            with pytest.raises(NotClaimed):
                await write()

    play(scenario)


def test_the_same_commit_again_is_already_done(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0, outbox=[b"a", b"b"]), "1", 0)
        second = batch_of(0, b"1", b"2", outbox=[b"c", b"d"])
        assert await store.commit(second, "2", 1) == (DONE, 3)
        before = await everything(store, 0)
        assert await store.commit(second, "2", 1) == (ALREADY_DONE, 3)
        assert await everything(store, 0) == before
        assert [number for number, _ in before[2]] == [2, 3, 4]

    play(scenario)


def test_only_the_same_batch_of_the_same_process_is_already_done(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0), "1", 0)
        assert await store.commit(batch_of(0), "2", 0) == (WRONG_BASE, 0)  # the same end position is not enough
        other = await worker(door, "worker-2")
        assert await other.commit(batch_of(0), "1", 0) == (WRONG_BASE, 0)  # nor the same batch id
        again = await worker(door)
        assert await again.commit(batch_of(0), "1", 0) == (WRONG_BASE, 0)  # batch ids start over in every process

    play(scenario)


def test_a_batch_of_another_base_changes_nothing(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0), "1", 0)
        before = await everything(store, 0)
        for base in [b"", b"0", b"11", b"2"]:
            assert await store.commit(batch_of(0, base, b"9", states={"eve": b"!"}), "9", 1) == (WRONG_BASE, 0)
        assert await everything(store, 0) == before

    play(scenario)


def test_a_later_process_of_an_instance_fences_the_earlier_one(play: Play) -> None:
    async def scenario(door: Door) -> None:
        old = await worker(door)
        await old.open(0)
        await old.commit(batch_of(0), "1", 0)
        new = await worker(door)
        assert (await old.commit(batch_of(0, b"1", b"2"), "2", 0))[0] is DONE  # it has not reached this partition yet
        await new.open(0)
        before = await everything(new, 0)
        assert await old.commit(batch_of(0, b"2", b"3"), "3", 9) == (FENCED, 0)
        assert await old.commit(batch_of(0, b"1", b"2"), "2", 9) == (FENCED, 0)
        with pytest.raises(Fenced, match="Another process with the instance id worker-1 has taken over partition 0"):
            await old.trim(0, 2)
        with pytest.raises(Fenced):
            await old.open(0)
        assert await everything(new, 0) == before
        assert await new.commit(batch_of(0, b"2", b"3"), "1", 0) == (DONE, 3)
        assert (await old.commit(batch_of(1), "4", 0))[0] is DONE  # other partitions are not affected

    play(scenario)


def test_a_partition_moves_between_instances_and_back(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one, two = await worker(door), await worker(door, "worker-2")
        await one.open(0)
        await one.commit(batch_of(0), "1", 0)
        assert (await two.open(0)).position == b"1"
        assert (await two.commit(batch_of(0, b"1", b"2"), "1", 0))[0] is DONE
        assert (await one.commit(batch_of(0, b"1", b"2"), "2", 0))[0] is WRONG_BASE
        assert (await one.open(0)).position == b"2"
        assert (await one.commit(batch_of(0, b"2", b"3"), "3", 0))[0] is DONE

    play(scenario)


def test_names_of_instances_are_bounded(play: Play) -> None:
    async def scenario(door: Door) -> None:
        old = await worker(door)
        await old.open(0)
        new = await worker(door)
        await new.open(0)
        other = door.state_store()
        for place in range(INSTANCES - 1):
            await other.claim(f"other-{place}")
            await other.open(0)
        with pytest.raises(Fenced):
            await old.open(0)
        await other.claim("one too many")
        await other.open(0)
        await old.open(0)  # nothing is lost: the base still protects the states

    play(scenario)


def test_delivered_records_are_dropped_with_the_commit(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0, outbox=[b"1", b"2", b"3"]), "1", 0)
        await store.commit(batch_of(0, b"1", b"2", outbox=[b"4", b"5"]), "2", 2)
        assert await store.outbox(0, 0, 9) == [(3, b"3"), (4, b"4"), (5, b"5")]
        await store.commit(batch_of(0, b"2", b"3", outbox=[b"6"]), "3", 1)  # less than before: nothing comes back
        assert await store.outbox(0, 0, 9) == [(3, b"3"), (4, b"4"), (5, b"5"), (6, b"6")]
        await store.commit(batch_of(0, b"3", b"4", outbox=[b"7"]), "4", 99)  # its own record cannot be relayed yet
        assert await store.outbox(0, 0, 9) == [(7, b"7")]

    play(scenario)


def test_a_rolled_back_store_continues_after_the_last_sent_number(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0, outbox=[b"1", b"2", b"3"]), "1", 0)
        await store.trim(0, 1)
        assert await store.skip(0, 3, 2, [b"void"]) == 0  # known: nothing is retracted
        assert await store.skip(0, 9, 1, [b"void"]) == -1  # trimmed since it was read
        assert await store.outbox(0, 0, 9) == [(2, b"2"), (3, b"3")]
        assert await store.skip(0, 9, 2, [b"void", b"too"]) == 10
        again = [(10, b"void"), (11, b"too"), (12, b"2"), (13, b"3")]  # what may not have been sent is sent again
        assert await store.outbox(0, 0, 9) == again
        assert await store.skip(0, 9, 2, [b"void", b"too"]) == 0  # the retry of a call whose reply was lost
        assert await store.commit(batch_of(0, b"1", b"2", outbox=[b"4"]), "2", 12) == (DONE, 14)
        assert await store.outbox(0, 0, 9) == [(13, b"3"), (14, b"4")]
        await store.trim(0, 14)
        assert await store.skip(0, 20, 15, [b"void"]) == 21  # nothing waited
        assert await store.outbox(0, 0, 9) == [(21, b"void")]
        old, new = await worker(door), await worker(door)  # two processes of one name
        await new.open(0)
        with pytest.raises(Fenced):
            await old.skip(0, 99, 22, [])

    play(scenario)


def test_trimming_may_be_repeated(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.trim(0, 5)
        await store.commit(batch_of(0, outbox=[b"1", b"2", b"3"]), "1", 0)
        for through in (2, 2, 1, 0):
            await store.trim(0, through)
            assert await store.outbox(0, 0, 9) == [(3, b"3")]
        await store.trim(0, 3)
        assert await store.outbox(0, 0, 9) == []
        assert await store.commit(batch_of(0, b"1", b"2", outbox=[b"4"]), "2", 3) == (DONE, 4)
        assert await store.outbox(0, 0, 9) == [(4, b"4")]

    play(scenario)


# --- two instances in any interleaving, and a crash or a retry anywhere ---------------------------------------------


@dataclass
class Process:
    """A worker that appends the ids of its batches to the state of one customer, and keeps that state in memory."""

    instance: str
    store: StateStore
    base: dict[int, bytes] = field(default_factory=dict)
    state: dict[int, bytes] = field(default_factory=dict)
    sent: int = 0
    last: tuple[Commit, str, int] | None = None

    async def open(self, partition: int) -> str:
        try:
            opened = await self.store.open(partition)
        except Fenced:
            return "fenced"
        self.base[partition] = opened.position
        self.state[partition] = await self.store.state(partition, "ann") or b""
        return repr(opened)

    async def commit(self, partition: int, mark: bytes, records: int, relayed: int) -> tuple[Outcome, int] | None:
        if partition not in self.base:
            return None
        self.sent += 1
        base, state = self.base[partition], self.state[partition] + mark
        position = b"%d" % (int(base or b"0") + 1)
        commit = Commit(partition, base, position, {"ann": state}, mark, [mark] * records)
        self.last = (commit, str(self.sent), relayed)
        outcome, first = await self.store.commit(*self.last)
        if outcome.stored:
            self.base[partition], self.state[partition] = position, state
        return outcome, first

    async def retry(self) -> tuple[Outcome, int] | None:
        return await self.store.commit(*self.last) if self.last else None

    async def trim(self, partition: int, through: int) -> str:
        try:
            await self.store.trim(partition, through)
        except Fenced:
            return "fenced"
        return "trimmed"


Move = tuple[str, int, int, int, int]  # what, process, partition, records, relayed
MOVES: Final = st.lists(
    st.tuples(
        st.sampled_from(["restart", "twin", "open", "commit", "commit", "commit", "retry", "trim"]),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(0, 6),
    ),
    max_size=40,
)


@dataclass
class Play3:
    """Three processes, two of them with the same name, make moves on one server."""

    door: Door
    processes: list[Process] = field(default_factory=list)
    stored: dict[int, list[bytes]] = field(default_factory=lambda: {0: [], 1: []})  # ids, in order
    records: dict[int, list[bytes]] = field(default_factory=lambda: {0: [], 1: []})
    counters: int = 0

    async def begin(self) -> None:
        self.processes = [Process(name, await worker(self.door, name)) for name in ["one", "one", "two"]]
        for process in self.processes:
            await process.open(0)

    async def move(self, move: Move) -> object:
        what, place, partition, records, relayed = move
        process = self.processes[place]
        if what == "restart":
            self.processes[place] = Process(process.instance, await worker(self.door, process.instance))
            return await self.processes[place].open(partition)
        if what == "twin":  # the same process loses its cache, as at a rebalance
            process.base.clear()
            return None
        if what == "open":
            return await process.open(partition)
        if what == "trim":
            return await process.trim(partition, relayed)
        if what == "retry":
            return await self._noted(process, await process.retry())
        self.counters += 1
        return await self._noted(process, await process.commit(partition, b"%04d" % self.counters, records, relayed))

    async def _noted(self, process: Process, result: tuple[Outcome, int] | None) -> object:
        """Record what was stored first, and compare the store with it."""
        if result is not None and result[0] is DONE:
            assert process.last is not None
            commit = process.last[0]
            self.stored[commit.partition].append(commit.summary)
            assert result[1] == len(self.records[commit.partition]) + 1
            self.records[commit.partition] += commit.outbox
        return result

    async def seen(self) -> list[object]:
        """Return all that is stored, and check that nothing is lost, duplicated or out of order."""
        store, found = self.door.state_store(), list[object]()
        for partition, counters in self.stored.items():
            position, states, outbox = await everything(store, partition)
            assert position == (b"%d" % len(counters) if counters else b"")
            assert states.get("ann", b"") == b"".join(counters)
            records = self.records[partition]
            assert outbox == list(enumerate(records, 1))[len(records) - len(outbox) :]
            found.append((position, states, outbox))
        return found


def history(run: Callable[[Scenario], None], moves: Iterable[Move]) -> list[object]:
    """Return the result of each move, and what was stored after it."""
    seen: list[object] = []

    async def scenario(door: Door) -> None:
        game = Play3(door)
        await game.begin()
        for move in moves:
            answer = await game.move(move)
            seen.append((move, answer, await game.seen()))

    run(scenario)
    return seen


@given(moves=MOVES)
def test_no_interleaving_loses_or_duplicates_a_batch_and_the_fake_agrees(redis_url: str, moves: list[Move]) -> None:
    assert history(lambda scenario: play_on_redis(redis_url, scenario), moves) == history(play_in_memory, moves)


# --- failures of a real Redis -----------------------------------------------------------------------------------------


@dataclass
class LossyProxy:
    """A proxy of a Redis that cuts the connection instead of passing on some replies."""

    target: tuple[str, int]
    drop: int = 0  # replies from now on
    dropped: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(*self.target)
        forward = asyncio.create_task(self._forward(reader, upstream))
        try:
            while reply := await upstream_reader.read(1 << 16):
                if self.drop:
                    self.drop, self.dropped = self.drop - 1, self.dropped + 1
                    break
                writer.write(reply)
                await writer.drain()
        finally:
            forward.cancel()
            for end in (upstream, writer):
                end.close()
            await asyncio.gather(forward, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        while request := await reader.read(1 << 16):
            upstream.write(request)
            await upstream.drain()
        upstream.close()


@asynccontextmanager
async def lossy(url: str, **options: Any) -> AsyncIterator[tuple[RedisStateStore, LossyProxy]]:
    """Provide a claimed store behind a proxy."""
    target = urlsplit(url)
    proxy = LossyProxy((str(target.hostname), target.port or 6379))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with AsyncExitStack() as exits:
        exits.push_async_callback(server.wait_closed)
        exits.callback(server.close)
        client = make_client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", **options)
        exits.push_async_callback(client.aclose)
        store = RedisStateStore(client, "test")
        await store.claim("worker-1")
        yield store, proxy


@pytest.mark.parametrize("replies", [1, 2])
def test_a_commit_whose_reply_is_lost_is_repeated_without_harm(fresh_redis: str, replies: int) -> None:
    async def scenario() -> None:
        async with lossy(fresh_redis) as (store, proxy):
            assert await store.commit(batch_of(0, outbox=[b"a", b"b"]), "1", 0) == (DONE, 1)
            proxy.drop = replies
            states = {f"customer-{n}": bytes(700) for n in range(500)}
            second = batch_of(0, b"1", b"2", states=states, outbox=[b"c"])
            assert await store.commit(second, "2", 1) == (ALREADY_DONE, 3)
            assert proxy.dropped == replies
            assert await store.outbox(0, 0, 9) == [(2, b"b"), (3, b"c")]
            assert await store.positions([0]) == {0: b"2"}

    asyncio.run(scenario())


def test_every_other_write_may_be_repeated_too(fresh_redis: str) -> None:
    async def scenario() -> None:
        async with lossy(fresh_redis) as (store, proxy):
            proxy.drop = 1
            epoch = await store.claim("worker-1")
            proxy.drop = 1
            assert await store.open(0) == Opened(b"", b"", 1)
            assert await store.commit(batch_of(0, outbox=[b"a", b"b"]), "1", 0) == (DONE, 1)
            proxy.drop = 1
            await store.trim(0, 1)
            assert await store.outbox(0, 0, 9) == [(2, b"b")]
            assert proxy.dropped == 3
            assert await store.claim("worker-1") > epoch

    asyncio.run(scenario())


def test_retries_end_with_an_error_and_a_later_retry_is_harmless(fresh_redis: str) -> None:
    async def scenario() -> None:
        async with lossy(fresh_redis, retries=1) as (store, proxy):
            await store.commit(batch_of(0), "1", 0)
            proxy.drop = 2
            with pytest.raises(
                StoreUnavailable, match=r"Redis at 127\.0\.0\.1:\d+ cannot be used: .*server is running"
            ):
                await store.commit(batch_of(0, b"1", b"2"), "2", 0)
            assert await store.commit(batch_of(0, b"1", b"2"), "2", 0) == (ALREADY_DONE, 2)

    asyncio.run(scenario())


def test_a_cancelled_commit_completes_before_the_cancellation(fresh_redis: str) -> None:
    async def scenario() -> None:
        async with lossy(fresh_redis) as (store, _):
            states = {f"customer-{n}": bytes(700) for n in range(5_000)}
            task = asyncio.create_task(store.commit(batch_of(0, states=states), "1", 0))
            await asyncio.sleep(0.005)
            assert task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.positions([0]) == {0: b"1"}

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ["meta", "states", "outbox"])
def test_a_commit_that_fails_leaves_nothing_half_applied(fresh_redis: str, key: str) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        with redis.Redis.from_url(fresh_redis) as client:
            client.set(f"test:{{p0}}:{key}", "of another program")
            with pytest.raises(StoreUnavailable, match="no other program writes keys with this prefix"):
                await store.commit(batch_of(0), "1", 0)
            assert client.keys("test:{p0}:*") == [f"test:{{p0}}:{key}".encode()]

    play_on_redis(fresh_redis, scenario)


@pytest.mark.parametrize(
    ("states", "records"),
    [
        (b"\x92\xa1a", b"\x90"),  # torn
        (b"\x93\xa1a\xa1b\xa1c", b"\x90"),  # a customer without a state
        (pack_strings([b"x"] * 9_001), b"\x90"),  # the same, at the end of several slices
        (b"\x92\xa1a\x90", b"\x90"),  # a list for a state
        (b"\x92\xa1a\xa1b", b"\x91\x01"),  # a number for a record
        (b"\x92\xa1a\xa1b", b"\xc1"),  # no msgpack at all
        (b"\x92\xa1a\xa1b", b"\x05"),  # no list
    ],
)
def test_arguments_that_cannot_be_read_leave_nothing_half_applied(
    fresh_redis: str, states: bytes, records: bytes
) -> None:
    with redis.Redis.from_url(fresh_redis) as client:
        script = client.register_script((files("stream_app.adapters.redis") / "scripts" / "commit.lua").read_bytes())
        keys = [f"test:{{p0}}:{kind}" for kind in ("meta", "states", "outbox")]
        with pytest.raises(redis.ResponseError):
            script(keys=keys, args=["worker-1", 1, "1", b"", b"1", b"", 0, states, records])
        assert client.dbsize() == 0


def test_a_customer_that_redis_returns_twice_is_yielded_once(fresh_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HSCAN repeats fields of a hash that shrinks during the scan, within a page and across pages."""
    pages = iter([(b"5", [b"ann", b"1", b"bob", b"2", b"ann", b"1"]), (b"9", [b"bob", b"2"]), (b"0", [b"eve", b"3"])])

    async def scan(*_: object) -> tuple[bytes, bytes]:
        cursor, page = next(pages)
        return cursor, pack_strings(page)

    async def scenario(door: Door) -> None:
        store = await worker(door)
        monkeypatch.setattr(store, "_run", scan)
        chunks = [chunk async for chunk in store.states(0)]
        assert chunks == [[("ann", b"1"), ("bob", b"2")], [("eve", b"3")]]

    play_on_redis(fresh_redis, scenario)


def test_a_full_redis_refuses_the_batch_as_a_whole(fresh_redis: str) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.commit(batch_of(0), "1", 0)
        before = await everything(store, 0)
        with redis.Redis.from_url(fresh_redis) as client:
            client.config_set("maxmemory", "1")
            try:
                with pytest.raises(StoreUnavailable, match="Raise maxmemory"):
                    await store.commit(batch_of(0, b"1", b"2"), "2", 1)
            finally:
                client.config_set("maxmemory", "0")
        assert await everything(store, 0) == before
        assert await store.commit(batch_of(0, b"1", b"2"), "2", 1) == (DONE, 2)

    play_on_redis(fresh_redis, scenario)


def test_an_epoch_is_greater_than_every_earlier_one_also_after_a_loss_of_data(fresh_redis: str) -> None:
    async def scenario(door: Door) -> None:
        store = door.state_store()
        before = await store.claim("worker-1")
        with redis.Redis.from_url(fresh_redis) as client:
            client.flushall()
        assert await store.claim("worker-1") > before

    play_on_redis(fresh_redis, scenario)


async def refusal(url: str, **options: Any) -> str:
    """Return the error message when a store cannot be claimed."""
    client = make_client(url, retries=0, **options)
    try:
        with pytest.raises(StoreUnavailable) as raised:
            await RedisStateStore(client, "test").claim("worker-1")
    finally:
        await client.aclose()
    return f"{raised.value} {raised.value.__cause__}"


def test_an_unreachable_server_is_reported_without_the_password() -> None:
    said = asyncio.run(refusal("redis://ann:geheim@127.0.0.1:1/0"))
    assert said.startswith("Redis at 127.0.0.1:1 cannot be used: ")
    assert "Check the address, and that the server is running." in said
    assert "geheim" not in said


def test_a_failed_login_is_reported_without_the_password(fresh_redis: str) -> None:
    bare = fresh_redis.removeprefix("redis://")
    with redis.Redis.from_url(fresh_redis) as client:
        client.execute_command("ACL SETUSER", "ann", "on", ">geheim", "~other:*", "+@all")
        client.execute_command("ACL SETUSER", "default", "resetpass", ">owner")
        try:
            assert "Check the user name and password." in asyncio.run(refusal(fresh_redis, password="falsch"))
            assert "Check the user name and password." in asyncio.run(refusal(fresh_redis))
            said = asyncio.run(refusal(f"redis://ann:geheim@{bare}"))
        finally:
            client.execute_command("ACL SETUSER", "default", "nopass")
            client.execute_command("ACL DELUSER", "ann")
    assert "Grant the user this command and these keys" in said
    assert "geheim" not in said


def test_a_replica_is_refused(fresh_redis: str) -> None:
    with redis.Redis.from_url(fresh_redis) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            assert "use the address of the primary" in asyncio.run(refusal(fresh_redis))
        finally:
            client.replicaof("NO", "ONE")


def test_a_hanging_server_is_not_waited_for_indefinitely() -> None:
    async def scenario() -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
            url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            said = await refusal(url, timeout_seconds=0.1)
            assert "Redis does not answer in time" in said
            server.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:port/0", "localhost:6379"])
def test_an_address_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(BadStoreAddress, match="redis://host:6379/0"):
        make_client(url)


def test_two_stores_on_one_memory_server_are_two_processes() -> None:
    async def scenario() -> None:
        server = MemoryServer()
        one, two = MemoryStateStore(server), MemoryStateStore(server)
        assert await one.claim("a") < await two.claim("a")

    asyncio.run(scenario())


def test_open_alerts_are_stored_with_the_batch_and_deleted_by_an_empty_note(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await worker(door)
        await store.open(3)
        assert await store.alerts(3) == {}
        noted = {"al_1": b'{"a":1}', "al_1:work": b"\x00\xff", "al_2": b"two"}
        assert await store.commit(batch_of(3, alerts=noted), "1", 0) == (DONE, 1)
        assert await store.alerts(3) == noted
        assert await store.alerts(4) == {}
        changed = {"al_1": b"", "al_1:work": b"", "al_2": b"again", "al_9": b""}
        assert await store.commit(batch_of(3, b"1", b"2", alerts=changed), "2", 0) == (DONE, 2)
        assert await store.alerts(3) == {"al_2": b"again"}
        refused = batch_of(3, b"1", b"3", alerts={"al_2": b""})
        assert (await store.commit(refused, "3", 0))[0] is WRONG_BASE
        assert await store.alerts(3) == {"al_2": b"again"}
        again = batch_of(3, b"1", b"2", alerts=changed)
        assert (await store.commit(again, "2", 0))[0] is ALREADY_DONE

    play(scenario)
