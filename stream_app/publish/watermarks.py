"""Reads how far each partition has been published from the headers of its last record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from faust.types import TP

from stream_app.adapters.kafka.admin import Partition, PartitionOffsets
from stream_app.adapters.kafka.last_records import read_last
from stream_app.config import LiveConfig
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.unreadable import Unreadable
from stream_app.errors import OtherLog

LOG_HEADER: Final = "log"
PLACE_HEADER: Final = "place"
PLACE_BYTES: Final = 8  # big-endian
# Requests from a killed publisher may still arrive: wait until the ends have not changed for this long.
SETTLE_SECONDS: Final = 1.0
_LONGEST_SETTLE_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 10.0
_LOOK_BACK: Final = 16  # offsets; the last ones may be transaction markers rather than records


@dataclass(frozen=True)
class End:
    """End of a partition: its next offset, and the log and the place recorded in its last record."""

    offset: int = 0
    log: bytes | None = None  # None if there is no record or no publisher wrote it
    place: int = 0
    empty: bool = True


def read_ends(config: LiveConfig, topics: Iterable[str]) -> dict[Partition, End]:
    """Return the end of every partition of some topics. Raises NoBroker."""
    partitions = [(topic, number) for topic in topics for number in range(config.kafka.partitions)]
    offsets = PartitionOffsets(config.kafka, _ANSWER_SECONDS)
    lows, highs = offsets.beginnings(partitions), _settled(offsets, partitions)
    last = _last_records(config, {one: high for one, high in highs.items() if high > lows[one]})
    return {one: _end(highs[one], last.get(one)) for one in partitions}


def next_offsets(config: LiveConfig, partitions: Iterable[Partition]) -> Callable[[], Mapping[Partition, int]]:
    """Return a function that reads the next offset of each partition. It raises NoBroker."""
    offsets = PartitionOffsets(config.kafka, _ANSWER_SECONDS)
    return partial(offsets.ends, list(partitions), complete=True)


def places(ends: Mapping[Partition, End], log: bytes, *, ticks: str, after_other_logs: bool) -> dict[Partition, int]:
    """Return the position up to which the log has been published to each partition, or 0 if it has no records there.

    Args:
        ends: ends of all partitions.
        log: id of the log.
        ticks: topic of the ticks, to which workers also write.
        after_other_logs: whether to append after records of another log.

    Raises:
        OtherLog: a partition ends with other records, and `after_other_logs` is not set.

    >>> ends = {("shop.orders", 0): End(7, b"mine", 12, empty=False)}
    >>> places(ends, b"mine", ticks="shop.ticks", after_other_logs=False)
    {('shop.orders', 0): 12}
    """
    for (topic, number), end in ends.items():  # checked first, because --after-other-logs does not help here
        if topic == ticks and end.offset and end.log is None and not end.empty:
            raise OtherLog(topic=topic, partition=number, found=_A_WORKERS_TICK, remedy=CLOCK_REMEDY)
    found = {}
    for (topic, number), end in ends.items():
        if end.log != log and end.offset and not after_other_logs:
            raise OtherLog(topic=topic, partition=number, found=_described(end), remedy=_REMEDY)
        found[topic, number] = end.place if end.log == log else 0
    return found


_REMEDY: Final = (
    "Publishing could duplicate or mix events. Use --after-other-logs to append on purpose, or publish to new topics "
    "(kafka.topics)."
)
_A_WORKERS_TICK: Final = (
    "a tick of a worker on the wall clock: event time is already past the end of the log, so all of its events would "
    "be too late"
)
CLOCK_REMEDY: Final = (
    "A published log contains its own ticks, so workers must run with --set ticks.clock=log. Stop that worker, choose "
    "new topics (kafka.topics) and a new redis.prefix, start the workers with that setting, and publish again."
)


def _described(end: End) -> str:
    if end.empty:
        return "records that are no longer retained, so it is unknown how far this log was published"
    if end.log is None:
        return "a record that cannot be read or was not written by a publisher"
    return f"another log ({end.log.decode('ascii', 'replace')}), or this log read with other settings"


def _settled(offsets: PartitionOffsets, partitions: list[Partition]) -> Mapping[Partition, int]:
    """Return the next offsets once they no longer change: requests from a killed publisher may still arrive.

    A worker on the wall clock keeps writing ticks, so the wait is limited.
    """
    ends, until = offsets.ends(partitions, complete=True), time.monotonic() + _LONGEST_SETTLE_SECONDS
    while any(ends.values()) and time.monotonic() < until:
        time.sleep(SETTLE_SECONDS)
        before, ends = ends, offsets.ends(partitions, complete=True)
        if before == ends:
            break
    return ends


def _last_records(config: LiveConfig, ends: Mapping[Partition, int]) -> dict[Partition, Record]:
    """Return the last record of each partition, omitting partitions that end with transaction markers only."""
    last: dict[Partition, Record] = {}

    def take(tp: TP, taken: list[Record]) -> None:
        before = [one for one in taken if one.offset < ends[tp]]
        if before:
            last[tp] = before[-1]

    read_last(config, [TP(*one) for one in ends], _LOOK_BACK, take)
    return last


def _end(offset: int, last: Record | None) -> End:
    if last is None:
        return End(offset)
    headers = {} if isinstance(last, Unreadable) else dict(last.headers)
    log, place = headers.get(LOG_HEADER), headers.get(PLACE_HEADER)
    if not isinstance(log, bytes) or not isinstance(place, bytes) or len(place) != PLACE_BYTES:
        return End(offset, empty=False)
    return End(offset, log, int.from_bytes(place, "big"), empty=False)
