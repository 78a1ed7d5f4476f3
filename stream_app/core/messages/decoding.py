"""Decoding of records into events, messages or dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import EARLIEST, LATEST, Event, Rejected, decode
from stream_app.core.messages.batches import read_message
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, SEQUENCE, Outgoing, header_bytes, sequence_of
from stream_app.core.messages.schema import SystemMessage, decode_message
from stream_app.core.messages.unreadable import Unreadable
from stream_app.core.units import EPOCH, MICROSECOND

# Roles of the topics of a partition, in the order in which records of the same instant are processed: first a tick,
# which says that everything before it has happened; events in the order of a replay.
TICKS: Final = "ticks"
CONTACTS: Final = "contacts"
EVENTS: Final = ("browsing", "cart", "complaints", "orders")
ROLES: Final = (TICKS, CONTACTS, *EVENTS)
AT_ONCE: Final = -(1 << 62)  # the time of a dead letter, which need not be merged in order
# A dead letter is larger than its record by its headers, and a broker accepts 1 MiB.
MAX_DEAD_BYTES: Final = MAX_RECORD_BYTES
MIN_DEAD_BYTES: Final = 2_000  # room for the headers below
MAX_REASON_CHARS: Final = 200
MAX_HEADERS: Final = 256  # of a dead letter: 100,000 empty ones take a megabyte, and more in memory
# Headers of a dead letter: the origin of the record, the reason, and its sizes before it was truncated.
ORIGINAL_TOPIC: Final = "kafka_dlt-original-topic"
ORIGINAL_PARTITION: Final = "kafka_dlt-original-partition"
ORIGINAL_OFFSET: Final = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP: Final = "kafka_dlt-original-timestamp"
EXCEPTION_MESSAGE: Final = "kafka_dlt-exception-message"
EXCEPTION_FIELD: Final = "kafka_dlt-exception-field"
ORIGINAL_BYTES: Final = "kafka_dlt-original-bytes"  # size of the value; -1: the record had neither key nor value
ORIGINAL_KEY_BYTES: Final = "kafka_dlt-original-key-bytes"
ORIGINAL_HEADERS: Final = "kafka_dlt-original-headers"  # number of headers
_ADDED: Final = frozenset(
    {
        *(ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, ORIGINAL_TIMESTAMP),
        *(EXCEPTION_MESSAGE, EXCEPTION_FIELD, ORIGINAL_BYTES, ORIGINAL_KEY_BYTES, ORIGINAL_HEADERS),
    }
)
_EARLIEST: Final = (EARLIEST - EPOCH) // MICROSECOND
_LATEST: Final = (LATEST - EPOCH) // MICROSECOND


class Dated(Protocol):
    """A message with a latest time."""

    @property
    def latest(self) -> int:
        """Latest past time in the message, microseconds."""


_DatedT = TypeVar("_DatedT", bound=Dated)


class Record(Protocol):
    """A Kafka record; aiokafka's ConsumerRecord satisfies it."""

    @property
    def offset(self) -> int:
        """Offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Append time of the broker, milliseconds."""

    @property
    def key(self) -> bytes | None:
        """For an event, the customer's id."""

    @property
    def value(self) -> bytes | None:
        """An event or a message as JSON."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Headers of the producer; a value may be None."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be processed, and why."""

    role: str
    record: Record
    rejected: Rejected


Item = Event | SystemMessage | DeadLetter


def decode_record(role: str, records: Sequence[Record], skew: int) -> tuple[list[Item], list[int]]:
    """Return the items of records, and their times in microseconds.

    Args:
        role: role of their topic.
        records: in order of their offsets.
        skew: how far an event may be after the broker's append time, microseconds. Without this bound, a single event
            from the year 2300 would close every label.
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
            items.append(DeadLetter(role, record, _bounds(record, skew).out_of_bounds(item.occurred_at)))
            times.append(AT_ONCE)
    return items, times


def dead_letter_of(role: str, record: Record, rejected: Rejected) -> DeadLetter:
    """Return the dead letter of a record, or of what is left of an unreadable one."""
    if isinstance(record, Unreadable):
        return DeadLetter(role, record.kept, Rejected(record.reason))
    return DeadLetter(role, record, rejected)


def _bounds(record: Record, skew: int) -> Bounds:
    """Return the bounds of the event in a record; its timestamp may be any number if the producer sets it."""
    latest = min(max(record.timestamp * 1000 + skew, _EARLIEST), _LATEST)
    return Bounds(EARLIEST, EPOCH + latest * MICROSECOND)


def read_internal(
    record: Record, decode: Callable[[bytes], _DatedT], skew: int, *, numbered: bool = True
) -> _DatedT | Rejected:
    """Return the message of a record on an internal topic, or why it was rejected. Never raises.

    Args:
        record: the record.
        decode: decoder of the topic's messages.
        skew: as in `decode_record`; a time in the year 2199 would block all records behind it.
        numbered: whether the record must have a sequence number.
    """
    message = read_message(record.value, decode)
    if isinstance(message, Rejected):
        return message
    if numbered and not sequence_of(record.headers):
        return Rejected("has no sequence number: only workers may write to this topic", SEQUENCE)
    if message.latest > record.timestamp * 1000 + skew:
        return Rejected("contains a time in the future of the broker: check the clocks")
    return message


def dead_letter(dead: DeadLetter, topic: str, partition: int) -> Outgoing:
    """Return the record for the dead-letter topic: the original with headers for its origin and the reason.

    A record that is too large for a broker is truncated: see `cut`.

    Args:
        dead: the record.
        topic: name of its topic.
        partition: its partition.
    """
    record, rejected = dead.record, dead.rejected
    added = {
        ORIGINAL_TOPIC: topic,
        ORIGINAL_PARTITION: str(partition),
        ORIGINAL_OFFSET: str(record.offset),
        ORIGINAL_TIMESTAMP: str(record.timestamp),
        EXCEPTION_MESSAGE: rejected.reason[:MAX_REASON_CHARS],
        EXCEPTION_FIELD: rejected.field[:MAX_REASON_CHARS],
    }
    value = record.value
    if value is None and record.key is None:  # clients refuse to send a record without both
        added[ORIGINAL_BYTES], value = "-1", b""
    headers = [(name, None if value is None else bytes(value)) for name, value in record.headers if name not in _ADDED]
    headers += [(name, text.encode("utf-8", "replace")) for name, text in added.items()]
    return cut(Outgoing("dead_letters", partition, record.key, value, headers), MAX_DEAD_BYTES)


def cut(outgoing: Outgoing, limit: int) -> Outgoing:
    """Return a dead letter of at most `limit` bytes, which must be MIN_DEAD_BYTES or more.

    The original headers and the key get a quarter each, the value gets the rest. Added headers hold the original sizes
    of the value and the key, and the original number of headers.

    >>> message = Outgoing("dead_letters", 0, b"k" * 2_000, b"v" * 9_000, [("trace", b"1")] * 400)
    >>> short = cut(message, 4_000)
    >>> short.size <= 4_000, len(short.key), dict(short.headers)["kafka_dlt-original-headers"]
    (True, 1000, b'400')
    """
    if outgoing.size <= limit and len(outgoing.headers) <= MAX_HEADERS:
        return outgoing
    quarter = limit // 4
    original = [header for header in outgoing.headers if header[0] not in _ADDED]
    added = {name: (value or b"")[: quarter // 4] for name, value in outgoing.headers if name in _ADDED}
    headers, room = list[tuple[str, bytes | None]](), quarter
    for header in original[: MAX_HEADERS - len(_ADDED)]:
        room -= header_bytes(header)
        if room < 0:
            break
        headers.append(header)
    if len(headers) < len(original):
        added.setdefault(ORIGINAL_HEADERS, b"%d" % len(original))
    key, value = outgoing.key, outgoing.value
    if key is not None and len(key) > quarter:
        added.setdefault(ORIGINAL_KEY_BYTES, b"%d" % len(key))
        key = key[:quarter]
    rest = Outgoing(outgoing.topic, outgoing.partition, key, None, [*headers, *added.items()])
    room = limit - rest.size
    if value is not None and len(value) > room:
        added.setdefault(ORIGINAL_BYTES, b"%d" % len(value))
        value = value[: max(room - header_bytes((ORIGINAL_BYTES, added[ORIGINAL_BYTES])), 0)]
    return Outgoing(outgoing.topic, outgoing.partition, key, value, [*headers, *added.items()])
