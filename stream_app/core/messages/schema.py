"""Wire schema of the system's own messages: ticks, contacts with customers, and the end of an allocation.

They are JSON, since people read ticks and a shop's own tools may write contacts. Messages that only the system reads
are MessagePack: see batches.py and outgoing.py.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from stream_app.core.causes.explanation import Explanation, Number, Probability
from stream_app.core.events.enumerations import OpenEnum
from stream_app.core.events.schema import (
    DEFAULT_SHOP,
    Id,
    Instant,
    Micros,
    Name,
    Rejected,
    Text,
    refuse,
    refuse_blank,
    rejection,
)
from stream_app.core.messages.outgoing import SequenceNumber
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND

Version = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]  # of the churn model
Source = Annotated[int, msgspec.Meta(ge=0, le=1)]  # churn_model.PRIOR_SOURCE or MODEL_SOURCE
_Role = Annotated[str, msgspec.Meta(max_length=32)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Tick(msgspec.Struct, frozen=True, tag="tick", omit_defaults=True):
    """Advances the stream time of a partition, with or without events. Idempotent, and ordered like an event.

    Attributes:
        occurred_at: new stream time; all earlier events have happened.
        version: model version in force from here on; None: unchanged, or the one that the trainer publishes (`waits`).
        learns: whether the trainer learns from the examples that have matured so far.
        nominates: whether the partition sends alert candidates to the allocator.
        waits: whether the partition pauses until the trainer and the allocator have answered, as in a replay.
        complete: whether the log is complete up to this tick, so that the partition does not wait for late events.
        ends: by role of an event topic, the offset after the last record of this partition that precedes the tick.
            Written by a publisher; another tick with `ends` follows unless this one is `complete`.
    """

    occurred_at: Instant
    version: Version | None = None
    learns: bool = False
    nominates: bool = False
    waits: bool = False
    complete: bool = False
    ends: dict[_Role, _Offset] | None = None


class CandidateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A customer proposed for an alert, as sent: see lifecycle.AlertCandidate."""

    customer: Id
    rank_value: Number
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None  # None: one-time buyer
    source: Source
    version: Version
    shop_id: Id = DEFAULT_SHOP
    explanation: Explanation = Explanation()


class AlertOpening(msgspec.Struct, frozen=True):
    """An alert as opened by the allocator: see lifecycle.Alert."""

    alert_id: Id
    opened_at: Micros
    expires_at: Micros
    rank: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    bar: Probability
    candidate: CandidateRecord = msgspec.field(name="nominee")


class ContactAction(OpenEnum):
    """A step in the delivery of a message to a customer, or in the life of an alert."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    REPLIED = "replied"
    FAILED = "failed"
    ALERT_OPENED = "episode_opened"
    ALERT_ACKED = "episode_acked"
    ALERT_SNOOZED = "episode_snoozed"
    ALERT_RESOLVED = "episode_resolved"
    OTHER = "other"


class Contact(msgspec.Struct, frozen=True, tag="contact", omit_defaults=True):
    """A message to a customer, by this system or by the shop's own tools, a reaction to it, or a step of an alert.

    Attributes:
        sequence: number in the allocator's outbox, by which repeats are dropped; 0 for other producers.
        opening: the alert, with action `episode_opened`.
        alert_id: with `episode_acked`, `episode_snoozed` and `episode_resolved`.
        until: end of the pause, with `episode_snoozed`.
        outcome: retained, lost, unreachable or no_action, with `episode_resolved`.
        cause: cause of churn as confirmed by the staff, with `episode_resolved`.
        take_over: whether the step is allowed although the alert has another owner.
        note: free text for people who read the topic; otherwise ignored.
    """

    event_id: Id
    customer_id: Id
    occurred_at: Instant
    action: ContactAction = ContactAction.SENT
    channel: Name | None = None
    measure: Name | None = None
    staff: Name | None = None
    shop_id: Id = DEFAULT_SHOP
    sequence: SequenceNumber = 0
    opening: AlertOpening | None = None
    alert_id: Id | None = None
    until: Instant | None = None
    outcome: Name | None = None
    cause: Name | None = None
    take_over: bool = False
    note: Text | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for blank ids, an alert that contradicts its contact, or a sequence without an alert."""
        refuse_blank(self.event_id, self.customer_id, self.shop_id)
        opening = self.opening
        if opening is None:
            if self.sequence:
                refuse("sequence", "is reserved for the allocator", "leave it out of contacts that open no alert")
            return
        if abs(opening.opened_at - (self.occurred_at - EPOCH) // MICROSECOND) > DAY_US:
            refuse("opening.opened_at", "differs from occurred_at", "set it to occurred_at")
        if opening.expires_at <= opening.opened_at:
            refuse("opening.expires_at", "is not later than opened_at", "set it to the end of the alert")
        if opening.candidate.customer != self.customer_id:
            refuse("opening.nominee.customer", "differs from customer_id", "set it to customer_id")


class AllocationDone(msgspec.Struct, frozen=True, tag="desk_done", omit_defaults=True):
    """The allocator has opened all alerts of one allocation in this partition."""

    occurred_at: Instant  # time of the allocation
    sequence: SequenceNumber = 0


SystemMessage = Tick | Contact | AllocationDone
_json_decoder: Final = msgspec.json.Decoder(SystemMessage)
_json_encoder: Final = msgspec.json.Encoder()


def decode_message(value: bytes) -> SystemMessage | Rejected:
    """Return the message in a JSON value, or why it was rejected. Never raises.

    >>> decode_message(b'{"type":"tick","occurred_at":"2026-01-01T00:00:00Z","version":3}').version
    3
    >>> decode_message(b'{"type":"tick"}')
    Rejected(reason='Object missing required field `occurred_at`', field='occurred_at')
    """
    try:
        return _json_decoder.decode(value)
    except msgspec.ValidationError as error:
        return rejection(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(f"not a JSON object: {error}")


def encode_message(message: msgspec.Struct) -> bytes:
    """Return a message as JSON; `decode_message(encode_message(tick)) == tick`."""
    return _json_encoder.encode(message)
