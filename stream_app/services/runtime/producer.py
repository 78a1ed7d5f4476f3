"""Kafka producer of the services."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from stream_app.adapters.kafka.refusals import refusals
from stream_app.config import LiveConfig, client_options

MAX_REQUEST_BYTES: Final = 1 << 20  # maximum size of a record by the default settings of a broker
_STOP_SECONDS: Final = 3.0  # to send the last records
_LINGER_MS: Final = 2  # records of one commit then share a batch


class RecordProducer(Protocol):
    """The part of `Producer` that callers use; fakes implement it too. Records of a partition stay in order."""

    async def send(  # noqa: D102 - see aiokafka
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> asyncio.Future[object]: ...

    def take_back(self, topic: str, partition: int, records: int) -> None:
        """Reuse the producer sequence numbers of the last records of a partition, because the broker rejected them."""


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """Idempotent producer that can continue after the broker has rejected a record."""

    def take_back(self, topic: str, partition: int, records: int) -> None:
        """See RecordProducer. No record of the partition may be in flight."""
        self._txn_manager.increment_sequence_number(TopicPartition(topic, partition), -records)


async def start_producer(config: LiveConfig, *, idempotent: bool = True) -> Producer:
    """Return a connected producer that waits for all in-sync replicas. Raises KafkaDenied and connection errors.

    Args:
        config: Kafka settings.
        idempotent: whether retries must neither duplicate nor reorder records. A non-idempotent producer may duplicate
            a record, but a rejected record does not block the following ones.
    """
    producer = Producer(
        **client_options(config.kafka),
        enable_idempotence=idempotent,
        acks="all",
        linger_ms=_LINGER_MS,
        max_request_size=MAX_REQUEST_BYTES,
    )
    try:
        with refusals("Write"):
            await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer, with a timeout in case Kafka is unavailable. All of its records are also in an outbox."""
    stopping: asyncio.Task[Any] = asyncio.create_task(producer.stop())
    await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
    if stopping.done():
        stopping.result()
