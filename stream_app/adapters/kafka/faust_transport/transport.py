"""Batching transport, to be installed in a Faust app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.transports import ConsumerT
from yarl import URL

from stream_app.adapters.kafka.faust_transport.consumer import BatchingConsumer
from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker

# Maximum time that a broker delays an empty fetch response. A partition whose records were not taken in time misses one
# fetch and is delayed by this time. An idle consumer sends requests at this interval.
FETCH_MAX_WAIT_MS = 20

# Maximum size per partition and fetch: about 1,000 events, one batch of a partition task.
MAX_PARTITION_FETCH_BYTES = 256 * 1024


class BatchingTransport(stock.Transport):
    """Faust's aiokafka transport, whose messages are entire fetches. Install it before the app's first agent.

    The agent's topics need raw keys and values (`value_serializer="raw"`), and its stream `noack()`. The `value` of an
    event holds pairs of a partition and its `Fetched`. Acknowledge an event on receipt, and call `done` once its
    records are stored. `Unreadable` replaces unreadable records. docs/adr/0008-transport.md lists the settings that an
    app needs.

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

    Raises:
        MissingCodec: the decompressor of a codec is not installed.

    Example:
        app = faust.App("churn-monitor", broker="kafka://localhost:9092", ...)
        transport = BatchingTransport.install(app, positions=store.positions, wants=tasks.wants)
    """

    Consumer: ClassVar[type[ConsumerT]] = BatchingConsumer
    _consumer: BatchingConsumer | None = None

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

    @classmethod
    def install(cls, app: faust.App, **options: Any) -> BatchingTransport:
        """Create a transport for the app's brokers and use it for the app's consumer."""
        transport = cls(app.conf.broker_consumer, app, **options)
        app.transport = transport
        return transport

    def create_consumer(self, callback: Any, **kwargs: Any) -> ConsumerT:
        """Create the consumer of the app."""
        consumer = super().create_consumer(callback, **kwargs)
        assert isinstance(consumer, BatchingConsumer)  # noqa: S101 - for the type checker
        self._consumer = consumer
        return consumer

    def done(self, tp: TP, position: int) -> None:
        """Commit a stored position to Kafka. Call this in the app's thread.

        The committed offset is only used to display lag; reading resumes from `positions`.
        """
        if self._consumer is not None:
            self._consumer.done(tp, position)

    def wants_changed(self) -> None:
        """Restart a waiting fetch because `wants` now returns True for more partitions. Thread-safe."""
        if self._consumer is not None:
            self._consumer._thread.wake()
