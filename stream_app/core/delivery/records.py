"""Records of deliveries: one delivery per alert and channel, and the messages that carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import msgspec
import xxhash

from stream_app.core.messages.alerts import AlertOpened

PENDING: Final = "pending"
SENT: Final = "sent"
SUPPRESSED: Final = "suppressed"
DEAD: Final = "dead"
STATES: Final = (PENDING, SENT, SUPPRESSED, DEAD)

# Reasons for suppressed deliveries. The list is complete, since the reasons are label values of a metric.
EXPIRED: Final = "expired"  # the alert has expired
CLOSED: Final = "closed"  # the alert closed before anything was sent
SHADOW: Final = "shadow"  # delivery is off
REMOVED: Final = "channel_removed"  # the channel was removed from the configuration
REASONS: Final = (EXPIRED, CLOSED, SHADOW, REMOVED)


class MessageText(NamedTuple):
    """The text of a message in all its formats."""

    title: str
    markdown: str
    plain: str


class Delivery(msgspec.Struct, omit_defaults=True):
    """The delivery of one alert to one channel. Times are in microseconds.

    Attributes:
        reason: why the delivery was suppressed or is dead.
        due_at: earliest time to send it or to write its digest.
        message: id of the message that carries the delivery; "" while it waits for its digest.
    """

    id: str
    alert_id: str
    channel: str
    shop_id: str
    created_at: int
    changed_at: int
    expires_at: int
    due_at: int
    state: str = PENDING
    reason: str = ""
    urgent: bool = False
    message: str = msgspec.field(default="", name="letter")
    alert: AlertOpened | None = None


class OutboundMessage(msgspec.Struct, omit_defaults=True):
    """A message that contains one alert or a digest. Its id and text are the same in every attempt.

    Attributes:
        deliveries: ids of the deliveries in this message.
        alert: the alert, if the message contains just one.
        opened_at: time when the message was created; visible to the receiver.
        expires_at: time when the last of its alerts expires.
        attempts: number of failed attempts.
        first_at: time of the first attempt, or 0 if there was none.
        problem: error of the last attempt.
    """

    id: str
    channel: str
    deliveries: tuple[str, ...]
    title: str
    markdown: str
    plain: str
    opened_at: int
    expires_at: int
    due_at: int
    alert: AlertOpened | None = None
    attempts: int = 0
    first_at: int = 0
    problem: str = ""


class ChannelState(msgspec.Struct, omit_defaults=True):
    """State of a channel.

    Attributes:
        gone_at: time when the receiver closed the channel, or 0 if it is open.
        reason: reason given by the receiver.
        sent: times of recent attempts, as far back as the rate limits require.
    """

    gone_at: int = 0
    reason: str = ""
    sent: list[int] = []


class Request(msgspec.Struct, omit_defaults=True):
    """A command-line request to the notifier.

    Attributes:
        action: redrive or enable.
        name: for redrive, the id of a dead delivery, or "" for all; for enable, the channel.
    """

    action: str
    name: str = ""


@dataclass
class DeliveryChanges:
    """Records that have changed since the last commit, to be stored atomically.

    Attributes:
        base: number of the previous commit, or 0 if there is none.
        position: encoded next offset of each partition of the alerts topic.
        deliveries: encoded deliveries by id.
        messages: encoded messages by id; None marks a message that is no longer needed.
        channels: encoded channel states by name.
        opened: ids of new pending deliveries.
        ended: time when each delivery was sent, was suppressed or became dead, microseconds, by id.
        dead: ids of dead deliveries that can be redriven.
        answered: number of requests that were carried out, counted from the oldest.
    """

    base: int
    position: bytes
    deliveries: dict[str, bytes] = field(default_factory=dict)
    messages: dict[str, bytes | None] = field(default_factory=dict)
    channels: dict[str, bytes] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    answered: int = 0


@dataclass
class DeliveryState:
    """Stored state from which the notifier starts."""

    number: int = 0  # number of the last commit
    position: bytes = b""
    deliveries: list[bytes] = field(default_factory=list)  # pending
    messages: list[bytes] = field(default_factory=list)  # messages that carry pending deliveries
    channels: dict[str, bytes] = field(default_factory=dict)
    dead: int = 0  # number of dead deliveries


# as JSON, which is readable in Redis
encode_record: Final[Callable[[msgspec.Struct], bytes]] = msgspec.json.Encoder().encode
_SHOWN_BYTES: Final = 120  # number of leading bytes shown of an unreadable value, which starts with its id
_RecordT = TypeVar("_RecordT", Delivery, OutboundMessage, ChannelState, Request)


def delivery_id(alert_id: str, channel: str) -> str:
    """Return the id of a delivery.

    >>> delivery_id("al_1", "team")
    'al_1:team'
    """
    return f"{alert_id}:{channel}"


def digest_id(channel: str, deliveries: Iterable[str]) -> str:
    """Return the id of a digest, which depends only on its deliveries.

    >>> digest_id("team", ["al_1:team"]) == digest_id("team", ["al_1:team"]) != digest_id("team", ["al_2:team"])
    True
    """
    return f"dg_{xxhash.xxh3_128_hexdigest('|'.join([channel, *deliveries]).encode('utf-8', 'surrogatepass'))}"


def decode_record(value: bytes, kind: type[_RecordT]) -> _RecordT:
    """Decode a record. Raise ValueError if it is malformed."""
    return msgspec.json.decode(value, type=kind)


def readable(values: Iterable[bytes], kind: type[_RecordT]) -> tuple[list[_RecordT], list[str]]:
    """Return the readable records, and for each unreadable value its first bytes and the error.

    >>> readable([b'{"action":"enable"}', b"?"], Request)[1]
    ['?: JSON is malformed: invalid character (byte 0)']
    """
    found, problems = [], []
    for value in values:
        try:
            found.append(decode_record(value, kind))
        except (ValueError, RecursionError) as error:  # from msgspec, and from bytes that are not UTF-8
            problems.append(f"{value[:_SHOWN_BYTES].decode(errors='replace')}: {error}")
    return found, problems
