"""Exports Redis memory usage as metrics, because a full Redis refuses commits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from stream_app.adapters.redis.connection import FAILURES, Client
from stream_app.metrics.runtime import RedisMetrics

POLL_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


async def watch_memory(client: Client, metrics: RedisMetrics) -> None:
    """Update the metrics until cancelled. Errors are logged once and are not fatal: commits fail on them anyway."""
    reported = False
    while True:
        try:
            used, limit = fullest(await client.info("memory"))
            metrics.used.set(used)
            metrics.limit.set(limit)
        except FAILURES as error:
            if not reported:
                _log.warning("Cannot read the memory usage of Redis", extra={"error": str(error)})
            reported = True
        await asyncio.sleep(POLL_SECONDS)


def fullest(info: Mapping[str, Any]) -> tuple[int, int]:
    """Return the used and maximum bytes from a reply to INFO. In a cluster, return those of the fullest node.

    >>> fullest({"used_memory": 5, "maxmemory": 0})
    (5, 0)
    >>> fullest({"a:1": {"used_memory": 5, "maxmemory": 9}, "b:1": {"used_memory": 7, "maxmemory": 9}})
    (7, 9)
    """
    nodes = [info] if "used_memory" in info else list(info.values())
    return max((int(node["used_memory"]), int(node["maxmemory"])) for node in nodes)
