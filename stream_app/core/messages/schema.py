"""What the parts of the system tell one another on topics of their own, beside the shop's events.

Ticks and contacts are JSON, since a shop's own tools may write contacts and people read ticks; what only our own parts
read (labelled examples, nominations, scores, the outbox) is MessagePack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from stream_app.core.causes.explanation import Explanation, Key, Number, Probability
from stream_app.core.events.schema import (
    DEFAULT_SHOP,
    LATEST,
    Id,
    Instant,
    Micros,
    Name,
    OpenEnum,
    Rejected,
    Text,
    refuse,
    refuse_blank,
    rejection,
)
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND

# Bytes of a record with key and headers. Brokers accept a batch of 1 MiB by default, older ones 1,000,012 bytes.
MAX_RECORD_BYTES: Final = 900_000
SEQUENCE: Final = "sequence"  # the header of a relayed record
MOST_REPEATED: Final = 100_000  # records; far more than a relay has pending
_SEQUENCE_DIGITS: Final = 15  # a partition that writes a thousand records a second needs thirty thousand years
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, lt=10**_SEQUENCE_DIGITS)]
Version = Annotated[int, msgspec.Meta(ge=0, lt=10**9)]  # of a model
Source = Annotated[int, msgspec.Meta(ge=0, le=1)]  # learner.PRIOR_SOURCE or MODEL_SOURCE
Days = Annotated[int, msgspec.Meta(ge=0, le=84_006)]  # since 1970-01-01, or an age
Figure = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]
_Values = msgspec.Meta(max_length=10_000)  # of a list; far more than a record of 1 MiB holds

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
    version: Version | None = None
    learns: bool = False
    nominates: bool = False
    waits: bool = False
    complete: bool = False
    ends: dict[_Role, _Offset] | None = None


class CandidateRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A nomination as it is sent: see alerts.Nomination."""

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
    """An episode as the desk has opened it: see alerts.Episode."""

    alert_id: Id
    opened_at: Micros
    expires_at: Micros
    rank: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    bar: Probability
    candidate: CandidateRecord = msgspec.field(name="nominee")


class ContactAction(OpenEnum):
    """What became of a message to a customer, or what the desk or the staff did with an alert."""

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
        """Refuse blank ids, an episode that contradicts its contact, and a number of the desk's without an episode."""
        refuse_blank(self.event_id, self.customer_id, self.shop_id)
        opening = self.opening
        if opening is None:
            if self.sequence:
                refuse("sequence", "is the desk's", "leave it out of contacts without an episode")
            return
        if abs(opening.opened_at - (self.occurred_at - EPOCH) // MICROSECOND) > DAY_US:
            refuse("opening.opened_at", "is not the contact's own moment", "set it to occurred_at")
        if opening.expires_at <= opening.opened_at:
            refuse("opening.expires_at", "is not later than opened_at", "set it to the end of the episode")
        if opening.candidate.customer != self.customer_id:
            refuse("opening.nominee.customer", "is another customer", "set it to customer_id")


class AllocationDone(msgspec.Struct, frozen=True, tag="desk_done", omit_defaults=True):
    """The desk has opened all episodes of a nomination that lie in this partition."""

    occurred_at: Instant  # the nomination's moment
    sequence: SequenceNumber = 0


SystemMessage = Tick | Contact | AllocationDone


class LabelledExample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision with its label, as the trainer learns from it: see labels.Pending."""

    customer: Id
    decided_at: Micros
    features: bytes  # float16
    log_odds: bytes  # float16
    probability: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    label: Annotated[int, msgspec.Meta(ge=0, le=1)]
    source: Source
    version: Version


class LabelledBatch(msgspec.Struct, frozen=True, array_like=True):
    """What one commit of a partition has for the trainer, on `shop.labelled`.

    Attributes:
        examples: decisions whose labels have become known.
        expected: by day since 1970: returns expected of the decisions made (cohorts.Cohorts).
        returns: by day since 1970 and age in days: decisions whose customers have ordered since.
        moment: a watermark marker: all up to this moment, microseconds, has been told; 0: none.
        voids: what was told before this under a greater sequence number is void, and is told again, since the store was
            set back.
    """

    examples: Annotated[list[LabelledExample], _Values] = []
    expected: Annotated[dict[Days, Figure], _Values] = {}
    returns: list[tuple[Days, Days, Annotated[int, msgspec.Meta(ge=0, le=10**12)]]] = []
    moment: Micros = 0
    voids: SequenceNumber | None = None

    @property
    def latest(self) -> int:
        """The latest moment that it tells of, microseconds."""
        decided = max((one.decided_at for one in self.examples), default=0)
        day = max([*self.expected, *(one[0] for one in self.returns)], default=0)
        return max(self.moment, decided, day * DAY_US)


class CandidateBatch(msgspec.Struct, frozen=True, array_like=True):
    """A partition's best customers at a moment, on `shop.nominations`; an empty list says that there are none.

    Attributes:
        voids: as in `LabelledBatch`; then this is no list of anybody.
        more: the list continues in the partition's next record.
    """

    moment: Micros
    candidates: Annotated[list[CandidateRecord], _Values]
    voids: SequenceNumber | None = None
    more: bool = False

    @property
    def latest(self) -> int:
        """The latest moment that it tells of, microseconds."""
        return self.moment


class ScoreRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's latest probability of churn."""

    customer: Id
    probability: Probability


class ScoreRecords(msgspec.Struct, frozen=True, omit_defaults=True):
    """The scores that one commit of a partition brought, on `shop.scores`, as JSON."""

    partition: int
    stream_time: Instant
    version: Version
    scores: Annotated[list[ScoreRecord], _Values]


class AlertOpened(msgspec.Struct, frozen=True, tag="opened", omit_defaults=True):
    """An episode has opened: the staff should act, until it expires. On `shop.alerts`, as JSON.

    Attributes:
        rank: 1: the first of the day; 0: an urgent case, which has passed the desk at once.
        urgent: a complaint is past its service target: to be told at once, whatever the risk.
    """

    alert_id: Id
    customer_id: Id
    opened_at: Instant
    expires_at: Instant
    rank: Annotated[int, msgspec.Meta(ge=0, le=10**6)]
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None
    source: Key  # prior or model
    version: Version
    shop_id: Id = DEFAULT_SHOP
    urgent: bool = False
    explanation: Explanation = Explanation()

    def __post_init__(self) -> None:
        """Refuse moments that leave no room for a zone or a lifetime."""
        for name in ("opened_at", "expires_at"):
            if not EPOCH <= getattr(self, name) < LATEST:
                refuse(name, "does not lie between 1970 and 2200", "check the time's unit and format")

    @property
    def latest(self) -> int:
        """The latest moment that it tells of as past, microseconds."""
        return (self.opened_at - EPOCH) // MICROSECOND


class AlertClosed(msgspec.Struct, frozen=True, tag="closed", omit_defaults=True):
    """An episode has ended: the customer returned, is lost, the risk has fallen, or the staff says what came of it.

    On `shop.alerts`, as JSON.

    Attributes:
        outcome: with reason `resolved`: see casework.OUTCOMES.
        cause: with reason `resolved`: confirmed by the staff; empty: not known.
        staff: with reason `resolved`: who says so.
    """

    alert_id: Id
    customer_id: Id
    closed_at: Instant
    reason: Key
    outcome: Name = ""
    cause: Name = ""
    staff: Name = ""

    @property
    def latest(self) -> int:
        """The latest moment that it tells of as past, microseconds."""
        return (self.closed_at - EPOCH) // MICROSECOND


AlertMessage: TypeAlias = AlertOpened | AlertClosed


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

    @property
    def size(self) -> int:
        """Bytes that it takes on the wire, rounded up: key, value and headers."""
        parts = len(self.key or b"") + len(self.value or b"") + RECORD_OVERHEAD
        return parts + sum(map(header_bytes, self.headers))


RECORD_OVERHEAD: Final = 200  # bytes of a record beside key, value and headers, the batch around it included


def header_bytes(header: tuple[str, bytes | None]) -> int:
    """Return the bytes of a header on the wire, rounded up; the two lengths take at most 5 each.

    >>> header_bytes(("trace", b"12"))
    17
    """
    name, value = header
    return len(name.encode("utf-8", "surrogatepass")) + len(value or b"") + 10


_json_decoder: Final = msgspec.json.Decoder(SystemMessage)
_json_encoder: Final = msgspec.json.Encoder()
_packer: Final = msgspec.msgpack.Encoder()
_MessageT = TypeVar("_MessageT")
_ReadT = TypeVar("_ReadT")
_alerts: Final[msgspec.json.Decoder[AlertMessage]] = msgspec.json.Decoder(AlertMessage)
decode_alert: Final = _alerts.decode
decode_labelled: Final = msgspec.msgpack.Decoder(LabelledBatch).decode
decode_candidates: Final = msgspec.msgpack.Decoder(CandidateBatch).decode
decode_scored: Final = msgspec.json.Decoder(ScoreRecords).decode


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


def encode_message(message: SystemMessage | AlertOpened | AlertClosed | ScoreRecords) -> bytes:
    """A message as JSON; `decode_message(encode_message(tick)) == tick`."""
    return _json_encoder.encode(message)


def pack(message: LabelledBatch | CandidateBatch | Outgoing) -> bytes:
    """A message among our own parts as MessagePack."""
    return _packer.encode(message)


def read_message(value: bytes | None, decode: Callable[[bytes], _ReadT]) -> _ReadT | Rejected:
    """Return a message of an internal topic, or why it was rejected. Never raises.

    >>> read_message(b"not msgpack", decode_candidates).reason
    'not one of our messages: Expected `array`, got `int`'
    """
    try:
        return decode(value or b"")
    except msgspec.ValidationError as error:
        found = rejection(error)
        return found if found.field else Rejected(f"not one of our messages: {found.reason}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(f"not one of our messages: {error}")


def sequence_of(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """The sequence number of a relayed record; 0 if somebody else has produced it.

    >>> sequence_of([("sequence", b"7")]), sequence_of([("sequence", b"abc")]), sequence_of([])
    (7, 0, 0)
    """
    value = dict(headers).get(SEQUENCE) or b""
    return int(value) if value.isdigit() and len(value) <= _SEQUENCE_DIGITS else 0


def is_duplicate(sequence: int, highest: int) -> bool:
    """Return whether a record was received before, by its number and the highest one so far.

    After a crash a relay sends again what was pending, some thousand records. A number further below was never reached:
    then the highest one was somebody's invention, and believing it would silence the partition.

    >>> is_duplicate(7, 7), is_duplicate(8, 7), is_duplicate(8, 999_999_999)
    (True, False, False)
    """
    return highest - MOST_REPEATED < sequence <= highest


def unpack(value: bytes, kind: type[_MessageT]) -> _MessageT:
    """The message of `pack`; raises msgspec.MsgspecError for foreign bytes."""
    return msgspec.msgpack.decode(value, type=kind)
