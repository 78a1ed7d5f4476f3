"""The live system without servers: topics that are lists, a store that is a dict, and a scheduler that a seed rules.

It drives the same lanes, trainer and desk as the services do, in any interleaving of fetches, and may throw a lane away
at any moment, as a crash does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.core.allocation.allocator import Allocator
from stream_app.core.events.schema import Cart, Complaint, Event, Order, encode
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch
from stream_app.core.messages.decoding import EVENTS, ROLES, TICKS
from stream_app.core.messages.outgoing import Outgoing, unpack
from stream_app.core.messages.schema import AllocationDone, Contact, Tick, decode_message, encode_message
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import restore, snapshot
from stream_app.core.partition import outbox
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.schedule import moments_between
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import EPOCH, MICROSECOND

APPENDED_MS = 4_102_444_800_000  # 2100: every log of a test lies in the broker's past
TOPICS = {role: f"shop.{role}" for role in ROLES}


@dataclass
class Rec:
    """A record as Kafka keeps it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class Topics:
    """Every partition of every topic."""

    partitions: int
    records: dict[tuple[str, int], list[Rec]] = field(default_factory=dict)

    def of(self, role: str, partition: int) -> list[Rec]:
        return self.records.setdefault((role, partition), [])

    def append(self, role: str, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        log = self.of(role, partition)
        log.append(Rec(len(log), APPENDED_MS, key, value))


def role_of(event: Event) -> str:
    if isinstance(event, Order):
        return "orders"
    if isinstance(event, Cart):
        return "cart"
    return "complaints" if isinstance(event, Complaint) else "browsing"


def tick(at: int, **fields: Any) -> bytes:
    return encode_message(Tick(occurred_at=EPOCH + at * MICROSECOND, **fields))


def publish(events: Sequence[Event], settings: Settings, partitions: int) -> Topics:
    """A whole log with the log's own ticks, as the publisher writes it."""
    topics = Topics(partitions)
    ticked = events[0].at

    def tick_all(at: int, **fields: Any) -> None:
        for number in range(partitions):
            ends = {role: len(topics.of(role, number)) for role in EVENTS}
            topics.append("ticks", number, tick(at, ends=ends, **fields))

    tick_all(ticked)
    for event in events:
        for moment in moments_between(ticked, event.at, settings):
            tick_all(moment.at, learns=moment.learns, nominates=moment.nominates, waits=True)
            ticked = moment.at
        topics.append(role_of(event), partition_of(event.customer_id, partitions), encode(event))
    tick_all(max(event.at for event in events) + 1, learns=True, waits=True, complete=True)
    return topics


@dataclass
class Stored:
    """What the store has of a partition."""

    position: bytes = b""
    summary: bytes = b""
    states: dict[str, bytes] = field(default_factory=dict)
    sequence: int = 0


class System:
    """P lanes, the trainer and the desk over topics."""

    def __init__(
        self, topics: Topics, settings: Settings, seed: int = 1, limits: Limits | None = None, crashes: float = 0.0
    ) -> None:
        self.topics, self.settings, self.rng = topics, settings, Random(seed)
        self.limits = limits or Limits(events=7, decisions=5)
        self.crashes = crashes
        self.stored = {number: Stored() for number in range(topics.partitions)}
        self.desk_stored = b""
        self.versions: dict[int, bytes] = {}
        self.effective: list[tuple[int, int]] = []
        self.alerts: list[AlertOpened | AlertClosed] = []
        self.sent: list[Outgoing] = []
        self.training = Trainer(
            ChurnModel(settings.horizon, settings.decide_every, settings.seed), topics.partitions, settings.horizon
        )
        self.checkpoint = self.training.checkpoint()
        self.allocator = Allocator(
            topics.partitions, settings, lambda customer: partition_of(customer, topics.partitions)
        )
        self.tasks = {number: self._lane(number) for number in range(topics.partitions)}
        self._labelled: dict[int, list[tuple[int, bytes]]] = {number: [] for number in self.tasks}
        self._nominated: dict[int, list[tuple[int, bytes]]] = {number: [] for number in self.tasks}
        self._models: dict[int, ChurnModel] = {0: self.training.churn_model}
        self._models[0] = ChurnModel(settings.horizon, settings.decide_every, settings.seed)

    def _lane(self, number: int) -> PartitionTask:
        stored = self.stored[number]
        task = PartitionTask(number, TOPICS, self.settings, self.limits, classify=complaint_reader())
        names = list(stored.states)
        self.rng.shuffle(names)
        for start in range(0, len(names), 3):
            task.restore([(name, stored.states[name]) for name in names[start : start + 3]])
        task.begin(stored.position, stored.summary)
        return task

    def run_beside(self, published: Topics) -> System:
        """While a log is being published, partition by partition at any speed; the topics are empty at first.

        The first tick is there before anything else is.
        """
        ahead = {place: list(log) for place, log in published.records.items()}
        for number in range(published.partitions):
            self.topics.records[TICKS, number] = [ahead[TICKS, number].pop(0)]
        for number, task in self.tasks.items():
            task.inputs.receive(TICKS, 0, self.topics.of(TICKS, number), 1, 1)
        while any(ahead.values()):
            place = self.rng.choice([place for place, log in ahead.items() if log])
            count = self.rng.randrange(1, 8)
            self.topics.of(*place).extend(ahead[place][:count])
            del ahead[place][:count]
            self.run(self.rng.randrange(4))
        return self.run()

    def run(self, turns: int = 1 << 62) -> System:
        """Until nothing moves any more, or for so many turns."""
        idle = 0
        while idle < 200 and (turns := turns - 1) >= 0:
            number = self.rng.randrange(self.topics.partitions)
            if self.rng.random() < self.crashes:
                self.tasks[number] = self._lane(number)
            self._fetch(number)
            idle = 0 if self._step(number) | self._train() | self._decide() else idle + 1
        return self

    def _fetch(self, number: int) -> None:
        task = self.tasks[number]
        for role in self.rng.sample(ROLES, len(ROLES)):
            log = self.topics.of(role, number)
            start = task.inputs.ends.get(role, 0)
            end = min(len(log), start + self.rng.randrange(6))
            if self.rng.random() < 0.9:
                task.inputs.receive(role, start, log[start:end], end, len(log))

    def _step(self, number: int) -> bool:
        task, stored = self.tasks[number], self.stored[number]
        if task.hold is not None and task.hold.trainer and self.training.through >= task.hold.moment:
            task.end_trainer_hold(max((v for at, v in self.effective if at <= task.hold.moment), default=0))
        step = task.step(self._model(task.version))
        if step is None:
            return False
        if self.rng.random() < self.crashes:  # before the commit is stored
            self.tasks[number] = self._lane(number)
            return True
        assert step.commit.base == stored.position
        stored.position, stored.summary = step.commit.position, step.commit.summary
        stored.states |= step.commit.states
        for record in step.commit.outbox:
            stored.sequence += 1
            again = 2 if self.rng.random() < self.crashes else 1  # relayed twice
            for _ in range(again):
                self._relay(stored.sequence, unpack(record, Outgoing))
        return True

    def _relay(self, sequence: int, record: Outgoing) -> None:
        self.sent.append(record)
        if record.topic == "labelled":
            self._labelled[record.partition].append((sequence, record.payload))
        elif record.topic == "nominations":
            self._nominated[record.partition].append((sequence, record.payload))
        elif record.topic == "contacts":
            self.topics.append("contacts", record.partition, record.value, record.key)
        elif record.topic == "alerts":
            self.alerts.append(msgspec.json.decode(record.payload, type=AlertOpened | AlertClosed))

    def _train(self) -> bool:
        if self.rng.random() < self.crashes:
            self.training = Trainer.restored(self.checkpoint, self.topics.partitions, self.settings.horizon)
        for number, log in self._labelled.items():
            for offset in range(self.training.fetched(number), len(log)):
                sequence, value = log[offset]
                self.training.push(number, offset, sequence, unpack(value, LabelledBatch))
        version = self.training.churn_model.version
        moment = self.training.learn()
        if moment is None:
            return False
        self.checkpoint = self.training.checkpoint()
        if self.training.churn_model.version != version:
            self.versions[self.training.churn_model.version] = snapshot(self.training.churn_model)
            self.effective.append((moment, self.training.churn_model.version))
        return True

    def _decide(self) -> bool:
        if self.rng.random() < self.crashes:
            self.allocator = Allocator(
                self.topics.partitions,
                self.settings,
                lambda customer: partition_of(customer, self.topics.partitions),
            )
            self.allocator.begin(self.desk_stored)
        for number, log in self._nominated.items():
            for offset in range(self.allocator.fetched(number), len(log)):
                sequence, value = log[offset]
                self.allocator.push(number, offset, sequence, unpack(value, CandidateBatch))
        decided = self.allocator.decide()
        if decided is None:
            return False
        assert decided.commit.base == self.desk_stored
        self.desk_stored = decided.commit.position
        for record in decided.commit.outbox:
            self._relay(0, unpack(record, Outgoing))
        return True

    def _model(self, version: int) -> ChurnModel:
        if version not in self._models:
            self._models[version] = restore(self.versions[version])
        return self._models[version]

    def save(self) -> tuple[Any, ...]:
        """All that a Redis holds, as a file of it would."""
        return deepcopy((self.stored, self.desk_stored, self.versions, self.effective, self.checkpoint))

    def rolled_back(self, saved: tuple[Any, ...]) -> None:
        """Redis is set back to a file, and everything starts from it; Kafka keeps what it has."""
        self.stored, self.desk_stored, self.versions, self.effective, self.checkpoint = deepcopy(saved)
        for number, stored in self.stored.items():
            sent = max(
                (sequence for log in (self._labelled, self._nominated) for sequence, _ in log[number]), default=0
            )
            if sent > stored.sequence:
                known, stored.sequence = stored.sequence, sent
                for record in outbox.retractions(number, known):
                    stored.sequence += 1
                    self._relay(stored.sequence, record)
            self.tasks[number] = self._lane(number)
        self.training = Trainer.restored(self.checkpoint, self.topics.partitions, self.settings.horizon)
        self._models = {0: self._models[0]}
        self.allocator = Allocator(
            self.topics.partitions, self.settings, lambda one: partition_of(one, self.topics.partitions)
        )
        self.allocator.begin(self.desk_stored)
        told = [
            [decode_message(record.value or b"") for record in self.topics.of("contacts", number)]
            for number in range(self.topics.partitions)
        ]
        done = [[(m.occurred_at - EPOCH) // MICROSECOND for m in of if isinstance(m, AllocationDone)] for of in told]
        contact = max((m.sequence for of in told for m in of if isinstance(m, Contact | AllocationDone)), default=0)
        self.desk_stored = self.allocator.recover(min(max(of, default=-1) for of in done), contact).position

    def told(self, kind: str) -> Iterable[Outgoing]:
        """All that was sent to a topic."""
        return [one for one in self.sent if one.topic == kind]
