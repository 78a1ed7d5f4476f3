"""Creates the stores of a service from its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeVar

from stream_app.adapters.redis.connection import make_client
from stream_app.adapters.redis.eviction import EvictionWatch
from stream_app.adapters.redis.lease import RedisLease
from stream_app.adapters.redis.model_store import RedisModelStore
from stream_app.adapters.redis.policy_store import RedisPolicyStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.config import LiveConfig
from stream_app.core.units import SECOND_US

T = TypeVar("T")


class Stores:
    """All stores that share one Redis. They connect on first use.

    Args:
        config: Redis, trainer and model settings.
    """

    def __init__(self, config: LiveConfig) -> None:
        redis = config.redis
        self.client = make_client(
            redis.url,
            password=redis.secret(),
            cluster=redis.cluster,
            tls={"ssl_ca_certs": redis.ca_file, "ssl_certfile": redis.cert_file, "ssl_keyfile": redis.key_file},
            connect_timeout_seconds=redis.connect_timeout / SECOND_US,
            timeout_seconds=redis.answer_timeout / SECOND_US,
        )
        self.states = RedisStateStore(self.client, redis.prefix)
        self.models = RedisModelStore(self.client, redis.prefix, config.trainer.keep, cache(config.model.keys))
        self.lease = RedisLease(self.client, redis.prefix)
        self.policies = RedisPolicyStore(self.client, redis.prefix)
        self.eviction = EvictionWatch(self.client)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


@asynccontextmanager
async def opened_stores(config: LiveConfig) -> AsyncIterator[Stores]:
    """Yield the stores and close them afterwards."""
    stores = Stores(config)
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
