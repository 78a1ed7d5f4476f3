"""Wire schema of ticks and of control messages: steps of alerts, the end of an allocation, and policies.

Only the system writes them. They are JSON, because people read them. The other internal messages use MessagePack; see
batches.py and outgoing.py.
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
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.outgoing import SequenceNumber
from stream_app.core.units import DAY_US, micros

Version = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]  # version of the churn model
Source = Annotated[int, msgspec.Meta(ge=0, le=1)]  # scores.PRIOR_SOURCE or scores.MODEL_SOURCE
PolicyVersion = Annotated[str, msgspec.Meta(max_length=64)]  # policy.Policy.version
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
        policy: version of the contact policy to use from this tick on, including its allocation; empty: keep it.
    """

    occurred_at: Instant
    version: Version | None = None
    learns: bool = False
    nominates: bool = False
    waits: bool = False
    complete: bool = False
    ends: dict[_Role, _Offset] | None = None
    policy: PolicyVersion = ""


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
    arm: Name = ""
    expected_value: Number = 0.0
    next_order_from: Micros = 0
    next_order_to: Micros = 0
    share: Probability = 0.0


class AlertOpening(msgspec.Struct, frozen=True, omit_defaults=True):
    """Wire form of an alert opened by the allocator; see lifecycle.Alert."""

    alert_id: Id
    opened_at: Micros
    expires_at: Micros
    rank: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    bar: Probability
    candidate: CandidateRecord = msgspec.field(name="nominee")
    contact_rules: ContactRules | None = None
    experiment: Name = ""  # of the draw, if the customer was drawn
    blind: bool = False


class AlertAction(OpenEnum):
    """A step in the life of an alert: opened by the allocator, or an action of the staff."""

    OPENED = "episode_opened"
    ACKED = "episode_acked"
    SNOOZED = "episode_snoozed"
    RESOLVED = "episode_resolved"
    OTHER = "other"


class AlertStep(msgspec.Struct, frozen=True, tag="alert_step", omit_defaults=True):
    """A step of an alert, for the customer's partition.

    Attributes:
        staff: name of the person, for steps of the staff.
        sequence: sequence number in the allocator's outbox, used to drop duplicates; 0 for steps of the staff.
        opening: the alert, if the action is `episode_opened`.
        alert_id: id of the alert, for steps of the staff.
        until: end of the snooze, for `episode_snoozed`.
        outcome: retained, lost, unreachable or no_action, for `episode_resolved`.
        cause: cause of churn confirmed by the staff, for `episode_resolved`.
        take_over: whether the step is allowed even if the alert has another owner.
        note: free text for people who read the topic; ignored by the system.
    """

    event_id: Id
    customer_id: Id
    occurred_at: Instant
    action: AlertAction
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
        """Raise ValueError for blank ids, an unknown action, or an opening that contradicts its step."""
        refuse_blank(self.event_id, self.customer_id, self.shop_id)
        if self.action.name == AlertAction.OTHER.name:  # unknown words have this name too
            refuse("action", "is no step of an alert", "write messages to customers to the contacts topic")
        opening = self.opening
        if (opening is not None) != (self.action is AlertAction.OPENED):
            refuse("opening", "is missing, or belongs to another action", f"set it for {AlertAction.OPENED} only")
        if opening is None:
            if self.sequence:
                refuse("sequence", "is reserved for the allocator", "leave it out unless the step opens an alert")
            return
        if abs(opening.opened_at - micros(self.occurred_at)) > DAY_US:
            refuse("opening.opened_at", "differs from occurred_at", "set it to occurred_at")
        if opening.expires_at <= opening.opened_at:
            refuse("opening.expires_at", "is not later than opened_at", "set it to the end of the alert")
        if opening.candidate.customer != self.customer_id:
            refuse("opening.nominee.customer", "differs from customer_id", "set it to customer_id")


class OldAlertStep(AlertStep, frozen=True, tag="contact", omit_defaults=True):
    """A step of an alert as releases before 0.3 wrote it, to `shop.contacts`."""


class AllocationDone(msgspec.Struct, frozen=True, tag="desk_done", omit_defaults=True):
    """Marks the end of an allocation: the allocator has opened all its alerts in this partition."""

    occurred_at: Instant  # time of the allocation
    sequence: SequenceNumber = 0
    drawn: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0  # customers drawn in the holdout experiment so far
    experiment: Name = ""  # its name


class PolicyRecord(msgspec.Struct, frozen=True, tag="policy"):
    """The content of a contact policy, so that a log of the topics is complete. Partitions follow the ticks instead.

    Attributes:
        occurred_at: time of the first tick that names the policy.
        version: version of the policy.
        policy: its rules; see policy.Policy.
    """

    occurred_at: Instant
    version: PolicyVersion
    policy: msgspec.Raw


ControlMessage = AlertStep | AllocationDone | PolicyRecord
decode_tick: Final[Callable[[bytes | str], Tick | Rejected]] = rejecting(msgspec.json.Decoder(Tick).decode)
decode_control: Final[Callable[[bytes | str], ControlMessage | Rejected]] = rejecting(
    msgspec.json.Decoder(AlertStep | OldAlertStep | AllocationDone | PolicyRecord).decode
)
# `decode_tick(encode_message(tick)) == tick`
encode_message: Final[Callable[[msgspec.Struct], bytes]] = msgspec.json.Encoder().encode
