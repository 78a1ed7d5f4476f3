"""Asks Redis how much memory it uses, for the metrics: a Redis that is full refuses commits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from stream_app.adapters.redis.connection import Client
from stream_app.metrics.runtime import RedisMetrics

ASK_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


async def watch_memory(client: Client, metrics: RedisMetrics) -> None:
    """Ask again and again, until cancelled. What goes wrong here is no reason to end a process: commits notice it."""
    told = False
    while True:
        try:
            used, limit = fullest(await client.info("memory"))
            metrics.used.set(used)
            metrics.limit.set(limit)
        except RedisError as error:
            if not told:
                _log.warning("Redis does not tell of its memory", extra={"error": str(error)})
            told = True
        await asyncio.sleep(ASK_SECONDS)


def fullest(info: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes used and allowed, from what INFO says; a cluster answers by node.

    >>> fullest({"used_memory": 5, "maxmemory": 0})
    (5, 0)
    >>> fullest({"a:1": {"used_memory": 5, "maxmemory": 9}, "b:1": {"used_memory": 7, "maxmemory": 9}})
    (7, 9)
    """
    nodes = [info] if "used_memory" in info else list(info.values())
    return max((int(node["used_memory"]), int(node["maxmemory"])) for node in nodes)
