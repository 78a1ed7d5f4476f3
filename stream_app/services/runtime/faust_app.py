"""The Faust app and the producer of our services, with the settings that a crash-safe consumer needs.

docs/adr/0008-transport.md tells what each setting prevents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, cast

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from faust.auth import SASLCredentials, SSLCredentials
from faust.streams import Stream
from faust.types import StreamT
from faust.types.auth import CredentialsT
from faust.types.tuples import TP
from mode.supervisors import CrashingSupervisor

from stream_app.adapters.kafka.faust_transport import BatchingTransport, Fetched
from stream_app.config import LiveConfig, ssl_context
from stream_app.config.fields import SECOND_US

MAX_REQUEST_BYTES: Final = 1 << 20  # of a record, as brokers have it unless told otherwise
_BUFFERED_BATCHES: Final = 2  # between Faust's fetch and the agent, each of all partitions
_MANY: Final = 500  # records
Haul = Sequence[tuple[TP, Fetched]]  # what one fetch brought
_PRODUCER_SECONDS: Final = 3.0  # for its last records
_LINGER_MS: Final = 2  # records of one commit go out together


class _App(faust.App):
    """An app without tables, and therefore without a folder of its own."""

    def _create_directories(self) -> None:
        """Make no folder in whatever folder the process was started in."""


def make_app(config: LiveConfig, group: str, instance: str) -> faust.App:
    """A Faust app that consumes for a group under a stable name.

    Args:
        config: where Kafka is, and how long a silent member is waited for.
        group: the consumer group.
        instance: name of the member: after a restart it gets its partitions back without a rebalance.
    """
    kafka = config.kafka
    return _App(
        group,
        broker=[f"kafka://{address}" for address in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(config),
        broker_client_id=kafka.client_id,
        broker_session_timeout=kafka.session_timeout / SECOND_US,
        broker_heartbeat_interval=kafka.heartbeat / SECOND_US,
        broker_request_timeout=kafka.request_timeout / SECOND_US,
        consumer_group_instance_id=instance,
        key_serializer="raw",
        value_serializer="raw",
        stream_buffer_maxsize=_BUFFERED_BATCHES,
        stream_wait_empty=False,  # what is not acknowledged is not lost: it is read again
        agent_supervisor=CrashingSupervisor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
        producer_acks=-1,
    )


async def batches(app: faust.App, stream: StreamT[Any]) -> AsyncIterator[tuple[TP, Fetched]]:
    """What the fetches of an agent's stream brought, partition by partition.

    What is stored of it is told to the transport (`done`), and not by acknowledging messages. What was fetched before a
    rebalance is left out: the positions were sought since, and it is fetched again.
    """
    async for event in cast("Stream[Haul]", stream).noack().events():
        event.ack()
        for tp, fetched in event.value:
            if event.message.generation_id != app.consumer_generation_id:
                break
            yield tp, fetched
            if len(fetched.records) > _MANY:
                await asyncio.sleep(0)  # a lane that is behind gets thousands at once: let the others have a turn


def standing(app: faust.App) -> Mapping[TP, int]:
    """Up to where the app's consumer has brought each partition of which more is wanted now."""
    transport = app.transport
    return transport.standing() if isinstance(transport, BatchingTransport) and app.started else {}


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """An idempotent producer that goes on after a record that the broker has refused for good."""

    def take_back(self, topic: str, partition: int, records: int) -> None:
        """See relay.Producer. Nothing of the partition may be under way."""
        self._txn_manager.increment_sequence_number(TopicPartition(topic, partition), -records)


def make_producer(config: LiveConfig, *, idempotent: bool = True) -> Producer:
    """A producer to all replicas. Idempotent: no record twice and none out of order, whatever is sent again.

    Args:
        config: where Kafka is.
        idempotent: without it a record may come twice, and one that is refused for good does not hold up the next.
    """
    return Producer(
        bootstrap_servers=config.kafka.bootstrap,
        client_id=config.kafka.client_id,
        enable_idempotence=idempotent,
        acks="all",
        linger_ms=_LINGER_MS,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=config.kafka.request_timeout // 1_000,
        **_security(config),
    )


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer, without waiting for a Kafka that is away: all that it was given stands in an outbox too."""
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait({stopping}, timeout=_PRODUCER_SECONDS)
    if stopping.done():
        stopping.result()


def _credentials(config: LiveConfig) -> CredentialsT | None:
    security = config.kafka.security
    if security.sasl:
        return SASLCredentials(
            username=security.username,
            password=security.secret(),
            mechanism=security.sasl_mechanism,
            ssl_context=ssl_context(config.kafka),
        )
    return SSLCredentials(ssl_context(config.kafka)) if security.encrypted else None


def _security(config: LiveConfig) -> dict[str, Any]:
    security = config.kafka.security
    options = {
        "security_protocol": security.protocol,
        "sasl_mechanism": security.sasl_mechanism,
        "sasl_plain_username": security.username,
        "sasl_plain_password": security.secret(),
        "ssl_context": ssl_context(config.kafka),
    }
    return {name: value for name, value in options.items() if value is not None}
