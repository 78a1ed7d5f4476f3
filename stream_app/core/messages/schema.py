"""Wire schema of the system's own messages: ticks, customer contacts, and the end of an allocation.

These are JSON, because people read ticks and a shop's own tools may write contacts. Messages read only by the system
itself use MessagePack; see batches.py and outgoing.py.
"""

from __future__ import annotations

from collections.abc import Callable
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
    rejecting,
)
from stream_app.core.messages.outgoing import SequenceNumber
from stream_app.core.units import DAY_US, micros

Version = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]  # version of the churn model
Source = Annotated[int, msgspec.Meta(ge=0, le=1)]  # scores.PRIOR_SOURCE or scores.MODEL_SOURCE
_Role = Annotated[str, msgspec.Meta(max_length=32)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Tick(msgspec.Struct, frozen=True, tag="tick", omit_defaults=True):
    """Advances a partition's stream time even if there are no events. Ticks are idempotent and ordered like events.

    Attributes:
        occurred_at: new stream time; all earlier events have already happened.
        version: model version to use from now on; None: keep it, or with `waits` use the one that the trainer
            publishes.
        learns: whether the trainer should learn from the examples that have matured so far.
        nominates: whether the partition should send alert candidates to the allocator.
        waits: whether the partition should pause until the trainer and the allocator have answered, as in a replay.
        complete: whether the log is complete up to this tick, so that the partition does not wait for late events.
        ends: offset after this partition's last record before the tick, by role of the event topic. Set by a
            publisher; another tick with `ends` follows unless this one is `complete`.
    """

    occurred_at: Instant
    version: Version | None = None
    learns: bool = False
    nominates: bool = False
    waits: bool = False
    complete: bool = False
    ends: dict[_Role, _Offset] | None = None


class CandidateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Wire form of a customer proposed for an alert; see lifecycle.AlertCandidate."""

    customer: Id
    rank_value: Number
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None  # None for one-time buyers
    source: Source
    version: Version
    shop_id: Id = DEFAULT_SHOP
    explanation: Explanation = Explanation()
    lost_probability: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    act_by: Micros = 0
    expected_value: Number = 0.0
    next_order_from: Micros = 0
    next_order_to: Micros = 0


class AlertOpening(msgspec.Struct, frozen=True):
    """Wire form of an alert opened by the allocator; see lifecycle.Alert."""

    alert_id: Id
    opened_at: Micros
    expires_at: Micros
    rank: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    bar: Probability
    candidate: CandidateRecord = msgspec.field(name="nominee")


class ContactAction(OpenEnum):
    """A step in the delivery of a message to a customer, or in the lifecycle of an alert."""

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
    """A message to a customer (from this system or the shop's own tools), a reaction to it, or a step of an alert.

    Attributes:
        sequence: sequence number in the allocator's outbox, used to drop duplicates; 0 for other producers.
        opening: the alert, if the action is `episode_opened`.
        alert_id: id of the alert, for `episode_acked`, `episode_snoozed` and `episode_resolved`.
        until: end of the snooze, for `episode_snoozed`.
        outcome: retained, lost, unreachable or no_action, for `episode_resolved`.
        cause: cause of churn confirmed by the staff, for `episode_resolved`.
        take_over: whether the step is allowed even if the alert has another owner.
        note: free text for people who read the topic; ignored by the system.
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
        """Raise ValueError for blank ids, an alert that contradicts its contact, or a sequence number but no alert."""
        refuse_blank(self.event_id, self.customer_id, self.shop_id)
        opening = self.opening
        if opening is None:
            if self.sequence:
                refuse("sequence", "is reserved for the allocator", "leave it out unless the contact opens an alert")
            return
        if abs(opening.opened_at - micros(self.occurred_at)) > DAY_US:
            refuse("opening.opened_at", "differs from occurred_at", "set it to occurred_at")
        if opening.expires_at <= opening.opened_at:
            refuse("opening.expires_at", "is not later than opened_at", "set it to the end of the alert")
        if opening.candidate.customer != self.customer_id:
            refuse("opening.nominee.customer", "differs from customer_id", "set it to customer_id")


class AllocationDone(msgspec.Struct, frozen=True, tag="desk_done", omit_defaults=True):
    """Marks the end of an allocation: the allocator has opened all its alerts in this partition."""

    occurred_at: Instant  # time of the allocation
    sequence: SequenceNumber = 0


SystemMessage = Tick | Contact | AllocationDone
decode_message: Final[Callable[[bytes | str], SystemMessage | Rejected]] = rejecting(
    msgspec.json.Decoder(SystemMessage).decode
)
# `decode_message(encode_message(tick)) == tick`
encode_message: Final[Callable[[msgspec.Struct], bytes]] = msgspec.json.Encoder().encode
