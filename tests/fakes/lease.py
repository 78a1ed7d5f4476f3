"""The fake of the clock lease."""

from __future__ import annotations

from tests.fakes.memory_server import MemoryServer


class MemoryLease:
    """A `ports.Lease` in memory; the port documents the methods."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def now(self) -> int:
        return self._server.now_us()

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        if self._holder() not in {None, holder}:
            return False
        lease = self._server.lease
        lease.holder, lease.until = holder, self._server.now_seconds() + ttl_ms / 1_000
        return True

    async def release(self, holder: str) -> None:
        if self._holder() == holder:
            self._server.lease.holder = None

    async def advance(self, holder: str, value: int) -> bool:
        last = self._server.lease.last
        if self._holder() != holder or (last is not None and last > value):
            return False
        self._server.lease.last = value
        return True

    async def last(self) -> int | None:
        return self._server.lease.last

    def _holder(self) -> str | None:
        lease = self._server.lease
        return lease.holder if self._server.now_seconds() < lease.until else None
