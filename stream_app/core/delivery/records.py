"""What is kept of deliveries: one record for each alert and channel, and the letters in which they go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

import msgspec
import xxhash

from stream_app.core.messages.alerts import AlertOpened

PENDING: Final = "pending"
SENT: Final = "sent"
SUPPRESSED: Final = "suppressed"
DEAD: Final = "dead"
STATES: Final = (PENDING, SENT, SUPPRESSED, DEAD)

# Why nothing was sent. They are labels of a metric, so there is no other.
EXPIRED: Final = "expired"  # nobody should act on the alert any more
CLOSED: Final = "closed"  # the episode ended before anything was sent
SHADOW: Final = "shadow"  # nothing is delivered until the mode is live
REMOVED: Final = "channel_removed"  # the configuration does not know the channel any more
REASONS: Final = (EXPIRED, CLOSED, SHADOW, REMOVED)


class MessageText(NamedTuple):
    """A message in its forms: staff.message.Message, as the core knows it."""

    title: str
    markdown: str
    plain: str


class Delivery(msgspec.Struct, omit_defaults=True):
    """One alert on its way to one channel. Times are microseconds.

    Attributes:
        reason: why it was suppressed or is dead.
        due_at: when it is to be sent first; of a digest: before this moment it only collects.
        letter: in which it goes; "": it still waits for its digest, with its alert.
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
    """What is sent at once: one alert, or a digest. Its id and its words are the same at every attempt.

    Attributes:
        deliveries: ids of the deliveries that it carries.
        alert: of a letter with one alert.
        opened_at: when it was written; the receiver may see it.
        expires_at: when the last of its alerts expires.
        attempts: so many have failed.
        first_at: when the first of them was made; 0: there was none.
        problem: what came of the last one.
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
    """What is remembered of a channel.

    Attributes:
        gone_at: when its receiver said that it wants nothing more; 0: it is open.
        reason: as the receiver said it.
        sent: moments of the latest attempts, as far back as its rate limits reach.
    """

    gone_at: int = 0
    reason: str = ""
    sent: list[int] = []


class Request(msgspec.Struct, omit_defaults=True):
    """What a person asks the deliverer to do, from the command line.

    Attributes:
        action: redrive or enable.
        name: the id of a dead delivery, or "" for all of them; the channel to open again.
    """

    action: str
    name: str = ""


_SHOWN_BYTES: Final = 120  # of a value that cannot be read: its id stands at its beginning
_RecordT = TypeVar("_RecordT", Delivery, OutboundMessage, ChannelState, Request)


def delivery_id(alert_id: str, channel: str) -> str:
    """The same for the same alert and channel wherever it is computed.

    >>> delivery_id("al_1", "team")
    'al_1:team'
    """
    return f"{alert_id}:{channel}"


def digest_id(channel: str, deliveries: Iterable[str]) -> str:
    """The id of a digest, from what it carries.

    >>> digest_id("team", ["al_1:team"]) == digest_id("team", ["al_1:team"]) != digest_id("team", ["al_2:team"])
    True
    """
    return f"dg_{xxhash.xxh3_128_hexdigest('|'.join([channel, *deliveries]).encode('utf-8', 'surrogatepass'))}"


def encode_record(record: Delivery | OutboundMessage | ChannelState | Request) -> bytes:
    """A record as JSON: people read it in Redis."""
    return msgspec.json.encode(record)


def decode_record(value: bytes, kind: type[_RecordT]) -> _RecordT:
    """The record of `encode_record`; raises ValueError for foreign bytes."""
    return msgspec.json.decode(value, type=kind)


def readable(values: Iterable[bytes], kind: type[_RecordT]) -> tuple[list[_RecordT], list[str]]:
    """Return the records among stored values, and for each of the others its beginning and the problem.

    >>> readable([b'{"action":"enable"}', b"?"], Request)[1]
    ['?: JSON is malformed: invalid character (byte 0)']
    """
    found, problems = [], []
    for value in values:
        try:
            found.append(decode_record(value, kind))
        except (ValueError, RecursionError) as error:  # of msgspec, and of bytes that are not UTF-8
            problems.append(f"{value[:_SHOWN_BYTES].decode(errors='replace')}: {error}")
    return found, problems
