"""Gives commands access to the stores of the services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stream_app.config import LiveConfig
from stream_app.services.runtime.stores import Stores

T = TypeVar("T")


def with_stores(config: LiveConfig, task: Callable[[Stores], Awaitable[T]]) -> T:
    """Run a task with the stores, then close them. Raises StoreUnavailable."""

    async def run() -> T:
        stores = Stores(config)
        try:
            return await task(stores)
        finally:
            await stores.close()

    return asyncio.run(run())
