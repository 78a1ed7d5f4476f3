"""Decodes records into events, messages or dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import EARLIEST, LATEST, Contact, Event, Rejected, decode, rejecting
from stream_app.core.messages.alerts import AlertMessage
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, read_message
from stream_app.core.messages.dead_letters import (
    DeadLetter,
    Record,
    dead_letter_of,
)
from stream_app.core.messages.outgoing import SEQUENCE, sequence_of
from stream_app.core.messages.schema import ControlMessage, PolicyRecord, Tick, decode_control, decode_tick
from stream_app.core.units import EPOCH, MICROSECOND

# Roles of the topics of a partition, in the order in which records of the same instant are processed: ticks, which mark
# the end of everything before them, then control messages, then events in the order of a replay.
TICKS: Final = "ticks"
CONTROL: Final = "control"
CONTACTS: Final = "contacts"
EVENTS: Final = (CONTACTS, "browsing", "cart", "complaints", "orders")
ROLES: Final = (TICKS, CONTROL, *EVENTS)
AT_ONCE: Final = -(1 << 62)  # time given to dead letters and policies, which need not be merged in order
_EARLIEST: Final = (EARLIEST - EPOCH) // MICROSECOND
_LATEST: Final = (LATEST - EPOCH) // MICROSECOND


_DatedT = TypeVar("_DatedT", bound=LabelledBatch | CandidateBatch | AlertMessage)
Item = Event | Tick | ControlMessage | DeadLetter
_SYSTEM_ONLY: Final = "only the services may set this field, on the control topic: leave it out"


class _Reserved(msgspec.Struct):
    """Fields of a contact with which it would speak for the allocator."""

    sequence: object = None
    opening: object = None


_reserved_of: Final = rejecting(msgspec.json.Decoder(_Reserved).decode)


def decode_contact(value: bytes) -> Contact | Rejected:
    """Return the contact in a record of the contacts topic, or a rejection.

    >>> head = b'{"type":"contact","event_id":"e","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z"'
    >>> decode_contact(head + b',"sequence":7}').field, decode_contact(head + b',"action":"episode_acked"}').field
    ('sequence', 'action')
    """
    contact = decode(value)
    if isinstance(contact, Rejected):
        return contact
    if not isinstance(contact, Contact):
        return Rejected("only contacts belong to this topic: write other events to the topic of their kind", "type")
    reserved = _reserved_of(value)  # fails for a value of these fields that is skipped as that of an unknown field
    if isinstance(reserved, Rejected):
        return reserved
    for name in _Reserved.__struct_fields__:
        if getattr(reserved, name) is not None:
            return Rejected(_SYSTEM_ONLY, name)
    return contact


def _decode_mixed(value: bytes) -> Contact | ControlMessage | Rejected:
    """Return what a release before 0.3 or the shop wrote to the contacts topic."""
    control = decode_control(value)
    return decode_contact(value) if isinstance(control, Rejected) else control


_DECODERS: Final[dict[str, Callable[[bytes], Event | Tick | ControlMessage | Rejected]]] = {
    TICKS: decode_tick,
    CONTROL: decode_control,
    CONTACTS: decode_contact,
}


def decode_record(
    role: str, records: Sequence[Record], skew: int, mixed_until: int = 0
) -> tuple[list[Item], list[int]]:
    """Decode records. Return their items and times, in microseconds.

    Args:
        role: role of the records' topic.
        records: records in offset order.
        skew: how far an event may be after the broker's append time, microseconds. Without this bound, a single event
            from the year 2300 would finalize every label.
        mixed_until: offset before which records may be contacts or control messages.
    """
    read = _DECODERS.get(role, decode)
    items: list[Item] = []
    times: list[int] = []
    for record in records:
        item = (_decode_mixed if record.offset < mixed_until else read)(record.value or b"")
        if isinstance(item, Rejected):
            items.append(dead_letter_of(role, record, item))
            times.append(AT_ONCE)
            continue
        if isinstance(item, PolicyRecord):
            items.append(item)
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
