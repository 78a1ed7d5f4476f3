"""Lease on writing ticks, stored in Redis."""

from __future__ import annotations

from stream_app.adapters.redis.connection import Client, Script, ask
from stream_app.adapters.redis.keys import HOLDER, LAST, clock_keys
from stream_app.ports import Lease


class RedisLease(Lease):
    """Implementation of `ports.Lease` on Redis.

    Args:
        client: from `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._holder, self._last = clock_keys(prefix).all(HOLDER, LAST)
        self._acquire = Script(client, "acquire")
        self._release = Script(client, "release")
        self._advance = Script(client, "advance")
        self._now = Script(client, "now")

    async def now(self) -> int:
        seconds, micros = await self._now([self._holder])
        return int(seconds) * 1_000_000 + int(micros)

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        return bool(await self._acquire([self._holder], holder, ttl_ms))

    async def release(self, holder: str) -> None:
        await self._release([self._holder], holder)

    async def advance(self, holder: str, value: int) -> bool:
        return bool(await self._advance([self._holder, self._last], holder, value))

    async def last(self) -> int | None:
        found = await ask(self._client, "GET", self._last)
        return None if found is None else int(found)
