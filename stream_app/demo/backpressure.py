"""Progress of the services, read by the simulated shop so that it does not run far ahead of them."""

from __future__ import annotations

import asyncio

from stream_app.config import LiveConfig
from stream_app.core.partition.progress import decode_summary
from stream_app.core.units import NEVER
from stream_app.services.runtime.stores import open_stores


class Backpressure:
    """Reads the progress of the services, from a thread without an event loop."""

    def __init__(self, config: LiveConfig) -> None:
        self._partitions = range(config.kafka.partitions)
        self._stores = open_stores(config)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._stores.close())
        self._runner.close()

    def stream_time(self) -> int:
        """Return the stream time of the slowest partition, in microseconds."""
        stored = self._runner.run(self._stores.states.summaries(self._partitions)).values()
        return min(decode_summary(one).stream_time if one else NEVER for one in stored)

    def through(self) -> int:
        """Return the stream time up to which the trainer has processed labels, in microseconds."""
        return self._runner.run(self._stores.models.through())

    def version_at(self, moment: int) -> int:
        """Return the model version in use at a stream time; 0 is the untrained model."""
        return self._runner.run(self._stores.models.version_at(moment)) or 0
