"""Progress of the services, read by the simulated shop so that it does not run far ahead of them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from stream_app.config import LiveConfig
from stream_app.services.runtime.stores import Stores

_NEVER: Final = -(1 << 62)


class _Summary(msgspec.Struct):
    """The fields of a partition summary that are read here. Importing the full type also loads the models (seconds)."""

    stream_time: int = _NEVER  # microseconds


class Backpressure:
    """Reads the services' progress from a thread without an event loop. Use it as a context manager."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._runner = asyncio.Runner()
        self._partitions = range(config.kafka.partitions)

    def __enter__(self) -> Self:
        self._stores = Stores(self._config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._stores.close())
        self._runner.close()

    def stream_time(self) -> int:
        """Return the stream time of the slowest partition, in microseconds."""
        stored = self._run(self._stores.states.summaries(self._partitions)).values()
        return min(msgspec.json.decode(one, type=_Summary).stream_time if one else _NEVER for one in stored)

    def through(self) -> int:
        """Return the stream time up to which the trainer has processed labels, in microseconds."""
        return int(self._run(self._stores.models.through()))

    def version_at(self, moment: int) -> int:
        """Return the model version in use at a stream time; 0 is the untrained model."""
        return self._run(self._stores.models.version_at(moment)) or 0

    def _run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)
