"""From the bytes of a record to what a lane can apply: an event, a message of the system, or a dead letter."""

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

# The topics of a partition number by role, in the order in which records of one instant are taken. A tick says that all
# before it has happened, so it comes first; events come as a replay reads them.
TICKS: Final = "ticks"
CONTACTS: Final = "contacts"
EVENTS: Final = ("browsing", "cart", "complaints", "orders")
ROLES: Final = (TICKS, CONTACTS, *EVENTS)
AT_ONCE: Final = -(1 << 62)  # the time of a dead letter: it waits for nothing
# A dead letter is larger than its record by what is told of it, and a broker takes 1 MiB.
MAX_DEAD_BYTES: Final = MAX_RECORD_BYTES
MIN_DEAD_BYTES: Final = 2_000  # room for the headers of ours
MAX_REASON_CHARS: Final = 200
MAX_HEADERS: Final = 256  # of a dead letter: 100,000 empty ones take a megabyte, and more in memory
# Headers of a dead letter: where the record came from and why it is here; and what it was before it was cut.
ORIGINAL_TOPIC: Final = "kafka_dlt-original-topic"
ORIGINAL_PARTITION: Final = "kafka_dlt-original-partition"
ORIGINAL_OFFSET: Final = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP: Final = "kafka_dlt-original-timestamp"
EXCEPTION_MESSAGE: Final = "kafka_dlt-exception-message"
EXCEPTION_FIELD: Final = "kafka_dlt-exception-field"
ORIGINAL_BYTES: Final = "kafka_dlt-original-bytes"  # of the value; -1: it had neither key nor value
ORIGINAL_KEY_BYTES: Final = "kafka_dlt-original-key-bytes"
ORIGINAL_HEADERS: Final = "kafka_dlt-original-headers"  # their number
_OURS: Final = frozenset(
    {
        *(ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, ORIGINAL_TIMESTAMP),
        *(EXCEPTION_MESSAGE, EXCEPTION_FIELD, ORIGINAL_BYTES, ORIGINAL_KEY_BYTES, ORIGINAL_HEADERS),
    }
)
_EARLIEST: Final = (EARLIEST - EPOCH) // MICROSECOND
_LATEST: Final = (LATEST - EPOCH) // MICROSECOND


class Dated(Protocol):
    """What a message of ours has."""

    @property
    def latest(self) -> int:
        """The latest moment that it tells of as past, microseconds."""
        ...


_DatedT = TypeVar("_DatedT", bound=Dated)


class Record(Protocol):
    """What Kafka has of a record; aiokafka's ConsumerRecord is one."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """When the broker appended it, milliseconds."""
        ...

    @property
    def key(self) -> bytes | None:
        """Of an event the customer's id."""
        ...

    @property
    def value(self) -> bytes | None:
        """An event or a message as JSON."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Whatever the producer added; a value may be missing."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be applied, and why."""

    role: str
    record: Record
    rejected: Rejected


Item = Event | SystemMessage | DeadLetter


def decode_record(role: str, records: Sequence[Record], skew: int) -> tuple[list[Item], list[int]]:
    """The items of records and their times, microseconds.

    Args:
        role: of the topic that they come from.
        records: in order of their offsets.
        skew: how far an event may lie after the broker's append time, microseconds. Without a bound one event from the
            year 2300 would close every label.
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
    """A record that cannot be applied; of one that could not even be read, what is left of it."""
    if isinstance(record, Unreadable):
        return DeadLetter(role, record.kept, Rejected(record.reason))
    return DeadLetter(role, record, rejected)


def _bounds(record: Record, skew: int) -> Bounds:
    """Between which instants the event of a record may lie; a producer may write any number as its timestamp."""
    latest = min(max(record.timestamp * 1000 + skew, _EARLIEST), _LATEST)
    return Bounds(EARLIEST, EPOCH + latest * MICROSECOND)


def read_internal(
    record: Record, decode: Callable[[bytes], _DatedT], skew: int, *, numbered: bool = True
) -> _DatedT | Rejected:
    """Return the message of a record on an internal topic, or why it was rejected. Never raises.

    Args:
        record: of the topic.
        decode: reads its messages.
        skew: as in `decode_record`: a moment from the year 2199 would be waited for, and so would all behind it.
        numbered: whether a record must have the number under which a relay has sent it.
    """
    message = read_message(record.value, decode)
    if isinstance(message, Rejected):
        return message
    if numbered and not sequence_of(record.headers):
        return Rejected("has no number of an outbox: nobody but a worker writes to this topic", SEQUENCE)
    if message.latest > record.timestamp * 1000 + skew:
        return Rejected("tells of a moment that lies in the future of the broker: check the clocks")
    return message


def dead_letter(dead: DeadLetter, topic: str, partition: int) -> Outgoing:
    """A record for the dead-letter topic: as it came, with headers that say where it came from and why.

    What a broker would not accept is cut off, and headers say how much that was; see `cut`.

    Args:
        dead: the record.
        topic: the name of the topic that it came from.
        partition: its partition.
    """
    record, rejected = dead.record, dead.rejected
    told = {
        ORIGINAL_TOPIC: topic,
        ORIGINAL_PARTITION: str(partition),
        ORIGINAL_OFFSET: str(record.offset),
        ORIGINAL_TIMESTAMP: str(record.timestamp),
        EXCEPTION_MESSAGE: rejected.reason[:MAX_REASON_CHARS],
        EXCEPTION_FIELD: rejected.field[:MAX_REASON_CHARS],
    }
    value = record.value
    if value is None and record.key is None:  # clients refuse to send a record without both
        told[ORIGINAL_BYTES], value = "-1", b""
    headers = [(name, None if value is None else bytes(value)) for name, value in record.headers if name not in _OURS]
    headers += [(name, text.encode("utf-8", "replace")) for name, text in told.items()]
    return cut(Outgoing("dead_letters", partition, record.key, value, headers), MAX_DEAD_BYTES)


def cut(outgoing: Outgoing, limit: int) -> Outgoing:
    """Return a dead letter in at most `limit` bytes, at least MIN_DEAD_BYTES: of what is too long the beginning.

    The record's own headers and its key get a quarter each, the value gets what is left. Headers of ours say how many
    there were: bytes of the value, bytes of the key, headers.

    >>> message = Outgoing("dead_letters", 0, b"k" * 2_000, b"v" * 9_000, [("trace", b"1")] * 400)
    >>> short = cut(message, 4_000)
    >>> short.size <= 4_000, len(short.key), dict(short.headers)["kafka_dlt-original-headers"]
    (True, 1000, b'400')
    """
    if outgoing.size <= limit and len(outgoing.headers) <= MAX_HEADERS:
        return outgoing
    quarter = limit // 4
    theirs = [header for header in outgoing.headers if header[0] not in _OURS]
    told = {name: (value or b"")[: quarter // 4] for name, value in outgoing.headers if name in _OURS}
    headers, room = list[tuple[str, bytes | None]](), quarter
    for header in theirs[: MAX_HEADERS - len(_OURS)]:
        room -= header_bytes(header)
        if room < 0:
            break
        headers.append(header)
    if len(headers) < len(theirs):
        told.setdefault(ORIGINAL_HEADERS, b"%d" % len(theirs))
    key, value = outgoing.key, outgoing.value
    if key is not None and len(key) > quarter:
        told.setdefault(ORIGINAL_KEY_BYTES, b"%d" % len(key))
        key = key[:quarter]
    rest = Outgoing(outgoing.topic, outgoing.partition, key, None, [*headers, *told.items()])
    room = limit - rest.size
    if value is not None and len(value) > room:
        told.setdefault(ORIGINAL_BYTES, b"%d" % len(value))
        value = value[: max(room - header_bytes((ORIGINAL_BYTES, told[ORIGINAL_BYTES])), 0)]
    return Outgoing(outgoing.topic, outgoing.partition, key, value, [*headers, *told.items()])
