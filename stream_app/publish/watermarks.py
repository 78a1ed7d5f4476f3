"""How far each partition of each topic has been published already: its last record says so in its headers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.batches import Taken
from stream_app.adapters.kafka.refusals import refusals
from stream_app.adapters.kafka.tail import read_tails
from stream_app.config import LiveConfig, reader_options
from stream_app.core.messages.unreadable import Unreadable
from stream_app.errors import NoBroker, OtherLog

LOG_HEADER: Final = "log"
PLACE_HEADER: Final = "place"
PLACE_BYTES: Final = 8  # big-endian
# Requests of a publisher that was killed may still be on their way: the ends must stand still for so long.
SETTLE_SECONDS: Final = 1.0
_LONGEST_SETTLE_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 10.0
_LOOK_BACK: Final = 16  # the last offsets may hold a transaction's marker, which is no record

Partition = tuple[str, int]  # topic, partition number


@dataclass(frozen=True)
class End:
    """The end of a partition: the offset that comes next, and what the last record says of itself."""

    offset: int = 0
    log: bytes | None = None  # None: there is no record, or it is not of a publisher
    place: int = 0
    empty: bool = True


def read_ends(config: LiveConfig, topics: Iterable[str]) -> dict[Partition, End]:
    """The end of every partition of some topics. Raises NoBroker."""
    partitions = [(topic, number) for topic in topics for number in range(config.kafka.partitions)]
    with _consumer(config) as consumer:
        counters = _settled(consumer, partitions)
    last = _last_records(config, {one: high for one, (low, high) in counters.items() if high > low})
    return {one: _end(high, last.get(one)) for one, (_, high) in counters.items()}


def read_offsets(config: LiveConfig, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The offset that comes next in each partition. Raises NoBroker."""
    with watched(config, partitions) as offsets:
        return offsets()


@contextmanager
def watched(config: LiveConfig, partitions: Iterable[Partition]) -> Iterator[Callable[[], dict[Partition, int]]]:
    """A function that returns the offset that comes next in each of some partitions. It raises NoBroker."""
    wanted = list(partitions)
    with _consumer(config) as consumer:
        yield lambda: {one: high for one, (_, high) in _watermarks(consumer, wanted).items()}


def places(ends: Mapping[Partition, End], log: bytes, *, ticks: str, after_other_logs: bool) -> dict[Partition, int]:
    """How far a log has been published into each partition; 0: not at all.

    Args:
        ends: of all partitions.
        log: the id of the log.
        ticks: the topic of the ticks, which workers write to as well.
        after_other_logs: whether something else at the end is meant to be appended to.

    Raises OtherLog where something else stands at the end, unless it is meant to be appended to.

    >>> ends = {("shop.orders", 0): End(7, b"mine", 12, empty=False)}
    >>> places(ends, b"mine", ticks="shop.ticks", after_other_logs=False)
    {('shop.orders', 0): 12}
    """
    for (topic, number), end in ends.items():  # first: nothing that follows such a tick can be meant
        if topic == ticks and end.offset and end.log is None and not end.empty:
            raise OtherLog(topic=topic, partition=number, found=_A_WORKERS_TICK, remedy=CLOCK_REMEDY)
    found = {}
    for (topic, number), end in ends.items():
        if end.log != log and end.offset and not after_other_logs:
            raise OtherLog(topic=topic, partition=number, found=_described(end), remedy=_REMEDY)
        found[topic, number] = end.place if end.log == log else 0
    return found


_REMEDY: Final = (
    "Publishing on could double or mix up events. Give --after-other-logs to append the log on purpose, or publish to "
    "fresh topics (kafka.topics names them)."
)
_A_WORKERS_TICK: Final = (
    "a tick of a worker on the wall clock, so that for every customer the time of the log is over, and its events come "
    "too late"
)
CLOCK_REMEDY: Final = (
    "Beside a published log, which brings its own ticks, workers run with --set ticks.clock=log. End that worker, take "
    "fresh topics (kafka.topics) and a fresh redis.prefix, start the workers with it, and publish again."
)


def _described(end: End) -> str:
    if end.empty:
        return "records that are gone already, so that nobody knows how far this log was published"
    if end.log is None:
        return "a record that no publisher has written, or that cannot be read"
    return f"another log ({end.log.decode('ascii', 'replace')}), or this one read with other settings"


def _settled(consumer: Consumer, partitions: list[Partition]) -> dict[Partition, tuple[int, int]]:
    """The first and the next offset of each partition, once they stand still: a killed publisher's last records arrive.

    The ticks of a worker on the wall clock never end, so this does not wait for ever.
    """
    counters, until = _watermarks(consumer, partitions), time.monotonic() + _LONGEST_SETTLE_SECONDS
    while any(high > low for low, high in counters.values()) and time.monotonic() < until:
        time.sleep(SETTLE_SECONDS)
        before, counters = counters, _watermarks(consumer, partitions)
        if {one: high for one, (_, high) in before.items()} == {one: high for one, (_, high) in counters.items()}:
            break
    return counters


def _watermarks(consumer: Consumer, partitions: list[Partition]) -> dict[Partition, tuple[int, int]]:
    found = {}
    for topic, number in partitions:
        with refusals("Describe", topic):
            low_high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_SECONDS)
        if low_high is None:
            problem = f"no offsets of {topic}, partition {number}"
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, problem))
        found[topic, number] = low_high
    return found


def _last_records(config: LiveConfig, ends: Mapping[Partition, int]) -> dict[Partition, Taken]:
    """The last record before the end of each partition; none where only markers of transactions are there."""
    last: dict[Partition, Taken] = {}

    def take(tp: TP, taken: list[Taken]) -> None:
        before = [one for one in taken if one.offset < ends[tp]]
        if before:
            last[tp] = before[-1]

    read_tails(config, [TP(*one) for one in ends], _LOOK_BACK, take)
    return last


def _end(offset: int, last: Taken | None) -> End:
    if last is None:
        return End(offset)
    headers = {} if isinstance(last, Unreadable) else dict(last.headers)
    log, place = headers.get(LOG_HEADER), headers.get(PLACE_HEADER)
    if not isinstance(log, bytes) or not isinstance(place, bytes) or len(place) != PLACE_BYTES:
        return End(offset, empty=False)
    return End(offset, log, int.from_bytes(place, "big"), empty=False)


@contextmanager
def _consumer(config: LiveConfig) -> Iterator[Consumer]:
    """A consumer that commits nothing and belongs to no group; its errors in our words."""
    try:
        consumer = Consumer(reader_options(config.kafka, "publish") | {"log_level": 0})
        try:
            yield consumer
        finally:
            consumer.close()
    except KafkaException as error:
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=error.args[0].str()) from error
