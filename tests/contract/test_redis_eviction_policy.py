"""A Redis that may evict keys is rejected, alone or as a node of a cluster; a later change of its policy is noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress

import pytest
import redis

from stream_app.adapters.redis import eviction
from stream_app.adapters.redis.connection import make_client
from stream_app.adapters.redis.eviction import EvictionWatch, policies
from stream_app.errors import EvictingStore, StoreUnavailable
from tests.contract.conftest import ClusterNode
from tests.harness.servers import RedisServer

Watched = Callable[[EvictionWatch], Awaitable[None]]


@pytest.fixture(params=["redis", "cluster"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """Provide a server, and whether it is a node of a cluster; its policy and users are restored afterwards."""
    in_cluster = request.param == "cluster"
    url: str = request.getfixturevalue("cluster_url" if in_cluster else "redis_url")
    yield url, in_cluster
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.acl_deluser("limited")


def set_policy(url: str, policy: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", policy)


def watch(url: str, in_cluster: bool, scenario: Watched) -> None:
    async def run() -> None:
        client = make_client(url, cluster=in_cluster)
        watched = EvictionWatch(client)
        try:
            await scenario(watched)
        finally:
            await client.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl", "allkeys-lfu"])
def test_any_other_policy_is_refused(server: tuple[str, bool], policy: str) -> None:
    set_policy(server[0], policy)

    async def scenario(watched: EvictionWatch) -> None:
        with pytest.raises(EvictingStore, match=rf"127\.0\.0\.1:\d+ may evict .* is {policy}\. Set it to noeviction"):
            await watched.check()

    watch(*server, scenario)


def test_a_policy_that_is_changed_later_is_noticed(
    server: tuple[str, bool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(eviction, "CHECK_SECONDS", 0.01)

    async def until(watched: EvictionWatch, *, wrong: bool) -> None:
        for _ in range(2_000):
            if bool(watched.problem) is wrong:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"still {watched.problem!r}")

    async def scenario(watched: EvictionWatch) -> None:
        await watched.check()
        assert watched.problem == ""
        running = asyncio.create_task(watched.run())
        set_policy(server[0], "allkeys-lru")
        await until(watched, wrong=True)
        assert "is allkeys-lru" in watched.problem
        set_policy(server[0], "noeviction")
        await until(watched, wrong=False)
        running.cancel()

    watch(*server, scenario)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("rights", "told"),
    [(["+@all", "-info"], True), (["+@all", "-config"], True), (["+@all", "-info", "-config"], False)],
    ids=["no INFO", "no CONFIG", "neither"],
)
def test_missing_rights_to_read_the_policy_cause_a_warning(
    server: tuple[str, bool], rights: list[str], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    url, in_cluster = server
    set_policy(url, "allkeys-lru")
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "~*", *rights)

    async def scenario(watched: EvictionWatch) -> None:
        if told:
            with pytest.raises(EvictingStore):
                await watched.check()
        else:
            await watched.check()
            assert watched.problem == ""

    watch(url.replace("redis://", "redis://limited:secret@"), in_cluster, scenario)
    assert ["maxmemory-policy" in record.message for record in caplog.records] == [True] * (not told)


def test_an_unreachable_redis_is_reported(server: tuple[str, bool]) -> None:
    async def scenario(watched: EvictionWatch) -> None:
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
            await watched.check()

    async def run() -> None:
        client = make_client("redis://127.0.0.1:1/0", cluster=server[1], retries=0)
        try:
            await scenario(EvictionWatch(client))
        finally:
            await client.aclose()

    asyncio.run(run())


class Joining(ClusterNode):
    """Run a node without slots."""

    def start(self) -> None:
        RedisServer.start(self)


def test_every_node_of_a_cluster_is_checked() -> None:
    async def asked(url: str) -> dict[str, str | None]:
        client = make_client(url, cluster=True)
        try:
            return await policies(client)
        finally:
            await client.aclose()

    with closing(ClusterNode()) as first, closing(Joining()) as replica:
        first.start()
        replica.start()
        with redis.Redis(port=replica.port) as client, redis.Redis(port=first.port) as primary:
            bus = primary.config_get("cluster-port")["cluster-port"]
            name = primary.execute_command("CLUSTER MYID")
            client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, bus)
            client.config_set("maxmemory-policy", "allkeys-lru")
            for _ in range(200):
                with suppress(redis.ResponseError):  # until they have met
                    client.execute_command("CLUSTER REPLICATE", name)
                    break
                time.sleep(0.1)
            found: dict[str, str | None] = {}
            for _ in range(200):
                if len(found := asyncio.run(asked(first.url))) == 2:
                    break
                time.sleep(0.1)
        ports = {int(node.rsplit(":", 1)[1]): policy for node, policy in found.items()}
        assert ports == {first.port: "noeviction", replica.port: "allkeys-lru"}
