"""One partition number from records to commits: everything that a worker decides, without a worker.

A lane takes records of six topics in, brings them into one order, applies a bounded chunk of them to its partition, and
gives one commit out: the new position, the states that changed, and what is to be told. Nothing has happened until the
commit is stored; if it cannot be, the lane is thrown away and made anew from what is stored.

The positions of the commit count only what is in the states, so that what comes twice is applied once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

import msgspec

from stream_app.core.alerts.staff_actions import ACTIONS
from stream_app.core.customers.codec.states import CODEC_SCHEMA, decode_customers, encode_customers, is_known_schema
from stream_app.core.events.schema import Event, Rejected
from stream_app.core.kpis.aggregator import KpiState, segment_in
from stream_app.core.kpis.event_counts import Row
from stream_app.core.messages.decoding import (
    AT_ONCE,
    CONTACTS,
    EVENTS,
    ROLES,
    TICKS,
    DeadLetter,
    Item,
    Record,
    dead_letter,
    decode_record,
)
from stream_app.core.messages.schema import (
    AllocationDone,
    Contact,
    ContactAction,
    Outgoing,
    SystemMessage,
    Tick,
    header_bytes,
    pack,
)
from stream_app.core.messages.unknown_words import Found
from stream_app.core.model.churn_model import Model
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.partition import outbox
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.placement import PLACEMENT_REMEDY
from stream_app.core.partition.processor import Counts, Effects, PartitionProcessor
from stream_app.core.partition.record_merge import UNENDING, RecordMerge
from stream_app.core.segments.segments import COMPLAINING, SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.state.complaint_kinds import Classifier, unread
from stream_app.core.units import EPOCH, HOUR_US, MICROSECOND
from stream_app.errors import UnusableState

NEVER: Final = -(1 << 62)
MAX_DEAD_LETTER_BYTES: Final = 8 << 20  # of a commit: Redis takes 512 MB in one argument, and stops while it copies
RECORD_BYTES: Final = 256  # what a record takes in a buffer besides its parts: without it, empty ones would be free
_HEADER_BYTES: Final = 100  # of a header in memory, beside its value
# An item, the broker's time of its record in milliseconds, and the record if the item may still become a dead letter.
_Entry = tuple[Item, int, Record | None]


class Limits(msgspec.Struct, frozen=True):
    """How much a lane does at once; the result does not depend on it."""

    events: int = 1_000  # a commit
    decisions: int = 1_000  # a commit: a tick after a night may make tens of thousands due
    skew: int = HOUR_US // 12  # how far an event may lie after the broker's append time, microseconds
    scores: bool = True  # whether scores are told on `shop.scores`
    dead_letter_misplaced: bool = False  # whether records of customers of other partitions become dead letters
    follows: bool = False  # whether records wait for the next tick of the publisher that writes them


class Hold(msgspec.Struct):
    """A tick after which the lane goes on only when the others have answered."""

    moment: int  # microseconds
    trainer: bool  # whether the trainer's answer is still awaited
    allocator: bool = msgspec.field(name="desk")

    @property
    def waits_for(self) -> str:
        """Who has to answer next."""
        return "trainer" if self.trainer else "allocator"


class Summary(msgspec.Struct):
    """What a partition remembers beside its customers."""

    schema: str = CODEC_SCHEMA
    stream_time: int = NEVER  # microseconds
    ticked: int = NEVER  # time of the latest tick
    version: int = 0  # of the model in force
    desk_moment: int = NEVER  # of the desk's latest contact, microseconds
    desk_sequence: int = 0  # and its number
    following: bool = False  # the latest tick is a publisher's, and another one is to come
    hold: Hold | None = None
    counts: dict[str, int] = {}
    aggregator: KpiState = msgspec.field(default=KpiState(), name="tally")
    shops: list[KnownShop] = []


class Position(msgspec.Struct):
    """Where a partition stands: the next offset of each topic by role, and the cursor of its timers."""

    offsets: dict[str, int]
    cursor: tuple[int, int]  # stream time, and number of commits: due decisions are worked off in chunks


@dataclass
class Step:
    """A commit, and what it holds for those who watch."""

    commit: Commit
    position: Position
    events: Counter[str] = field(default_factory=Counter)  # by role
    rejected: Counter[str] = field(default_factory=Counter)  # by field
    misplaced: Counter[str] = field(default_factory=Counter)  # by role: records of customers of other partitions
    decisions: int = 0
    scored: int = 0
    oldest_append: int = 0  # the broker's time of the oldest event in it, milliseconds; 0: none
    watermark: int = 0  # microseconds
    event_counts: dict[str, Row] = field(default_factory=dict)  # by shop
    opened: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # episodes by shop, cause and segment
    closed: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by shop, reason and segment
    suppressed: int = 0  # nominations for which the calendar let no episode open
    # resolved episodes, by outcome, by the cause that the staff has found, and by segment
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unknown_words: Counter[Found] = field(default_factory=Counter)

    def note(self, role: int, appended: int) -> None:
        """Count an event and keep the oldest."""
        self.events[ROLES[role]] += 1
        if not self.oldest_append or appended < self.oldest_append:
            self.oldest_append = appended


class PartitionTask:
    """A partition number in work.

    Use: `restore` all that is stored and `begin`; then `push` what was fetched, and call `step` with the model of
    `version` until it returns None. Every step must be committed before the next one is taken.

    Args:
        number: of the partition.
        topics: names by role (intake.ROLES).
        settings: of the shop.
        limits: of a step.
        buffer_bytes: of records that wait for their turn.
        classify: says what a complaint's text is about.
        partition_of: the partition where a customer's records belong; None: everything that comes belongs here.
    """

    def __init__(
        self,
        number: int,
        topics: dict[str, str],
        settings: Settings,
        limits: Limits,
        buffer_bytes: int = 1 << 24,
        classify: Classifier = unread,
        partition_of: Callable[[str], int] | None = None,
    ) -> None:
        self.number = number
        self.topics = topics
        self._partition_of = partition_of
        self.partition = PartitionProcessor(settings, classify)
        self.merge: RecordMerge[_Entry] = RecordMerge(ROLES, buffer_bytes)
        self.summary = Summary()
        self._settings = settings
        self._limits = limits
        self.base = b""  # the position of the last commit
        self._commits = 0
        self._cut = False  # the last chunk of due decisions was not the end of them
        self._decide_up_to = 0  # decisions of the partition, when the chunk ends
        self._released = False  # a hold has ended, and no commit tells of it yet
        self._suppressed = 0  # nominations of a day on which no episode opens
        self._outbox: list[Outgoing] = []
        self._dead_letter_bytes = 0  # in the outbox

    # --- from the store ----------------------------------------------------------------------------------------------

    def restore(self, stored: Sequence[tuple[str, bytes]]) -> None:
        """Take in stored customers, chunk by chunk."""
        restored = decode_customers(stored, self._settings.horizon)
        self.partition.restore(restored.customers)
        restored.rank(self.partition.ranking)

    def begin(self, position: bytes, summary: bytes) -> Position | None:
        """Start from what is stored, after all customers were restored; returns where to read on, None: at the start.

        Raises UnusableState if another program wrote it.
        """
        self.base = position
        if summary:
            self.summary = _read_summary(summary)
            self.partition.stream_time = self.summary.stream_time
            self.partition.counts = Counts(**self.summary.counts)
            self.partition.explainer.shops = Shops(self.summary.shops)
        self.partition.settle(self.summary.aggregator if summary else None)
        found = msgspec.json.decode(position, type=Position) if position else None
        self._commits = found.cursor[1] if found else 0
        self.merge.begin(found.offsets if found else {})
        self._follow({}, more=self.summary.following)
        return found

    # --- records in --------------------------------------------------------------------------------------------------

    def push(self, role: str, start: int, records: Sequence[Record], end: int, high_watermark: int) -> None:
        """Take in what one fetch brought of a topic; see RecordMerge.push."""
        items, times = decode_record(role, records, self._limits.skew)
        appended = [record.timestamp for record in records]
        offsets = [record.offset for record in records]
        size = RECORD_BYTES * len(records) + sum([len(record.value or b"") for record in records])
        kept: Iterable[Record | None] = repeat(None)
        if self._limits.dead_letter_misplaced:
            kept, size = records, size + _bytes_beside_values(records)
        elif AT_ONCE in times:
            size += _bytes_beside_values([item.record for item in items if isinstance(item, DeadLetter)])
        entries = list(zip(items, appended, kept, strict=False))
        self.merge.push(role, start, entries, times, offsets, end, high_watermark, size)
        if role == TICKS:
            latest = next((item for item in reversed(items) if isinstance(item, Tick)), None)
            if latest is not None:
                self._follow(latest.ends or {}, more=_more_follows(latest))

    def _follow(self, ends: Mapping[str, int], *, more: bool) -> None:
        """Wait for all that precedes the latest tick, and for the next tick if there is one to come.

        The topics of a publisher race: without this, a reader at the head applies orders of months before it has
        fetched the browsing of the first day.
        """
        if self._limits.follows:
            self.merge.promise(TICKS, UNENDING if more else 0)
            for role in EVENTS:
                self.merge.promise(role, ends.get(role, 0))

    @property
    def fetched(self) -> dict[str, int]:
        """The next offset of each topic that is wanted, by role."""
        return self.merge.ends

    @property
    def waiting_since(self) -> int:
        """The broker's time of the oldest record that waits for its turn, milliseconds; 0: none does."""
        return min((appended for _, appended, _ in self.merge.heads), default=0)

    @property
    def dead_letters_misplaced(self) -> bool:
        """Whether records of customers of other partitions become dead letters."""
        return self._limits.dead_letter_misplaced

    @property
    def awaits_publisher(self) -> bool:
        """Whether what waits does so until the publisher writes its next tick, or the records before the latest one."""
        return bool(self.merge.promised_by)

    @property
    def version(self) -> int:
        """The version of the model in force."""
        return self.summary.version

    @property
    def hold(self) -> Hold | None:
        """What the lane waits for, if it does."""
        return self.summary.hold

    def learned(self, version: int) -> None:
        """The trainer has learned all up to the moment of the hold: this version is in force from there on."""
        if self.summary.hold is not None:
            self.summary.version = version
            self.summary.hold.trainer = False
            self._release()

    # --- commits out -------------------------------------------------------------------------------------------------

    def step(self, model: Model) -> Step | None:
        """Apply a chunk of what waits, and return what is to be committed; None if nothing can be done now."""
        step = Step(Commit(self.number, b"", b"", {}, b"", ()), Position({}, (0, 0)))
        tick = self._apply_chunk(step)
        if tick is None and not (step.events or step.rejected or step.misplaced or self._cut or self._released):
            return None
        self._finish(step, tick, model)
        self._seal(step)
        return step

    def _apply_chunk(self, step: Step) -> Tick | None:  # noqa: C901 - a call for each record would cost more
        """Apply records up to the limit, or up to and including a tick, which is returned."""
        partition, timers = self.partition, self.partition.timers
        self._cut, self._decide_up_to = False, partition.decided + self._limits.decisions
        run = self.merge.pop(self._limits.events, CONTACTS if self.summary.hold is not None else None)
        customers = partition.customers
        for place, (role, _, at, (item, appended, record)) in enumerate(run):
            if isinstance(item, DeadLetter):
                self._bury(item, step)
            elif isinstance(item, Event):
                if at > timers.next_due and not self._advance(at):
                    self.merge.put_back(run[place:])
                    return None
                customer = customers.get(item.customer_id)
                if customer is not None and customer.placed:
                    partition.take(item, at, customer)
                    step.note(role, appended)
                else:
                    self._take_unplaced(item, at, role, appended, record, step)
            elif not self._may_come(item, at):
                self.merge.put_back(run[place:])
                return None
            elif self._is_the_last(item, at, record, step):
                self.merge.put_back(run[place + 1 :])
                return item if isinstance(item, Tick) else None
            if self._dead_letter_bytes > MAX_DEAD_LETTER_BYTES:
                self.merge.put_back(run[place + 1 :])
                return None
        return None

    def _take_unplaced(
        self, event: Event, at: int, role: int, appended: int, record: Record | None, step: Step
    ) -> None:
        """Apply an event of a customer who is new, belongs elsewhere, or was not looked at since the start."""
        placed = self._is_placed(event.customer_id)
        if not placed and self._is_stray(ROLES[role], record, step):
            return
        self.partition.take(event, at)
        step.note(role, appended)
        customer = self.partition.customers.get(event.customer_id)
        if customer is not None:  # the shop excludes some
            customer.placed = placed

    def _is_placed(self, name: str) -> bool:
        """Return whether a customer belongs to this partition. Computed once for each: it costs a tenth of an event."""
        customer = self.partition.customers.get(name)
        if customer is not None and customer.placed is not None:
            return customer.placed
        return self._partition_of is None or self._partition_of(name) == self.number

    def _is_stray(self, role: str, record: Record | None, step: Step) -> bool:
        """Count a record in another partition than its customer's; return whether it has become a dead letter."""
        step.misplaced[role] += 1
        if record is None:
            return False
        self._bury(DeadLetter(role, record, Rejected(_MISPLACED, "customer_id")), step)
        return True

    def _is_the_last(self, item: SystemMessage, at: int, record: Record | None, step: Step) -> bool:
        """Apply a tick or a contact; whether the chunk ends with it."""
        if isinstance(item, Tick):
            step.events[TICKS] += 1
            if self._is_turning_point(item, at):
                return True
            self.summary.ticked = max(self.summary.ticked, at)
            self.summary.following = _more_follows(item)
            return False
        if isinstance(item, Contact) and self._is_stray_contact(item, record, step):
            return False
        step.events[CONTACTS] += 1
        self._hear(item)
        return self._released  # the other topics have their turn again

    def _is_stray_contact(self, contact: Contact, record: Record | None, step: Step) -> bool:
        """Do as `_is_stray` does. Contacts of the desk have a number, and are where they belong."""
        if contact.sequence or self._is_placed(contact.customer_id):
            return False
        return self._is_stray(CONTACTS, record, step)

    def _may_come(self, item: SystemMessage, at: int) -> bool:
        """Whether a tick has had all that is due before it; whether what the desk tells is of a moment that has come.

        A lane that holds and reads its contacts a second time meets those of later moments too.
        """
        if isinstance(item, Tick):
            return self._advance(at)
        hold = self.summary.hold
        of_the_desk = isinstance(item, AllocationDone) or item.opening is not None
        return hold is None or at <= hold.moment or not of_the_desk

    def _is_turning_point(self, tick: Tick, at: int) -> bool:
        """Whether more happens at a tick than that time goes on; a tick that has been before is none."""
        changes = tick.version is not None and tick.version != self.summary.version
        return at > self.summary.ticked and (changes or tick.learns or tick.nominates or tick.waits or tick.complete)

    def _advance(self, at: int) -> bool:
        """Make what is due before a moment, as far as the limit goes; whether that was all."""
        self._cut = not self.partition.advance(at, max(self._decide_up_to - self.partition.decided, 1))
        return not self._cut

    def _bury(self, dead: DeadLetter, step: Step) -> None:
        step.rejected[dead.rejected.field] += 1
        outgoing = dead_letter(dead, self.topics[dead.role], self.number)
        self._outbox.append(outgoing)
        self._dead_letter_bytes += outgoing.size

    def _hear(self, message: Contact | AllocationDone) -> None:
        """Apply what the desk tells, once: it sends again after a crash what it may have sent before.

        Both the moments and the numbers of its contacts ascend. The moment comes first: the broker's clock bounds it,
        so that a number that is far too high hides no contact of a later day.
        """
        if message.sequence:
            told, summary = (_micros(message), message.sequence), self.summary
            # Version 0.1.0 stored the number alone.
            latest = told[0] if summary.desk_moment == NEVER else summary.desk_moment, summary.desk_sequence
            if told <= latest:
                return
            summary.desk_moment, summary.desk_sequence = told
        if isinstance(message, Contact):
            self._hear_contact(message)
        elif self.summary.hold is not None and _micros(message) >= self.summary.hold.moment:
            self.summary.hold.allocator = False
            self._release()

    def _hear_contact(self, contact: Contact) -> None:
        partition, at = self.partition, _micros(contact)
        if contact.opening is not None and contact.customer_id in partition.customers:
            partition.opened(outbox.alert_of(contact.opening, contact.customer_id))
        elif contact.action in ACTIONS:
            partition.worked(contact, at)
        elif contact.opening is None and contact.action is ContactAction.SENT:
            partition.contacted(contact.customer_id, contact.event_id, at)
        elif contact.action.is_unknown:
            partition.aggregator.event_counts.unknown_words.note(contact)

    def _release(self) -> None:
        hold = self.summary.hold
        if hold is not None and not hold.trainer and not hold.allocator:
            self.summary.hold = None
            self._released = True

    def _finish(self, step: Step, tick: Tick | None, model: Model) -> None:
        """Score what was applied, and do what the tick asks for, in the order of a replay."""
        if tick is None:
            self._tell(step, self.partition.finish(model), 0)
            return
        at = _micros(tick)
        # 1. Everything before the tick, with the model that was in force.
        self._tell(step, self.partition.finish(model, at - 1 if tick.complete else None), 0)
        # 2. The desk's moment; what it closes belongs to this commit.
        if tick.nominates:
            self._nominate(at)
            self._tell(step, self.partition.finish(model), 0)
        # 3. The trainer's moment.
        if tick.learns:
            moment = at - 1 if tick.complete else at
            self._outbox += outbox.labelled(self.number, [], Cohorts(), moment)
            if tick.waits:
                self.summary.hold = Hold(moment, trainer=True, allocator=False)
        # 4. From here on.
        if tick.waits and tick.nominates:
            self.summary.hold = Hold(at, trainer=tick.learns, allocator=True)
        if tick.version is not None:
            self.summary.version = tick.version
        self.summary.ticked = at
        self.summary.following = _more_follows(tick)

    def _nominate(self, at: int) -> None:
        self.partition.close_stale(at)
        nominated = self.partition.nominate(at)
        if not self._settings.opens_alerts(at):
            self._suppressed, nominated = len(nominated), []
        self._outbox += outbox.candidate_batches(self.number, at, nominated)

    def _tell(self, step: Step, effects: Effects, moment: int) -> None:
        cohorts = Cohorts()
        cohorts.note_decisions(effects.decisions)
        cohorts.note_returns(effects.returned)
        self._outbox += outbox.labelled(self.number, effects.matured, cohorts, moment)
        self._outbox += outbox.closings(self.number, effects.closed)
        step.outcomes.update((one.outcome, one.cause, segment_in(one.alert)) for one in effects.closed if one.outcome)
        # Whoever has an urgent case has complained.
        step.outcomes.update((one.outcome, one.cause, SEGMENTS[COMPLAINING]) for one in effects.ended if one.outcome)
        self._outbox += outbox.urgent_alert(self.number, effects.breaches, effects.ended)
        step.decisions += len(effects.decisions)

    def _seal(self, step: Step) -> None:
        """Make the commit of all that has changed."""
        partition, summary = self.partition, self.summary
        touched = partition.touched()
        if self._limits.scores:
            told = [(one.name, partition.ranking.latest(one.index)) for one in touched]
            known = [(name, score) for name, score in told if score == score]  # noqa: PLR0124 - NaN: no score
            self._outbox += outbox.scores(self.number, partition.stream_time, summary.version, known)
            step.scored = len(known)
        self._commits += 1
        summary.stream_time = partition.stream_time
        summary.counts = vars(partition.counts).copy()
        partition.aggregator.months.turn(partition.stream_time)
        summary.aggregator = partition.aggregator.memory
        step.event_counts = partition.aggregator.event_counts.take()
        step.opened, step.closed = partition.aggregator.event_counts.take_alerts()
        step.unknown_words = partition.aggregator.event_counts.unknown_words.take()
        step.suppressed, self._suppressed = self._suppressed, 0
        summary.shops = partition.explainer.shops.known
        step.position = Position(self.merge.positions, (partition.stream_time, self._commits))
        step.watermark = partition.stream_time - self._settings.lateness - 1
        encoded = encode_customers(touched, partition.ranking)
        step.commit = Commit(
            partition=self.number,
            base=self.base,
            position=msgspec.json.encode(step.position),
            states={one.name: state for one, state in zip(touched, encoded, strict=True)},
            summary=msgspec.json.encode(summary),
            outbox=[pack(record) for record in self._outbox],
            alerts=self.partition.take_notes(),
        )
        self.base = step.commit.position
        self._outbox, self._dead_letter_bytes = [], 0
        self._released = False


def _bytes_beside_values(records: Sequence[Record]) -> int:
    """Return what the keys and headers of records that are kept whole take in memory, roughly."""
    keys = sum(len(record.key or b"") for record in records)
    headers = [header for record in records for header in record.headers]
    return keys + sum(_HEADER_BYTES + header_bytes(header) for header in headers)


def from_the_beginning(position: bytes, role: str) -> bytes:
    """A stored position from which a topic is read from its beginning again, and all others on.

    >>> from_the_beginning(b'{"offsets": {"orders": 7, "cart": 9}, "cursor": [5, 2]}', "orders")
    b'{"offsets":{"cart":9},"cursor":[5,3]}'
    """
    found = msgspec.json.decode(position, type=Position)
    offsets = {name: offset for name, offset in found.offsets.items() if name != role}
    return msgspec.json.encode(Position(offsets, (found.cursor[0], found.cursor[1] + 1)))


def _more_follows(tick: Tick) -> bool:
    return tick.ends is not None and not tick.complete


def _micros(message: Tick | Contact | AllocationDone) -> int:
    return (message.occurred_at - EPOCH) // MICROSECOND


def _read_summary(stored: bytes) -> Summary:
    try:
        summary = msgspec.json.decode(stored, type=Summary)
    except msgspec.MsgspecError as error:
        raise UnusableState(problem=f"its summary is not ours ({error})", remedy=_REMEDY) from error
    if not is_known_schema(summary.schema):
        raise UnusableState(problem="it was written with other facts, features or experts", remedy=_REMEDY)
    summary.schema = CODEC_SCHEMA  # of what this program writes from here on
    return summary


_MISPLACED: Final = f"the customer belongs to another partition. {PLACEMENT_REMEDY}"
_REMEDY: Final = (
    "Use the version of this program that wrote it, or start on a fresh prefix and let it catch up from Kafka."
)
