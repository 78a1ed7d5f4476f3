"""Contract of every store of contact policies."""

from __future__ import annotations

from typing import Final

from stream_app.ports import Published
from tests.contract.conftest import Door, Play

AHEAD_US: Final = 4_102_444_800_000_000  # 2100, microseconds
PAST_US: Final = 1_230_768_000_123_457  # 2009


def test_a_policy_is_in_force_from_now_on_and_publishing_it_again_changes_nothing(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store, lease = door.policy_store(), door.lease()
        assert (await store.published(), await store.content("a")) == ([], None)
        before = await lease.now()
        first, is_new = await store.publish("a", b"rules")
        assert (is_new, first.version) == (True, "a")
        assert before <= first.effective_at <= await lease.now()
        assert await door.policy_store().publish("a", b"rules") == (first, False)
        second, _ = await store.publish("b:c", b"other")
        third, _ = await store.publish("a", b"rules")  # back to the first
        assert first < second < third
        assert await door.policy_store().published() == [first, second, third]
        assert (await store.content("a"), await store.content("b:c")) == (b"rules", b"other")

    play(scenario)


def test_a_policy_is_in_force_only_after_the_last_tick(play: Play) -> None:
    async def scenario(door: Door) -> None:
        lease, store = door.lease(), door.policy_store()
        await lease.acquire("worker", 60_000)
        await lease.advance("worker", AHEAD_US)
        first, _ = await store.publish("a", b"rules")
        second, _ = await store.publish("b", b"other")
        assert (first, second) == (Published(AHEAD_US + 1, "a"), Published(AHEAD_US + 2, "b"))

    play(scenario)


def test_policies_of_a_recorded_log_keep_their_times(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.policy_store()
        for _ in range(2):  # a publication that is resumed
            for place, version in enumerate("aba"):
                await store.publish(version, version.encode(), PAST_US + place)
        expected = [Published(PAST_US + place, version) for place, version in enumerate("aba")]
        assert await store.published() == expected
        assert await store.publish("a", b"a") == (expected[-1], False)

    play(scenario)


def test_lost_content_is_stored_again(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.policy_store()
        await store.publish("a", b"lost")
        await store.publish("a", b"rules")
        assert await store.content("a") == b"rules"

    play(scenario)
