"""The fake of the store of contact policies."""

from __future__ import annotations

from stream_app.ports import Published
from tests.fakes.memory_server import MemoryServer


class MemoryPolicyStore:
    """A `ports.PolicyStore` in memory; the port documents the methods."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def publish(self, version: str, content: bytes, effective_at: int | None = None) -> tuple[Published, bool]:
        stored, last = self._server.policies, self._server.lease.last
        stored.contents[version] = content
        if effective_at is None:
            newest = max(stored.published, default=None)
            if newest is not None and newest.version == version:
                return newest, False
            later = [one + 1 for one in (last, newest and newest.effective_at) if one is not None]
            effective_at = max([self._server.now_us(), *later])
        entry = Published(effective_at, version)
        is_new = entry not in stored.published
        stored.published.add(entry)
        return entry, is_new

    async def content(self, version: str) -> bytes | None:
        return self._server.policies.contents.get(version)

    async def published(self) -> list[Published]:
        return sorted(self._server.policies.published)
