"""Lease on writing ticks, stored in Redis."""

from __future__ import annotations

from stream_app.adapters.redis.connection import Client, ask
from stream_app.adapters.redis.keys import HOLDER, LAST, Keys
from stream_app.adapters.redis.store import Scripts
from stream_app.core.units import SECOND_US
from stream_app.ports import Lease


class RedisLease(Lease):
    """Implementation of `ports.Lease` on Redis.

    Args:
        client: client made by `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._run = client, Scripts(client)
        self._holder, self._last = Keys(prefix, "clock", "the lease").all(HOLDER, LAST)

    async def now(self) -> int:
        seconds, micros = await self._run("now", [self._holder])
        return int(seconds) * SECOND_US + int(micros)

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        return bool(await self._run("acquire", [self._holder], holder, ttl_ms))

    async def release(self, holder: str) -> None:
        await self._run("release", [self._holder], holder)

    async def advance(self, holder: str, value: int) -> bool:
        return bool(await self._run("advance", [self._holder, self._last], holder, value))

    async def last(self) -> int | None:
        found = await ask(self._client, "GET", self._last)
        return None if found is None else int(found)
