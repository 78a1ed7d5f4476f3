"""Contract of every clock lease."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from stream_app.ports import Lease
from tests.contract.conftest import Door, Play
from tests.fakes import MemoryLease, MemoryServer

LONG_MS: Final = 60_000
SHORT_MS: Final = 60
TOLERATED_US: Final = 5_000  # Redis reads its clock when a call begins
MOMENT_US: Final = 1_786_000_000_123_456


def test_one_holder_at_a_time(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one, two = door.lease(), door.lease()
        assert await one.acquire("one", LONG_MS)
        assert not await two.acquire("two", LONG_MS)
        assert await one.acquire("one", LONG_MS)  # prolongs it
        await two.release("two")  # held by the other one
        assert not await two.acquire("two", LONG_MS)
        await one.release("one")
        await one.release("one")
        assert await two.acquire("two", LONG_MS)
        assert not await one.acquire("one", LONG_MS)

    play(scenario)


def test_of_many_at_once_one_gets_it(play: Play) -> None:
    async def scenario(door: Door) -> None:
        got = await asyncio.gather(*(door.lease().acquire(f"holder {place}", LONG_MS) for place in range(5)))
        assert sum(got) == 1

    play(scenario)


def test_a_lease_ends_by_itself(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one, two = door.lease(), door.lease()
        assert await one.acquire("one", SHORT_MS)
        assert await one.advance("one", 1)
        await asyncio.sleep(3 * SHORT_MS / 1_000)
        assert not await one.advance("one", 2)
        assert await two.acquire("two", LONG_MS)
        assert not await one.acquire("one", LONG_MS)

    play(scenario)


def test_prolonging_counts_from_now(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one = door.lease()
        await one.acquire("one", SHORT_MS)
        await one.acquire("one", LONG_MS)
        await asyncio.sleep(2 * SHORT_MS / 1_000)
        assert not await door.lease().acquire("two", LONG_MS)

    play(scenario)


def test_only_the_holder_advances_the_value(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one, two = door.lease(), door.lease()
        assert await one.last() is None
        assert not await one.advance("one", MOMENT_US)  # without a holder
        await one.acquire("one", LONG_MS)
        assert await one.advance("one", MOMENT_US)
        assert await one.advance("one", MOMENT_US)  # the retry of a call whose reply was lost
        assert not await one.advance("one", MOMENT_US - 1)
        assert not await two.advance("two", MOMENT_US + 1)
        assert await two.last() == MOMENT_US
        await one.release("one")
        assert not await one.advance("one", MOMENT_US + 1)
        await two.acquire("two", LONG_MS)
        assert await two.last() == MOMENT_US  # the value stays when the holder changes
        assert await two.advance("two", MOMENT_US + 1)
        assert await one.last() == MOMENT_US + 1

    play(scenario)


def test_moments_before_1970_are_numbers_too(play: Play) -> None:
    async def scenario(door: Door) -> None:
        one = door.lease()
        await one.acquire("one", LONG_MS)
        assert await one.advance("one", -MOMENT_US)
        assert not await one.advance("one", -MOMENT_US - 1)
        assert await one.advance("one", 0)
        assert await one.last() == 0

    play(scenario)


def test_the_clock_is_that_of_the_store(play: Play) -> None:
    async def scenario(door: Door) -> None:
        before = time.time_ns() // 1_000
        seen = [await door.lease().now() for _ in range(3)]  # the test servers run on this machine
        after = time.time_ns() // 1_000
        assert seen == sorted(seen)
        assert before - TOLERATED_US <= seen[0]
        assert seen[-1] <= after + TOLERATED_US

    play(scenario)


def test_the_clock_of_the_fake_is_an_argument() -> None:
    async def scenario() -> None:
        now = 100.0
        server = MemoryServer(now_seconds=lambda: now)
        one: Lease = MemoryLease(server)
        assert await one.acquire("one", 2_000)
        now = 101.9
        assert not await one.acquire("two", 2_000)
        now = 102.0
        assert await one.acquire("two", 2_000)

    asyncio.run(scenario())
