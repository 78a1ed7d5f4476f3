"""The last records of partitions, read as the services read: a batch that cannot be read hides nothing else.

librdkafka answers such a batch with an error, or stands still before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.adapters.kafka_refusals import refusals
from stream_app.adapters.kafka_transport.faults import Faults
from stream_app.adapters.kafka_transport.fetcher import drain, responding
from stream_app.adapters.kafka_transport.unpacking import Unpacker
from stream_app.config import LiveConfig, kafka_python_options
from stream_app.core.unreadable import Unreadable
from stream_app.errors import NoBroker

_ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02


class Tail(NamedTuple):
    """What the last offsets hold.

    Attributes:
        records: those that can be read.
        whole: nothing lies before these offsets, in none of the topics.
    """

    records: list[ConsumerRecord]
    whole: bool


def read_tail(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int) -> list[ConsumerRecord]:
    """The records among the last offsets of a partition of some topics; see `tail`."""
    return tail(config, topics, partition, look_back).records


def tail(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int) -> Tail:
    """The last offsets of a partition of some topics; runs an event loop of its own.

    Raises NoBroker, as KafkaDenied where a right is lacking; also when nothing comes: what was not read must not count
    as not there.
    """
    try:
        with refusals("Read", topic=", ".join(topics)):
            return asyncio.run(_read([TP(topic, partition) for topic in topics], config, look_back))
    except (KafkaError, TimeoutError) as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error)) from error


async def _read(tps: list[TP], config: LiveConfig, look_back: int) -> Tail:
    # Without a group: no right to one is needed, and nobody else is disturbed.
    consumer = aiokafka.AIOKafkaConsumer(
        **kafka_python_options(config.kafka), group_id=None, auto_offset_reset="none", enable_auto_commit=False
    )
    await consumer.start()
    try:
        fetcher = consumer._fetcher
        fetcher._proc_fetch_request = responding(fetcher, Faults(lambda: None), Unpacker())
        consumer.assign(tps)
        lows, highs = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, max(lows[tp], highs[tp] - look_back))
        whole = all(highs[tp] - look_back <= lows[tp] for tp in tps)
        return Tail(await _up_to(consumer, highs), whole)
    finally:
        await consumer.stop()


async def _up_to(consumer: aiokafka.AIOKafkaConsumer, ends: dict[TP, int]) -> list[ConsumerRecord]:
    """All records before these ends."""
    found: list[ConsumerRecord] = []
    until = time.monotonic() + _ANSWER_SECONDS
    while lacking := {tp for tp, end in ends.items() if await consumer.position(tp) < end}:
        for taken in drain(consumer._fetcher, lacking).values():
            found += [one for one in taken if not isinstance(one, Unreadable)]
            until = time.monotonic() + _ANSWER_SECONDS
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came of {', '.join(sorted(tp.topic for tp in lacking))}")
        await asyncio.sleep(_POLL_SECONDS)
    return found
