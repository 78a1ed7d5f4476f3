"""Checks the eviction policy: a Redis that evicts keys loses customer states when its memory is full."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as NoConnection, ResponseError, TimeoutError as NoAnswer

from stream_app.adapters.redis.connection import Client, address, translated
from stream_app.errors import EvictingStore, StoreUnavailable

CHECK_SECONDS: Final = 5.0
_KEEPS: Final = "noeviction"
_log = logging.getLogger(__name__)


class EvictionWatch:
    """Checks that Redis does not evict keys; `CONFIG SET` may change the policy at any time.

    Await `check` when a service starts, then run `run` in the background and read `problem` from time to time.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.problem = ""  # current problem; empty if there is none

    async def check(self) -> None:
        """Check the policy. Raises EvictingStore and StoreUnavailable."""
        found = await policies(self._client)
        if unknown := [node for node, policy in found.items() if policy is None]:
            _log.warning(
                f"Cannot read maxmemory-policy: grant the user INFO or CONFIG GET, or make sure it is {_KEEPS}",
                extra={"nodes": ", ".join(unknown)},
            )
        if refusal := _refusal(found):
            raise refusal

    async def run(self) -> None:
        """Update `problem` every few seconds until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                self.problem = str(_refusal(await policies(self._client)) or "")
            except StoreUnavailable as error:  # not fatal: commits will fail if Redis is down
                _log.debug("Eviction check failed", extra={"problem": str(error)})


def _refusal(found: dict[str, str | None]) -> EvictingStore | None:
    evicting = {node: policy for node, policy in found.items() if policy not in {None, _KEEPS}}
    found_policies = ", ".join(sorted(map(str, set(evicting.values()))))
    return EvictingStore(address=", ".join(evicting), policy=found_policies) if evicting else None


async def policies(client: Client) -> dict[str, str | None]:
    """Return the maxmemory-policy of every node, by address; None if the user may not read it.

    Cluster nodes that are down are left out, because a missing replica is no problem. Raises StoreUnavailable.
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
    """Return the policy of one node, from INFO or, if INFO is denied or does not contain it, from CONFIG GET."""
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
