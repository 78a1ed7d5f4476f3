"""The transport that an app is given, and the questions that it asks the worker."""

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

# How long a broker may keep a fetch that finds nothing. A partition whose records were not taken in time sits out one
# fetch, so this is the delay that it then suffers; an idle consumer asks this often.
FETCH_MAX_WAIT_MS = 20

# At most so much of a partition comes with one fetch: some 1,000 events, one batch for a lane.
MAX_PARTITION_FETCH_BYTES = 256 * 1024

Wants = Callable[[TP], bool]
Positions = Callable[[frozenset[TP]], Awaitable[Mapping[TP, int]]]


class BatchingTransport(stock.Transport):
    """Faust's aiokafka transport whose messages are whole fetches. Give it to an app before its first agent.

    Args:
        url: the brokers.
        app: the app.
        positions: where each of these partitions is to be read from; asked at every assignment and resume. A partition
            that is not in the answer is read from its beginning. From this call on, what was fetched before is void.
        wants: may more of this partition be fetched now? Asked before every fetch, in the app's thread. Records that
            have already come are kept, and delivered when the partition is wanted again.
        fetch_max_wait_ms: how long a broker may keep a fetch that finds nothing.
        fetch_min_bytes: a fetch that finds less is kept as long as one that finds nothing.
        max_partition_fetch_bytes: how much of a partition comes with one fetch, unless a single batch is larger.
        skipped: called for each batch that cannot be read, in the thread that fetches.

    What cannot be read comes as `Unreadable` in its place among the records.

    Raises MissingCodec if a batch of some codec could not be unpacked here.

    The agent's topics need raw keys and values (`value_serializer="raw"`), its stream `noack()`; an event's `value`
    holds pairs of a partition and its `Fetched`. Acknowledge an event when it is taken, and say `done` when what it
    held is stored. docs/adr/0008-transport.md lists the settings that an app needs.

    ```python
    app = faust.App("churn-monitor", broker="kafka://localhost:9092", ...)
    transport = BatchingTransport.install(app, positions=store.positions, wants=lanes.have_room)
    ```
    """

    Consumer: ClassVar[type[ConsumerT]] = BatchingConsumer
    _consumer: BatchingConsumer | None = None

    def __init__(  # noqa: PLR0913 - what an app may choose
        self,
        url: list[URL],
        app: faust.App,
        *,
        positions: Positions,
        wants: Wants = lambda _: True,
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
    def install(cls, app: faust.App, *, positions: Positions, **options: Any) -> BatchingTransport:
        """Make a transport for the app's brokers and let the app consume through it; producers stay Faust's."""
        transport = cls(app.conf.broker_consumer, app, positions=positions, **options)
        app.transport = transport
        return transport

    def create_consumer(self, callback: Any, **kwargs: Any) -> ConsumerT:
        """Create the app's consumer."""
        consumer = super().create_consumer(callback, **kwargs)
        assert isinstance(consumer, BatchingConsumer)  # noqa: S101 - for the type checker
        self._consumer = consumer
        return consumer

    def done(self, tp: TP, position: int) -> None:
        """Say that all of a partition before a position is stored; Kafka's displays of lag are told. The app's thread.

        Nothing else depends on it: reading begins where `positions` says.
        """
        if self._consumer is not None:
            self._consumer.done(tp, position)

    def wants_changed(self) -> None:
        """Say that `wants` would now answer yes for more partitions: a fetch that waits begins anew. Any thread."""
        if self._consumer is not None:
            self._consumer.wake()

    def standing(self) -> Mapping[TP, int]:
        """Up to where each partition was handed over of which more is wanted now; the app's thread."""
        return self._consumer.standing() if self._consumer is not None else {}
