"""Reads the last records of partitions and the sequence numbers that our outboxes have written there.

Records are read with the transport's own reader, which skips unreadable batches. librdkafka would fail or stall at
them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

import aiokafka
from aiokafka.errors import KafkaError
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.fetcher import drain, responding
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
from stream_app.adapters.kafka.refusals import refusals
from stream_app.config import LiveConfig, client_options
from stream_app.core.alerts.arms import Draws
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_candidates, decode_labelled, decode_scored, read_message
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.messages.schema import AlertStep, AllocationDone, decode_control
from stream_app.core.messages.unreadable import Unreadable
from stream_app.core.partition.outbox import LABELLED, NOMINATIONS, SCORES
from stream_app.core.units import micros
from stream_app.errors import NoBroker

_ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02
_LOOK_BACK: Final = 16  # number of offsets; the last ones may belong to other producers
# Topics to which only workers write.
_WORKER_TOPICS: Final[dict[str, Callable[[bytes], object]]] = {
    LABELLED: decode_labelled,
    NOMINATIONS: decode_candidates,
    SCORES: decode_scored,
}
_MAX_SPREAD: Final = 10**9  # between the lowest and the highest plausible number among the last records
_FURTHER: Final = 8  # factor by which to look further back if none of our records was found
Take: TypeAlias = Callable[[TP, list[Record]], None]
# Commands do not configure logging. Without this, Python would print the library's warnings next to our error.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class LastSent(NamedTuple):
    """The last records that the allocator has sent to a partition.

    Attributes:
        sequence: highest sequence number of its outbox.
        control: highest number that it has used in the control messages of the partition.
        moment: time of the latest allocation round, in microseconds; -1 if there is none.
        draws: draws of the holdout experiment until then.
    """

    sequence: int
    control: int
    moment: int
    draws: Draws


def last_sequence(config: LiveConfig, partition: int, look_back: int = _LOOK_BACK) -> int:
    """Return the highest sequence number among the last records that workers wrote for a partition; 0 if none.

    Records that cannot be decoded are ignored: a made-up number in a foreign record must not keep workers from
    starting.

    Args:
        config: Kafka settings.
        partition: partition number.
        look_back: number of offsets per topic.

    Raises:
        NoBroker: Kafka does not answer.
    """
    decoders = {config.kafka.topics.of(role)[role]: decode for role, decode in _WORKER_TOPICS.items()}
    records, _ = _readable(config, list(decoders), partition, look_back)
    ours = [one for tp, one in records if not isinstance(read_message(one.value, decoders[tp.topic]), Rejected)]
    return highest(sequence_of(record.headers) for record in ours)


def last_of_allocator(config: LiveConfig, topic: str, partition: int) -> LastSent:
    """Return the last records that the allocator has sent to a partition of the control topic. Raises NoBroker."""
    look_back = _LOOK_BACK
    while True:
        sequences, numbers, moment, draws = list[int](), list[int](), -1, Draws()
        records, whole = _readable(config, [topic], partition, look_back)
        for _, record in records:
            message = decode_control(record.value or b"")
            if isinstance(message, AllocationDone) or (isinstance(message, AlertStep) and message.opening is not None):
                sequences.append(sequence_of(record.headers))
                numbers.append(message.sequence)
            if isinstance(message, AllocationDone) and (at := micros(message.occurred_at)) > moment:
                moment, draws = at, Draws(message.experiment, message.drawn)
        if moment >= 0 or whole:  # otherwise actions of the staff may hide them
            return LastSent(highest(sequences), highest(numbers), moment, draws)
        look_back *= _FURTHER


def highest(numbers: Iterable[int]) -> int:
    """Return the highest sequence number, ignoring numbers implausibly far above the lowest one.

    >>> highest([0, 7, 5_000_000]), highest([7, 999_999_999_999]), highest([])
    (5000000, 7, 0)
    """
    real = [number for number in numbers if number]
    return max((number for number in real if number - min(real) < _MAX_SPREAD), default=0)


def _readable(
    config: LiveConfig, topics: Sequence[str], partition: int, look_back: int
) -> tuple[list[tuple[TP, Record]], bool]:
    found: list[tuple[TP, Record]] = []

    def take(tp: TP, taken: list[Record]) -> None:
        found.extend((tp, one) for one in taken if not isinstance(one, Unreadable))

    return found, read_last(config, [TP(topic, partition) for topic in topics], look_back, take)


def read_last(config: LiveConfig, tps: Sequence[TP], look_back: int, take: Take) -> bool:
    """Read the last records of partitions in a new event loop. Return whether these were all of their records.

    Args:
        config: Kafka settings.
        tps: partitions; all must exist.
        look_back: number of offsets per partition.
        take: called with a partition and its next records, in order; `Unreadable` replaces unreadable records.

    Raises:
        NoBroker: Kafka does not answer or sends nothing: unread records must not count as missing.
        KafkaDenied: the user lacks a right.
    """
    if not tps:
        return True
    try:
        with refusals("Read", topic=", ".join(sorted({tp.topic for tp in tps}))):
            return asyncio.run(_read(list(tps), config, look_back, take))
    except (KafkaError, TimeoutError) as error:
        problem = str(error) or "no answer in time"
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=problem) from error


class _NoLimit(Faults):
    """Skips any number of unreadable batches without logging them: this only inspects records, so nothing is lost."""

    def skip(self, tp: TP, first: int, last: int, problem: str) -> None:
        pass


async def _read(tps: list[TP], config: LiveConfig, look_back: int, take: Take) -> bool:
    # Without a consumer group, no permission for one is needed, and no group is rebalanced.
    consumer = aiokafka.AIOKafkaConsumer(
        **client_options(config.kafka), group_id=None, auto_offset_reset="none", enable_auto_commit=False
    )
    await consumer.start()
    try:
        fetcher = consumer._fetcher
        fetcher._proc_fetch_request = responding(fetcher, _NoLimit(lambda: None), Unpacker())
        consumer.assign(tps)
        async with asyncio.timeout(_ANSWER_SECONDS):  # the library retries forever if a partition has no leader
            lows, highs = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, max(lows[tp], highs[tp] - look_back))
        await _read_up_to(consumer, highs, take)
        return all(highs[tp] - look_back <= lows[tp] for tp in tps)
    finally:
        await consumer.stop()


async def _read_up_to(consumer: aiokafka.AIOKafkaConsumer, ends: dict[TP, int], take: Take) -> None:
    until = time.monotonic() + _ANSWER_SECONDS
    while missing := {tp for tp, end in ends.items() if await consumer.position(tp) < end}:
        for tp, taken in drain(consumer._fetcher, missing).items():
            take(tp, taken)
            until = time.monotonic() + _ANSWER_SECONDS
        if time.monotonic() > until:
            raise TimeoutError(f"no records from {', '.join(sorted({tp.topic for tp in missing}))}")
        await asyncio.sleep(_POLL_SECONDS)
