"""Creates the stores of a service from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from stream_app.adapters.redis.connection import Client, TlsFiles, make_client
from stream_app.adapters.redis.eviction import EvictionWatch
from stream_app.adapters.redis.lease import RedisLease
from stream_app.adapters.redis.model_store import RedisModelStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.config import LiveConfig
from stream_app.core.units import SECOND_US

T = TypeVar("T")


@dataclass(frozen=True)
class Stores:
    """All stores that share one Redis."""

    client: Client
    states: RedisStateStore
    models: RedisModelStore
    lease: RedisLease
    eviction: EvictionWatch

    async def close(self) -> None:
        """Close the connections."""
        await self.eviction.end()
        await self.client.aclose()


def open_stores(config: LiveConfig) -> Stores:
    """Return the stores. They connect to Redis on first use."""
    redis = config.redis
    client = make_client(
        redis.url,
        password=redis.secret(),
        cluster=redis.cluster,
        tls=TlsFiles(redis.ca_file, redis.cert_file, redis.key_file),
        connect_timeout_seconds=redis.connect_timeout / SECOND_US,
        timeout_seconds=redis.answer_timeout / SECOND_US,
    )
    return Stores(
        client,
        RedisStateStore(client, redis.prefix),
        RedisModelStore(client, redis.prefix, config.trainer.keep, cache(config.model.keys)),
        RedisLease(client, redis.prefix),
        EvictionWatch(client),
    )


@asynccontextmanager
async def opened_stores(config: LiveConfig) -> AsyncIterator[Stores]:
    """Yield the stores and close them afterwards."""
    stores = open_stores(config)
    try:
        yield stores
    finally:
        await stores.close()


def with_stores(config: LiveConfig, task: Callable[[Stores], Awaitable[T]]) -> T:
    """Run a task with the stores in a new event loop. Raises StoreUnavailable."""

    async def run() -> T:
        async with opened_stores(config) as stores:
            return await task(stores)

    return asyncio.run(run())
