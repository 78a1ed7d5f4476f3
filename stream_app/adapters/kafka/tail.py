"""The last records of partitions, read as the services read: a batch that cannot be read hides nothing else.

librdkafka answers such a batch with an error, or stands still before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.batches import Taken
from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.fetcher import drain, responding
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
from stream_app.adapters.kafka.refusals import refusals
from stream_app.config import LiveConfig, kafka_python_options
from stream_app.core.messages.unreadable import Unreadable
from stream_app.errors import NoBroker

_ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02
Take: TypeAlias = Callable[[TP, list[Taken]], None]
# Commands set up no logs; Python would print the library's warnings beside our error.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class Tail(NamedTuple):
    """What the last offsets hold.

    Attributes:
        records: those that can be read.
        whole: nothing lies before these offsets, in none of the topics.
    """

    records: list[ConsumerRecord]
    whole: bool


def tail(config: LiveConfig, topics: Sequence[str], partition: int, look_back: int) -> Tail:
    """The last offsets of a partition of some topics; runs an event loop of its own.

    Raises NoBroker, as KafkaDenied where a right is lacking; also when nothing comes: what was not read must not count
    as not there.
    """
    found: list[ConsumerRecord] = []

    def take(_tp: TP, taken: list[Taken]) -> None:
        found.extend(one for one in taken if not isinstance(one, Unreadable))

    whole = read_tails(config, [TP(topic, partition) for topic in topics], look_back, take)
    return Tail(found, whole)


def read_tails(config: LiveConfig, tps: Sequence[TP], look_back: int, take: Take) -> bool:
    """Read the last offsets of some partitions, and return whether nothing lies before; runs an event loop of its own.

    Args:
        config: where Kafka is.
        tps: the partitions; all must exist.
        look_back: number of offsets of each partition.
        take: receives the records of a partition in order, in parts, with `Unreadable` for what cannot be read.

    Raises NoBroker, as KafkaDenied where a right is lacking.
    """
    if not tps:
        return True
    try:
        with refusals("Read", topic=", ".join(sorted({tp.topic for tp in tps}))):
            return asyncio.run(_read(list(tps), config, look_back, take))
    except (KafkaError, TimeoutError) as error:
        problem = str(error) or "no answer in time"
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=problem) from error


class _Ignored(Faults):
    """Skips any number of bad batches and logs none: a tail is only looked at, so nothing is lost."""

    def skip(self, tp: TP, first: int, last: int, problem: str) -> None:
        pass


async def _read(tps: list[TP], config: LiveConfig, look_back: int, take: Take) -> bool:
    # Without a group: no right to one is needed, and nobody else is disturbed.
    consumer = aiokafka.AIOKafkaConsumer(
        **kafka_python_options(config.kafka), group_id=None, auto_offset_reset="none", enable_auto_commit=False
    )
    await consumer.start()
    try:
        fetcher = consumer._fetcher
        fetcher._proc_fetch_request = responding(fetcher, _Ignored(lambda: None), Unpacker())
        consumer.assign(tps)
        async with asyncio.timeout(_ANSWER_SECONDS):  # the library asks forever for a partition without a leader
            lows, highs = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, max(lows[tp], highs[tp] - look_back))
        await _up_to(consumer, highs, take)
        return all(highs[tp] - look_back <= lows[tp] for tp in tps)
    finally:
        await consumer.stop()


async def _up_to(consumer: aiokafka.AIOKafkaConsumer, ends: dict[TP, int], take: Take) -> None:
    """Hand over everything before these ends."""
    until = time.monotonic() + _ANSWER_SECONDS
    while lacking := {tp for tp, end in ends.items() if await consumer.position(tp) < end}:
        for tp, taken in drain(consumer._fetcher, lacking).items():
            take(tp, taken)
            until = time.monotonic() + _ANSWER_SECONDS
        if time.monotonic() > until:
            raise TimeoutError(f"nothing came of {', '.join(sorted({tp.topic for tp in lacking}))}")
        await asyncio.sleep(_POLL_SECONDS)
