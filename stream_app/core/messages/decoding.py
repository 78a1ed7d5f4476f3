"""Decodes records into events, messages or dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import EARLIEST, LATEST, Event, Rejected, decode
from stream_app.core.messages.alerts import AlertMessage
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, read_message
from stream_app.core.messages.dead_letters import (
    DeadLetter,
    Record,
    dead_letter_of,
)
from stream_app.core.messages.outgoing import SEQUENCE, sequence_of
from stream_app.core.messages.schema import SystemMessage, decode_message
from stream_app.core.units import EPOCH, MICROSECOND

# Roles of the topics of a partition, in the order in which records of the same instant are processed: ticks, which mark
# the end of everything before them, then contacts, then events in the order of a replay.
TICKS: Final = "ticks"
CONTACTS: Final = "contacts"
EVENTS: Final = ("browsing", "cart", "complaints", "orders")
ROLES: Final = (TICKS, CONTACTS, *EVENTS)
AT_ONCE: Final = -(1 << 62)  # time given to dead letters, which need not be merged in order
_EARLIEST: Final = (EARLIEST - EPOCH) // MICROSECOND
_LATEST: Final = (LATEST - EPOCH) // MICROSECOND


_DatedT = TypeVar("_DatedT", bound=LabelledBatch | CandidateBatch | AlertMessage)
Item = Event | SystemMessage | DeadLetter


def decode_record(role: str, records: Sequence[Record], skew: int) -> tuple[list[Item], list[int]]:
    """Decode records. Return their items and times, in microseconds.

    Args:
        role: role of the records' topic.
        records: records in offset order.
        skew: how far an event may be after the broker's append time, microseconds. Without this bound, a single event
            from the year 2300 would finalize every label.
    """
    read: Callable[[bytes], Event | SystemMessage | Rejected] = decode if role in EVENTS else decode_message
    items: list[Item] = []
    times: list[int] = []
    for record in records:
        item = read(record.value or b"")
        if isinstance(item, Rejected):
            items.append(dead_letter_of(role, record, item))
            times.append(AT_ONCE)
            continue
        at = (item.occurred_at - EPOCH) // MICROSECOND
        if _EARLIEST <= at <= _LATEST and at <= record.timestamp * 1000 + skew:
            items.append(item)
            times.append(at)
        else:
            # The append time may be arbitrary if it was set by the producer.
            latest = EPOCH + min(max(record.timestamp * 1000 + skew, _EARLIEST), _LATEST) * MICROSECOND
            items.append(DeadLetter(role, record, Bounds(EARLIEST, latest).out_of_bounds(item.occurred_at)))
            times.append(AT_ONCE)
    return items, times


def read_internal(
    record: Record, decode: Callable[[bytes], _DatedT], skew: int, *, numbered: bool = True
) -> _DatedT | Rejected:
    """Decode a record on an internal topic. Return the message or its rejection; never raises.

    Args:
        record: the record.
        decode: decoder for the topic's messages.
        skew: as in `decode_record`; a time in the year 2199 would block all records after it.
        numbered: whether the record must have a sequence number header.
    """
    message = read_message(record.value, decode)
    if isinstance(message, Rejected):
        return message
    if numbered and not sequence_of(record.headers):
        return Rejected("has no sequence number: only workers may write to this topic", SEQUENCE)
    if message.latest > record.timestamp * 1000 + skew:
        return Rejected("contains a time in the future of the broker: check the clocks")
    return message
