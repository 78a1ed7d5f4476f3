"""Creates the stores of a service from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from stream_app.adapters.redis.connection import Client, make_client
from stream_app.adapters.redis.eviction import EvictionWatch
from stream_app.adapters.redis.lease import RedisLease
from stream_app.adapters.redis.model_store import RedisModelStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.config import LiveConfig
from stream_app.config.fields import SECOND_US


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
        await self.client.aclose()


def open_stores(config: LiveConfig) -> Stores:
    """Return the stores. They connect to Redis on first use."""
    redis = config.redis
    client = make_client(
        redis.url,
        password=redis.secret(),
        cluster=redis.cluster,
        tls={"ssl_ca_certs": redis.ca_file, "ssl_certfile": redis.cert_file, "ssl_keyfile": redis.key_file},
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
