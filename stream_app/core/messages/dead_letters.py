"""Dead letters: unusable records, in the form in which they are sent to the dead-letter topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from stream_app.core.events.schema import Rejected
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, Outgoing, header_bytes
from stream_app.core.messages.unreadable import Unreadable

# A dead letter is larger than its record because of the added headers, and brokers accept up to 1 MiB.
MAX_DEAD_BYTES: Final = MAX_RECORD_BYTES
MIN_DEAD_BYTES: Final = 2_000  # room for the headers below
MAX_REASON_CHARS: Final = 200
MAX_HEADERS: Final = 256  # maximum per dead letter: 100,000 empty headers take a megabyte, and more in memory
# Headers of a dead letter: the record's origin, the reason, and the original sizes before truncation.
ORIGINAL_TOPIC: Final = "kafka_dlt-original-topic"
ORIGINAL_PARTITION: Final = "kafka_dlt-original-partition"
ORIGINAL_OFFSET: Final = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP: Final = "kafka_dlt-original-timestamp"
EXCEPTION_MESSAGE: Final = "kafka_dlt-exception-message"
EXCEPTION_FIELD: Final = "kafka_dlt-exception-field"
ORIGINAL_BYTES: Final = "kafka_dlt-original-bytes"  # size of the value, or -1 if the record had neither key nor value
ORIGINAL_KEY_BYTES: Final = "kafka_dlt-original-key-bytes"
ORIGINAL_HEADERS: Final = "kafka_dlt-original-headers"  # number of headers
_ADDED: Final = frozenset(
    {
        *(ORIGINAL_TOPIC, ORIGINAL_PARTITION, ORIGINAL_OFFSET, ORIGINAL_TIMESTAMP),
        *(EXCEPTION_MESSAGE, EXCEPTION_FIELD, ORIGINAL_BYTES, ORIGINAL_KEY_BYTES, ORIGINAL_HEADERS),
    }
)


class Record(Protocol):
    """A Kafka record. aiokafka's ConsumerRecord implements this protocol."""

    @property
    def offset(self) -> int:
        """Offset of the record in its partition."""

    @property
    def timestamp(self) -> int:
        """Time when the broker appended the record, milliseconds."""

    @property
    def key(self) -> bytes | None:
        """Record key; the customer's id if the record is an event."""

    @property
    def value(self) -> bytes | None:
        """Record value: an event or a message as JSON."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Headers set by the producer. A header's value may be None."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be processed, and the reason."""

    role: str
    record: Record
    rejected: Rejected


def dead_letter_of(role: str, record: Record, rejected: Rejected) -> DeadLetter:
    """Return the dead letter for a record, or for the readable parts of a damaged one."""
    if isinstance(record, Unreadable):
        return DeadLetter(role, replace(record, value=record.raw), Rejected(record.reason))
    return DeadLetter(role, record, rejected)


def dead_letter(dead: DeadLetter, topic: str, partition: int) -> Outgoing:
    """Return the record to send to the dead-letter topic: the original plus headers with its origin and the reason.

    A record that is too large for a broker is truncated; see `cut`.

    Args:
        dead: the dead letter.
        topic: name of its topic.
        partition: the record's partition.
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
    if value is None and record.key is None:  # clients refuse to send a record that has neither key nor value
        added[ORIGINAL_BYTES], value = "-1", b""
    headers = [(name, None if value is None else bytes(value)) for name, value in record.headers if name not in _ADDED]
    headers += [(name, text.encode("utf-8", "replace")) for name, text in added.items()]
    return cut(Outgoing("dead_letters", partition, record.key, value, headers), MAX_DEAD_BYTES)


def cut(outgoing: Outgoing, limit: int) -> Outgoing:
    """Truncate a dead letter to at most `limit` bytes, which must be MIN_DEAD_BYTES or more.

    The original headers and the key each get a quarter of the space, and the value gets the rest. Additional headers
    record the original sizes of value and key, and the original number of headers.

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
