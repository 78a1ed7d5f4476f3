"""Contract of every store of checkpoints and model versions."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import pytest
import redis

from stream_app.errors import NotClaimed, StoreUnavailable, UnknownVersion, VersionOutOfOrder
from stream_app.ports import NOTHING_LEARNED, ModelStore, ModelVersion, Outcome
from tests.contract.conftest import Door, Play, play_on_redis

DAY_US: Final = 86_400_000_000
START_US: Final = 1_260_000_000_000_000  # December 2009


def version_of(number: int, effective_at: int | None = None) -> ModelVersion:
    at = START_US + number * DAY_US if effective_at is None else effective_at
    return ModelVersion(number, at, f"print {number}", number * 100, 7, {"linear": 0.5, "cells": 1 / 3}, at + 5)


async def trainer(door: Door, keep: int = 3, instance: str = "trainer-1") -> ModelStore:
    store = door.model_store(keep)
    await store.claim(instance)
    return store


async def learn(store: ModelStore, number: int, version: ModelVersion | None = None) -> Outcome:
    """Store the checkpoint `number`, with a version if one is given."""
    snapshot = None if version is None else b"snapshot %d" % version.number
    through = START_US + number
    return await store.checkpoint(
        base=number - 1,
        number=number,
        checkpoint=b"\x80 %d" % number,
        through=through,
        version=version,
        snapshot=snapshot,
    )


async def learn_all(store: ModelStore, count: int) -> None:
    """Store `count` checkpoints, each with the version of its number."""
    for number in range(1, count + 1):
        assert await learn(store, number, version_of(number)) is Outcome.DONE


def test_it_begins_empty(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.model_store()
        assert await store.latest() is None
        assert await store.through() == NOTHING_LEARNED
        assert await store.versions() == []
        assert await store.snapshot(1) is None
        assert await store.pinned() is None
        assert await store.version_at(START_US) is None

    play(scenario)


def test_a_checkpoint_and_its_version_are_stored_at_once(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        assert await learn(store, 1) is Outcome.DONE
        assert await learn(store, 2, version_of(1)) is Outcome.DONE
        for reader in (store, door.model_store()):  # reading needs no claim
            assert await reader.latest() == (2, b"\x80 2")
            assert await reader.through() == START_US + 2
            assert await reader.versions() == [version_of(1)]
            assert await reader.snapshot(1) == b"snapshot 1"
            assert await reader.snapshot(2) is None

    play(scenario)


def test_nothing_is_written_before_a_claim(play: Play) -> None:
    async def scenario(door: Door) -> None:
        with pytest.raises(NotClaimed):
            await learn(door.model_store(), 1)

    play(scenario)


def test_a_version_comes_with_its_snapshot(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        with pytest.raises(ValueError, match="belong together"):
            await store.checkpoint(base=0, number=1, checkpoint=b"", through=0, version=version_of(1))
        assert await store.latest() is None

    play(scenario)


def test_the_same_checkpoint_again_is_already_done(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        await learn(store, 1, version_of(1))
        assert await learn(store, 1, version_of(1)) is Outcome.ALREADY_DONE
        assert await store.latest() == (1, b"\x80 1")
        assert await store.versions() == [version_of(1)]

    play(scenario)


@pytest.mark.parametrize("number", [1, 3, 9])
def test_a_checkpoint_of_another_base_changes_nothing(play: Play, number: int) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        await learn_all(store, 1)
        store = await trainer(door)  # in another process the same number is another checkpoint
        assert await learn(store, number, version_of(7)) is Outcome.WRONG_BASE
        assert await store.latest() == (1, b"\x80 1")
        assert await store.versions() == [version_of(1)]
        assert await learn(store, 2, version_of(2)) is Outcome.DONE

    play(scenario)


@pytest.mark.parametrize("instance", ["trainer-1", "trainer-2"])
def test_the_latest_claim_of_any_instance_wins(play: Play, instance: str) -> None:
    async def scenario(door: Door) -> None:
        old = await trainer(door)
        await learn_all(old, 2)
        new = await trainer(door, instance=instance)
        assert await learn(old, 3, version_of(3)) is Outcome.FENCED
        assert await learn(old, 2, version_of(2)) is Outcome.FENCED  # nor as a repetition
        assert await new.latest() == (2, b"\x80 2")
        assert await learn(new, 3, version_of(3)) is Outcome.DONE
        assert await learn(old, 4, version_of(4)) is Outcome.FENCED
        assert [version.number for version in await new.versions()] == [1, 2, 3]

    play(scenario)


def test_epochs_only_grow(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.model_store()
        epochs = [await store.claim(name) for name in ["a", "b", "a", "a"]]
        assert epochs == sorted(set(epochs))

    play(scenario)


def test_the_last_versions_are_kept(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door, keep=3)
        await learn_all(store, 12)
        assert [version.number for version in await store.versions()] == [10, 11, 12]
        assert await store.snapshot(10) == b"snapshot 10"
        assert await store.snapshot(9) is None
        assert await learn(store, 13) is Outcome.DONE  # a checkpoint without a version removes nothing
        assert len(await store.versions()) == 3

    play(scenario)


@pytest.mark.parametrize("number", [12, 11, 1])
def test_a_version_must_follow_the_newest_one(play: Play, number: int) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        await learn_all(store, 12)
        with pytest.raises(VersionOutOfOrder, match=rf"{number} cannot follow version 12"):
            await learn(store, 13, version_of(number))
        assert await store.latest() == (12, b"\x80 12")
        assert await learn(store, 13, version_of(20)) is Outcome.DONE

    play(scenario)


def test_a_pinned_version_is_kept_until_it_is_let_go(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door, keep=2)
        await learn_all(store, 3)
        await store.pin(2)
        assert await door.model_store().pinned() == 2
        for number in (4, 5, 6):
            await learn(store, number, version_of(number))
        assert [version.number for version in await store.versions()] == [2, 5, 6]
        assert await store.snapshot(2) == b"snapshot 2"
        await store.pin(None)
        assert await store.pinned() is None
        await learn(store, 7, version_of(7))
        assert [version.number for version in await store.versions()] == [6, 7]

    play(scenario)


def test_only_what_is_kept_can_be_pinned(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door, keep=2)
        with pytest.raises(UnknownVersion, match="Available versions: none"):
            await store.pin(1)
        await learn_all(store, 12)
        for number in (10, 13, 0, -1):
            with pytest.raises(UnknownVersion, match=rf"version {number} is not kept\. Available versions: 11, 12"):
                await store.pin(number)
        assert await store.pinned() is None

    play(scenario)


def test_the_version_of_a_moment_is_the_last_that_came_into_force(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door, keep=1)
        await learn_all(store, 11)
        at = [version_of(number).effective_at for number in range(12)]
        assert await store.version_at(at[1] - 1) is None
        assert [await store.version_at(moment) for moment in (at[1], at[2] - 1, at[2])] == [1, 1, 2]
        assert await store.version_at(NOTHING_LEARNED) is None
        assert await store.version_at(at[11] * 5) == 11
        await learn(store, 12, version_of(100, at[11]))  # of two at once the higher number
        assert await store.version_at(at[11]) == 100
        assert await store.version_at(at[11] - 1) == 10

    play(scenario)


def test_versions_from_before_1970_are_found_too(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        await learn(store, 1, version_of(1, -5 * DAY_US))
        await learn(store, 2, version_of(2, 0))
        moments = [-5 * DAY_US - 1, -5 * DAY_US, -1, 0]
        assert [await store.version_at(moment) for moment in moments] == [None, 1, 1, 2]

    play(scenario)


def test_the_index_is_bounded(play: Play) -> None:
    async def scenario(door: Door) -> None:
        store = door.model_store(2, indexed=4)
        await store.claim("trainer-1")
        await learn_all(store, 12)
        found = [await store.version_at(version_of(number).effective_at) for number in range(1, 13)]
        assert found == [None] * 8 + [9, 10, 11, 12]

    play(scenario)


@pytest.mark.parametrize("key", ["meta", "versions", "snapshots", "index"])
def test_a_checkpoint_that_fails_leaves_nothing_half_applied(fresh_redis: str, key: str) -> None:
    async def scenario(door: Door) -> None:
        store = await trainer(door)
        with redis.Redis.from_url(fresh_redis) as client:
            client.delete(f"test:{{model}}:{key}")
            client.set(f"test:{{model}}:{key}", "of another program")
            before = sorted(client.keys())
            with pytest.raises(StoreUnavailable):
                await learn(store, 1, version_of(1))
            assert sorted(client.keys()) == before
            if key != "meta":
                assert await store.latest() is None

    play_on_redis(fresh_redis, scenario)


def test_the_retry_of_a_claim_gives_the_same_epoch(fresh_redis: str) -> None:
    """A claim that reaches Redis twice must not fence itself, in either order."""

    async def scenario(door: Door) -> None:
        store = await trainer(door)
        with redis.Redis.from_url(fresh_redis) as client:
            token, epoch = client.hmget("test:{model}:meta", "claim", "epoch")
            folder = files("stream_app.adapters.redis") / "scripts"
            script = client.register_script((folder / "claim_owner.lua").read_bytes())
            assert script(keys=["test:{model}:meta"], args=["trainer-1", token, "trainer"]) == int(epoch)
        assert await learn(store, 1, version_of(1)) is Outcome.DONE

    play_on_redis(fresh_redis, scenario)
