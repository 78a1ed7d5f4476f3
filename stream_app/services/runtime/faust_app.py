"""Creates the services' Faust app with the settings that a crash-safe consumer needs (docs/adr/0008-transport.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, cast

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.streams import Stream
from faust.types import StreamT
from faust.types.auth import CredentialsT
from faust.types.tuples import TP
from mode.supervisors import CrashingSupervisor

from stream_app.adapters.kafka.faust_transport import Fetched
from stream_app.config import LiveConfig, ssl_context
from stream_app.core.units import SECOND_US

_BUFFERED_FETCHES: Final = 2  # between Faust's fetcher and the agent
_MANY: Final = 500  # records


class _App(faust.App):
    """App without tables, and therefore without a data directory."""

    def _create_directories(self) -> None:
        """Do not create a data directory."""


def make_app(config: LiveConfig, group: str, instance: str) -> faust.App:
    """Return an app that joins a consumer group as a static member.

    Args:
        config: Kafka settings.
        group: consumer group.
        instance: name of the static member, which keeps its partitions across a restart without a rebalance.
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
        stream_buffer_maxsize=_BUFFERED_FETCHES,
        stream_wait_empty=False,  # unacknowledged records are read again
        agent_supervisor=CrashingSupervisor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
        producer_acks=-1,
    )


async def batches(app: faust.App, stream: StreamT[Any]) -> AsyncIterator[tuple[TP, Fetched]]:
    """Iterate over the fetched records of an agent's stream, partition by partition.

    Report stored positions to the transport with `done` instead of acknowledging messages. Records fetched before a
    rebalance are skipped, because they are fetched again.
    """
    async for event in cast("Stream[Sequence[tuple[TP, Fetched]]]", stream).noack().events():
        event.ack()
        for tp, fetched in event.value:
            if event.message.generation_id != app.consumer_generation_id:
                break
            yield tp, fetched
            if len(fetched.records) > _MANY:
                await asyncio.sleep(0)  # while catching up, there are thousands of records at once: let other tasks run


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
