"""Published contact policies in Redis, beside the last tick, which they follow. See keys.py for the keys."""

from __future__ import annotations

from stream_app.adapters.redis.connection import Client, ask
from stream_app.adapters.redis.keys import LAST, POLICIES, POLICY_CONTENTS, Keys
from stream_app.adapters.redis.store import Scripts, decoded, encoded
from stream_app.ports import PolicyStore, Published


class RedisPolicyStore(PolicyStore):
    """Implementation of `ports.PolicyStore` on Redis.

    Args:
        client: client made by `make_client`; the caller closes it.
        prefix: prefix of all keys.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self._client, self._run = client, Scripts(client)
        keys = Keys(prefix, "clock", "the policies")
        self._contents, self._policies, self._last = keys.all(POLICY_CONTENTS, POLICIES, LAST)

    async def publish(self, version: str, content: bytes, effective_at: int | None = None) -> tuple[Published, bool]:
        keys, at = [self._contents, self._policies, self._last], "" if effective_at is None else effective_at
        entry, changed = await self._run("publish_policy", keys, encoded(version), content, at)
        return _published(entry), bool(changed)

    async def content(self, version: str) -> bytes | None:
        found: bytes | None = await ask(self._client, "HGET", self._contents, encoded(version))
        return found

    async def published(self) -> list[Published]:
        return [_published(entry) for entry in await ask(self._client, "ZRANGE", self._policies, 0, -1)]


def _published(entry: bytes) -> Published:
    at, _, version = entry.partition(b":")
    return Published(int(at), decoded(version))
