"""What the parts of the system tell one another on topics of their own, beside the shop's events.

Ticks and contacts are JSON, since a shop's own tools may write contacts and people read ticks; what only our own parts
read (labelled examples, nominations, scores, the outbox) is MessagePack.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

from stream_app.core.events import DEFAULT_SHOP, Id, Instant, Rejected, rejection
from stream_app.core.explanation import Explanation

_Role = Annotated[str, msgspec.Meta(max_length=32)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Tick(msgspec.Struct, frozen=True, tag="tick", omit_defaults=True):
    """Time has come this far in a partition, whether or not anything happened. Idempotent, and aligned like an event.

    Attributes:
        occurred_at: everything before it has happened.
        version: of the model in force from here on; None: as it was, or what the trainer makes (`waits`).
        learns: the trainer learns what has matured so far.
        nominates: the partition nominates customers for the desk.
        waits: go on only when the trainer and the desk have answered to this tick, as a replay does.
        complete: all that happened before this tick is in the log: nothing late is waited for.
        ends: by role of a topic of events, the offset behind the last record of this partition that precedes the tick.
            A publisher writes them; another tick with `ends` follows unless this one is `complete`.
    """

    occurred_at: Instant
    version: int | None = None
    learns: bool = False
    nominates: bool = False
    waits: bool = False
    complete: bool = False
    ends: dict[_Role, _Offset] | None = None


class Nominee(msgspec.Struct, frozen=True, omit_defaults=True):
    """A nomination as it is sent: see alerts.Nomination."""

    customer: str
    rank_value: float
    probability: float
    monthly_worth: float
    silent_days: float
    usual_gap_days: float | None  # None: one-time buyer
    source: int
    version: int
    shop_id: Id = DEFAULT_SHOP
    explanation: Explanation = Explanation()


class Opening(msgspec.Struct, frozen=True):
    """An episode as the desk has opened it: see alerts.Episode."""

    alert_id: str
    opened_at: int  # microseconds
    expires_at: int
    rank: int
    bar: float
    nominee: Nominee


class Contact(msgspec.Struct, frozen=True, tag="contact", omit_defaults=True):
    """A message to a customer, by us or by the shop's own tools, or what became of it; or an episode of the desk.

    Attributes:
        sequence: of the desk's outbox, 0 for contacts of others: what the desk sends twice is applied once.
        opening: with action `episode_opened`: the episode.
        alert_id: with action `episode_acked`, `episode_snoozed` or `episode_resolved`: of which episode.
        until: with `episode_snoozed`: it rests until then.
        outcome: with `episode_resolved`: retained, lost, unreachable or no_action.
        cause: with `episode_resolved`: why the customer was leaving, as the staff has found.
        take_over: whether it is done though the episode belongs to somebody else.
        note: for people who read the topic; nothing else is made of it.
    """

    event_id: Id
    customer_id: Id
    occurred_at: Instant
    action: str = "sent"  # sent, delivered, opened, replied, failed, episode_opened|acked|snoozed|resolved
    channel: str | None = None
    measure: str | None = None
    staff: str | None = None
    shop_id: Id = DEFAULT_SHOP
    sequence: int = 0
    opening: Opening | None = None
    alert_id: Id | None = None
    until: Instant | None = None
    outcome: str | None = None
    cause: str | None = None
    take_over: bool = False
    note: str | None = None


class DeskDone(msgspec.Struct, frozen=True, tag="desk_done", omit_defaults=True):
    """The desk has opened all episodes of a nomination that lie in this partition."""

    occurred_at: Instant  # the nomination's moment
    sequence: int = 0


SystemMessage = Tick | Contact | DeskDone


class Example(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision with its label, as the trainer learns from it: see labels.Pending."""

    customer: str
    decided_at: int  # microseconds
    features: bytes  # float16
    log_odds: bytes  # float16
    probability: float
    label: int
    source: int
    version: int


class Labelled(msgspec.Struct, frozen=True, array_like=True):
    """What one commit of a partition has for the trainer, on `shop.labelled`.

    Attributes:
        examples: decisions whose labels have become known.
        expected: by day since 1970: returns expected of the decisions made (cohorts.Cohorts).
        returns: by day since 1970 and age in days: decisions whose customers have ordered since.
        moment: a watermark marker: all up to this moment, microseconds, has been told; 0: none.
        voids: what was told before this under a greater sequence number is void, and is told again, since the store was
            set back.
    """

    examples: list[Example] = []
    expected: dict[int, float] = {}
    returns: list[tuple[int, int, int]] = []
    moment: int = 0
    voids: int | None = None


class Nominated(msgspec.Struct, frozen=True, array_like=True):
    """A partition's best customers at a moment, on `shop.nominations`; an empty list says that there are none.

    Attributes:
        voids: as in `Labelled`; then this is no list of anybody.
    """

    moment: int  # microseconds
    nominees: list[Nominee]
    voids: int | None = None


class ScoreTold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's latest probability of churn."""

    customer: str
    probability: float


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """The scores that one commit of a partition brought, on `shop.scores`, as JSON."""

    partition: int
    stream_time: Instant
    version: int
    scores: list[ScoreTold]


class AlertOpened(msgspec.Struct, frozen=True, tag="opened", omit_defaults=True):
    """An episode has opened: the staff should act, until it expires. On `shop.alerts`, as JSON.

    Attributes:
        rank: 1: the first of the day; 0: an urgent case, which has passed the desk at once.
        urgent: a complaint is past its service target: to be told at once, whatever the risk.
    """

    alert_id: str
    customer_id: str
    opened_at: Instant
    expires_at: Instant
    rank: int
    probability: float
    monthly_worth: float
    silent_days: float
    usual_gap_days: float | None
    source: str  # prior or model
    version: int
    shop_id: Id = DEFAULT_SHOP
    urgent: bool = False
    explanation: Explanation = Explanation()


class AlertClosed(msgspec.Struct, frozen=True, tag="closed", omit_defaults=True):
    """An episode has ended: the customer returned, is lost, the risk has fallen, or the staff says what came of it.

    On `shop.alerts`, as JSON.

    Attributes:
        outcome: with reason `resolved`: see casework.OUTCOMES.
        cause: with reason `resolved`: confirmed by the staff; empty: not known.
        staff: with reason `resolved`: who says so.
    """

    alert_id: str
    customer_id: str
    closed_at: Instant
    reason: str
    outcome: str = ""
    cause: str = ""
    staff: str = ""


class Outgoing(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A record of the outbox: what is to be produced, and where."""

    topic: str  # the role of the topic: labelled, nominations, scores, alerts, contacts, dead_letters
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = []

    @property
    def payload(self) -> bytes:
        """Its value; only a dead letter can be without."""
        return self.value or b""


_json_decoder: Final = msgspec.json.Decoder(SystemMessage)
_json_encoder: Final = msgspec.json.Encoder()
_packer: Final = msgspec.msgpack.Encoder()
_MessageT = TypeVar("_MessageT")


def decode_message(value: bytes) -> SystemMessage | Rejected:
    """A tick or a contact, or why it was rejected. Never raises on any input.

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


def encode_message(message: SystemMessage | AlertOpened | AlertClosed | Scored) -> bytes:
    """A message as JSON; `decode_message(encode_message(tick)) == tick`."""
    return _json_encoder.encode(message)


def pack(message: Labelled | Nominated | Outgoing) -> bytes:
    """A message among our own parts as MessagePack."""
    return _packer.encode(message)


def unpack(value: bytes, kind: type[_MessageT]) -> _MessageT:
    """The message of `pack`; raises msgspec.MsgspecError for foreign bytes."""
    return msgspec.msgpack.decode(value, type=kind)
