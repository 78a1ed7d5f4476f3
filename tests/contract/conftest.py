"""Servers of the store contracts: fakes in memory, a real Redis, and a real node of a Redis Cluster."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field

import pytest
import redis

from stream_app.adapters.redis.connection import Client, make_client
from stream_app.adapters.redis.lease import RedisLease
from stream_app.adapters.redis.model_store import RedisModelStore
from stream_app.adapters.redis.policy_store import RedisPolicyStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.ports import VERSIONS_INDEXED, Lease, ModelStore, PolicyStore, StateStore
from tests.conftest import missing
from tests.fakes import MemoryLease, MemoryModelStore, MemoryPolicyStore, MemoryServer, MemoryStateStore
from tests.harness.servers import Missing, RedisServer
from tests.harness.servers.process import free_port


class Door(ABC):
    """Connections to one server; each store is that of another process."""

    @abstractmethod
    def state_store(self) -> StateStore: ...

    @abstractmethod
    def model_store(self, keep: int = 3, indexed: int = VERSIONS_INDEXED) -> ModelStore: ...

    @abstractmethod
    def lease(self) -> Lease: ...

    @abstractmethod
    def policy_store(self) -> PolicyStore: ...


@dataclass
class MemoryDoor(Door):
    server: MemoryServer = field(default_factory=MemoryServer)

    def state_store(self) -> StateStore:
        return MemoryStateStore(self.server)

    def model_store(self, keep: int = 3, indexed: int = VERSIONS_INDEXED) -> ModelStore:
        return MemoryModelStore(self.server, keep, indexed)

    def lease(self) -> Lease:
        return MemoryLease(self.server)

    def policy_store(self) -> PolicyStore:
        return MemoryPolicyStore(self.server)


@dataclass
class RedisDoor(Door):
    url: str
    exits: AsyncExitStack
    cluster: bool = False

    def _client(self) -> Client:
        client = make_client(self.url, cluster=self.cluster)
        self.exits.push_async_callback(client.aclose)
        return client

    def state_store(self) -> StateStore:
        return RedisStateStore(self._client(), "test")

    def model_store(self, keep: int = 3, indexed: int = VERSIONS_INDEXED) -> ModelStore:
        return RedisModelStore(self._client(), "test", keep, lambda: (b"key",), indexed)

    def lease(self) -> Lease:
        return RedisLease(self._client(), "test")

    def policy_store(self) -> PolicyStore:
        return RedisPolicyStore(self._client(), "test")


Scenario = Callable[[Door], Awaitable[None]]
Play = Callable[[Scenario], None]


class ClusterNode(RedisServer):
    """A node of a Redis Cluster with all slots: it rejects a script whose keys are in two slots."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "--cluster-enabled", "yes", "--cluster-port", str(free_port())]

    def start(self) -> None:
        super().start()
        with redis.Redis(port=self.port) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            until = time.monotonic() + 10.0
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < until, "the cluster does not come up"
                time.sleep(0.02)


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """Provide the URL of a node of a Redis Cluster."""
    with closing(ClusterNode()) as server:
        try:
            server.start()
        except Missing as absent:
            missing(str(absent))
        yield server.url


def play_on_redis(url: str, scenario: Scenario, *, cluster: bool = False) -> None:
    """Run a scenario on an empty real Redis."""

    async def run() -> None:
        async with AsyncExitStack() as exits:
            await scenario(RedisDoor(url, exits, cluster))

    with redis.Redis.from_url(url) as client:
        client.flushall()
    asyncio.run(run())


def play_in_memory(scenario: Scenario) -> None:
    """Run a scenario on empty fakes."""

    async def run() -> None:
        await scenario(MemoryDoor())

    asyncio.run(run())


@pytest.fixture(params=["memory", "redis", "cluster"])
def play(request: pytest.FixtureRequest) -> Play:
    """Provide a function that runs a scenario on an empty server of each kind."""
    if request.param == "memory":
        return play_in_memory
    in_cluster = request.param == "cluster"
    url: str = request.getfixturevalue("cluster_url" if in_cluster else "redis_url")
    return lambda scenario: play_on_redis(url, scenario, cluster=in_cluster)
