"""Options of the batching transport, which its consumer and thread read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import faust
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from yarl import URL

from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker

# Maximum time that a broker delays an empty fetch response. A partition whose records were not taken in time misses one
# fetch and is delayed by this time. An idle consumer sends requests at this interval.
FETCH_MAX_WAIT_MS = 20

# Maximum size per partition and fetch: about 1,000 events, one batch of a partition task.
MAX_PARTITION_FETCH_BYTES = 256 * 1024


class ConfiguredTransport(stock.Transport):
    """Faust's aiokafka transport with the options of the batching transport.

    Args:
        url: brokers.
        app: app that uses the transport.
        positions: returns the positions of the given partitions; called at every assignment and resume. Missing
            partitions are read from their beginning. Records fetched before the call are discarded.
        wants: returns whether to fetch more records from a partition; called before every fetch in the app's thread.
            Fetched records of an unwanted partition are kept and delivered later.
        fetch_max_wait_ms: maximum time that a broker delays a fetch response with less than `fetch_min_bytes`.
        fetch_min_bytes: minimum size of a fetch response.
        max_partition_fetch_bytes: maximum size per partition, unless a single batch is larger.
        skipped: called for each unreadable batch, in the consumer thread.
    """

    def __init__(  # noqa: PLR0913 - options of an app
        self,
        url: list[URL],
        app: faust.App,
        *,
        positions: Callable[[frozenset[TP]], Awaitable[Mapping[TP, int]]],
        wants: Callable[[TP], bool] = lambda _: True,
        fetch_max_wait_ms: int = FETCH_MAX_WAIT_MS,
        fetch_min_bytes: int = 1,
        max_partition_fetch_bytes: int = MAX_PARTITION_FETCH_BYTES,
        skipped: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(url, app)
        self.positions, self.wants = positions, wants
        self.fetch_max_wait_ms, self.max_partition_fetch_bytes = fetch_max_wait_ms, max_partition_fetch_bytes
        self.fetch_min_bytes = fetch_min_bytes
        self.faults, self.unpacker = Faults(skipped), Unpacker()
