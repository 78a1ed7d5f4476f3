"""Run a service whose consumer stops fetching once it has its position; it stays in its group."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from stream_app.adapters.kafka.faust_transport.consumer import BatchingConsumer
from stream_app.config import load_config
from stream_app.services.runtime.process import run_service
from tests.chaos.crash_at_steps import SERVICES

_getmany = BatchingConsumer._getmany


async def silent(self: Any, **asked: Any) -> Any:
    if self._sought:
        await asyncio.sleep(3_600)
    return await _getmany(self, **asked)


if __name__ == "__main__":
    BatchingConsumer._getmany = silent  # type: ignore[method-assign,assignment]
    name = sys.argv[-1]
    sys.exit(run_service(name, load_config(), SERVICES[name]))
