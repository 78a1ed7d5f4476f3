"""Whether a Redis may evict what it holds: it would forget customers as soon as its memory is full."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from stream_app.adapters.redis.connection import Client, address, translated
from stream_app.errors import EvictingStore, StoreUnavailable

LOOK_SECONDS: Final = 5.0
_KEEPS: Final = "noeviction"
_log = logging.getLogger(__name__)


class EvictionWatch:
    """Refuses a Redis that may evict, and keeps looking: `CONFIG SET` may change it at any time.

    Use: `begin` when a service starts, then ask for `problem` from time to time, and `end`.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._task: asyncio.Task[None] | None = None
        self.problem = ""  # what is wrong now

    async def begin(self) -> None:
        """Raise EvictingStore if a node may evict, and StoreUnavailable; then look again every few seconds."""
        found = await policies(self._client)
        if unknown := [node for node, policy in found.items() if policy is None]:
            told = "Redis does not tell its maxmemory-policy: give the user INFO or CONFIG GET, or see to it that it is"
            _log.warning(f"{told} {_KEEPS}", extra={"nodes": ", ".join(unknown)})
        if refusal := _refusal(found):
            raise refusal
        self._task = asyncio.create_task(self._look())

    async def end(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.problem = str(_refusal(await policies(self._client)) or "")
            except StoreUnavailable as error:  # no reason to end a process: commits notice it
                _log.debug("no answer", extra={"problem": str(error)})


def _refusal(found: dict[str, str | None]) -> EvictingStore | None:
    evicting = {node: policy for node, policy in found.items() if policy not in {None, _KEEPS}}
    if not evicting:
        return None
    return EvictingStore(address=", ".join(evicting), policy=", ".join(sorted(map(str, set(evicting.values())))))


async def policies(client: Client) -> dict[str, str | None]:
    """The maxmemory-policy of every node by address; None: the user may not ask. Raises StoreUnavailable.

    A node of a cluster that is down is left out: a replica that is gone stops nobody.
    """
    if not isinstance(client, RedisCluster):
        return {address(client): await _policy_of(client)}
    with translated(client):
        await client.initialize()
    found: dict[str, str | None] = {}
    for node in client.get_nodes():
        try:
            found[node.name] = await _policy_of(client, target_nodes=node)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, NoConnection | NoAnswer):
                raise
    return found


async def _policy_of(client: Client, **target: Any) -> str | None:
    """Of one node: from INFO, or from CONFIG GET where INFO is forbidden or does not say."""
    with translated(client):
        try:
            if policy := (await client.info("memory", **target)).get("maxmemory_policy"):
                return str(policy)
        except ResponseError:
            pass
        try:
            found = (await client.config_get("maxmemory-policy", **target)).get("maxmemory-policy")
        except ResponseError:
            return None
        return str(found) if found else None
