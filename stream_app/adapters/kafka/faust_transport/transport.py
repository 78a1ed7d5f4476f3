"""Batching transport, to be installed in a Faust app."""

from __future__ import annotations

from typing import Any, ClassVar

import faust
from faust.types import TP
from faust.types.transports import ConsumerT

from stream_app.adapters.kafka.faust_transport.configured import ConfiguredTransport
from stream_app.adapters.kafka.faust_transport.consumer import BatchingConsumer


class BatchingTransport(ConfiguredTransport):
    """Faust's aiokafka transport, whose messages are entire fetches. Install it before the app's first agent.

    The agent's topics need raw keys and values (`value_serializer="raw"`), and its stream `noack()`. The `value` of an
    event holds pairs of a partition and its `Fetched`. Acknowledge an event on receipt, and call `done` once its
    records are stored. `Unreadable` replaces unreadable records. docs/adr/0008-transport.md lists the settings that an
    app needs.

    Args: see ConfiguredTransport.

    Raises:
        MissingCodec: the decompressor of a codec is not installed.

    Example:
        app = faust.App("churn-monitor", broker="kafka://localhost:9092", ...)
        transport = BatchingTransport.install(app, positions=store.positions, wants=tasks.wants)
    """

    Consumer: ClassVar[type[ConsumerT]] = BatchingConsumer
    _consumer: BatchingConsumer | None = None

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
            self._consumer.wake()
