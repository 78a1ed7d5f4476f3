"""How far the services have come, as Redis knows it: whoever feeds them must not run far ahead."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from stream_app.config import LiveConfig
from stream_app.services.runtime.stores import open_stores

_NEVER: Final = -(1 << 62)


class _Told(msgspec.Struct):
    """What we want of a partition's lane.Summary; to import it takes seconds, for the models that come with it."""

    stream_time: int = _NEVER  # microseconds


class Backpressure:
    """Asks from a thread that has no event loop of its own. Use as a context manager."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._runner = asyncio.Runner()
        self._partitions = range(config.kafka.partitions)

    def __enter__(self) -> Self:
        self._stores = open_stores(self._config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._stores.close())
        self._runner.close()

    def stream_time(self) -> int:
        """Up to which moment all partitions have come, microseconds."""
        stored = self._ask(self._stores.states.summaries(self._partitions))
        return min(msgspec.json.decode(told, type=_Told).stream_time if told else _NEVER for told in stored.values())

    def through(self) -> int:
        """Up to which moment the trainer has learned, microseconds."""
        return int(self._ask(self._stores.models.through()))

    def version_at(self, moment: int) -> int:
        """The model that is in force at a moment; 0: the prior."""
        return self._ask(self._stores.models.version_at(moment)) or 0

    def _ask(self, question: Any) -> Any:
        return self._runner.run(question)
