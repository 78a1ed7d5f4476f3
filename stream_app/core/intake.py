"""From the bytes of a record to what a lane can apply: an event, a message of the system, or a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stream_app.core.events import EPOCH, MICROSECOND, Event, Rejected, decode
from stream_app.core.messages import Outgoing, SystemMessage, decode_message
from stream_app.core.state import DAY_US
from stream_app.core.unreadable import Unreadable

# The topics of a partition number by role, in the order in which records of one instant are taken. A tick says that all
# before it has happened, so it comes first; events come as a replay reads them.
TICKS: Final = "ticks"
CONTACTS: Final = "contacts"
EVENTS: Final = ("browsing", "cart", "complaints", "orders")
ROLES: Final = (TICKS, CONTACTS, *EVENTS)
AT_ONCE: Final = -(1 << 62)  # the time of a dead letter: it waits for nothing
# A dead letter is larger than its record by what is told of it, and a broker takes 1 MiB: a value that leaves no room
# is cut off at its end.
MAX_DEAD_BYTES: Final = 900_000
EARLIEST: Final = -100 * 365 * DAY_US  # an event from before 1870 is a mistake; and numbers stay far from their limits


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
class Dead:
    """A record that cannot be applied, and why."""

    role: str
    record: Record
    rejected: Rejected


Item = Event | SystemMessage | Dead


def take_in(role: str, records: Sequence[Record], skew: int) -> tuple[list[Item], list[int]]:
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
            dead = Dead(role, record, item)
            if isinstance(record, Unreadable):
                dead = Dead(role, record.kept, Rejected(record.reason))
            items.append(dead)
            times.append(AT_ONCE)
            continue
        at = (item.occurred_at - EPOCH) // MICROSECOND
        if EARLIEST < at <= record.timestamp * 1000 + skew:
            items.append(item)
            times.append(at)
        else:
            items.append(Dead(role, record, _out_of_time(at)))
            times.append(AT_ONCE)
    return items, times


def _out_of_time(at: int) -> Rejected:
    if at <= EARLIEST:
        return Rejected("lies more than a century before 1970", "occurred_at")
    return Rejected("lies in the future of the broker", "occurred_at")


def dead_letter(dead: Dead, topic: str, partition: int) -> Outgoing:
    """A record for the dead-letter topic: as it came, with headers that say where it came from and why.

    Args:
        dead: the record.
        topic: the name of the topic that it came from.
        partition: its partition.
    """
    record, rejected = dead.record, dead.rejected
    told = {
        "kafka_dlt-original-topic": topic,
        "kafka_dlt-original-partition": str(partition),
        "kafka_dlt-original-offset": str(record.offset),
        "kafka_dlt-original-timestamp": str(record.timestamp),
        "kafka_dlt-exception-message": rejected.reason,
        "kafka_dlt-exception-field": rejected.field,
    }
    headers = [(name, None if value is None else bytes(value)) for name, value in record.headers]
    value = record.value
    room = MAX_DEAD_BYTES - sum(len(name) + len(value or b"") for name, value in headers)
    if value is not None and len(value) > room:
        told["kafka_dlt-original-bytes"] = str(len(value))  # what follows is only its beginning
        value = value[: max(room, 0)]
    if room < 0:
        headers = []
    return Outgoing(
        "dead_letters", partition, record.key, value, headers + [(name, text.encode()) for name, text in told.items()]
    )
