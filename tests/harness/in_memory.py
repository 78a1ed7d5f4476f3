"""The live system in memory: topics are lists, the store is a dict, and a seed drives the scheduler.

It runs the same partition tasks, trainer and allocator as the services do, in any interleaving of fetches. It may
discard a partition task at any time, as a crash does. `tests.harness.processes` has the system of real processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.core.alerts.arms import Draws
from stream_app.core.allocation.allocator import Allocator
from stream_app.core.events.schema import Event, encode
from stream_app.core.messages.alerts import AlertMessage, decode_alert
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch
from stream_app.core.messages.decoding import EVENTS, ROLES, TICKS
from stream_app.core.messages.outgoing import Outgoing, unpack
from stream_app.core.messages.schema import (
    AlertStep,
    AllocationDone,
    PolicyRecord,
    Tick,
    decode_control,
    encode_message,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import restore, snapshot
from stream_app.core.partition import outbox
from stream_app.core.partition.known_policies import KnownPolicies
from stream_app.core.partition.progress import decode_summary
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import Limits, PartitionTask, step_together
from stream_app.core.schedule import moments_between, settings_by_time, with_policies
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import EPOCH, MICROSECOND, micros
from stream_app.publish.sender import ROLES as EVENT_ROLES

APPENDED_MS = 4_102_444_800_000  # 2100: later than the events of all tests
TOPICS = {role: f"shop.{role}" for role in ROLES}


@dataclass
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass
class Topics:
    """Records of all topics and partitions."""

    partitions: int
    records: dict[tuple[str, int], list[Record]] = field(default_factory=dict)

    def of(self, role: str, partition: int) -> list[Record]:
        return self.records.setdefault((role, partition), [])

    def append(self, role: str, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        log = self.of(role, partition)
        log.append(Record(len(log), APPENDED_MS, key, value))


def tick(at: int, **fields: Any) -> bytes:
    return encode_message(Tick(occurred_at=EPOCH + at * MICROSECOND, **fields))


def publish(
    events: Sequence[Event], settings: Settings, partitions: int, policies: Sequence[PolicyRecord] = ()
) -> Topics:
    """Return topics with a log, its policies and its ticks, as written by the publisher."""
    topics = Topics(partitions)
    ticked = events[0].at
    times = [micros(one.occurred_at) for one in policies]
    for one in policies:
        topics.append("control", 0, encode_message(one))

    def tick_all(at: int, **fields: Any) -> None:
        policy = next((one.version for one in reversed(policies) if micros(one.occurred_at) <= at), "")
        for number in range(partitions):
            ends = {role: len(topics.of(role, number)) for role in EVENTS}
            topics.append("ticks", number, tick(at, ends=ends, policy=policy, **fields))

    tick_all(ticked)
    for event in events:
        moments = moments_between(ticked, event.at, settings)
        for moment in with_policies(moments, (at for at in times if ticked < at <= event.at)):
            tick_all(moment.at, learns=moment.learns, nominates=moment.nominates, waits=True)
            ticked = moment.at
        topics.append(EVENT_ROLES[type(event)], partition_of(event.customer_id, partitions), encode(event))
    tick_all(max(event.at for event in events) + 1, learns=True, waits=True, complete=True)
    return topics


@dataclass
class StoredPartition:
    position: bytes = b""
    summary: bytes = b""
    states: dict[str, bytes] = field(default_factory=dict)
    sequence: int = 0


class MemorySystem:
    """The partition tasks, the trainer and the allocator over topics.

    Args:
        topics: read and written.
        settings: the shop's settings.
        seed: of the scheduler.
        limits: of the partition tasks.
        crashes: probability of a crash at each step.
        policies: policies that are published. Their contents arrive in the store after a random time.
    """

    def __init__(
        self,
        topics: Topics,
        settings: Settings,
        seed: int = 1,
        limits: Limits | None = None,
        crashes: float = 0.0,
        policies: Sequence[PolicyRecord] = (),
    ) -> None:
        self.policies = {one.policy.version: one for _, one in settings_by_time(settings, policies)}
        self.policies |= {"": settings}
        self.topics, self.settings, self.rng = topics, settings, Random(seed)
        self.limits = limits or Limits(events=7, decisions=5)
        self.crashes = crashes
        self.stored = {number: StoredPartition() for number in range(topics.partitions)}
        self.allocator_stored = b""
        self.versions: dict[int, bytes] = {}
        self.effective: list[tuple[int, int]] = []
        self.alerts: list[AlertMessage] = []
        self.sent: list[Outgoing] = []
        self.training = Trainer(ChurnModel.of(settings), topics.partitions, settings.horizon)
        self.checkpoint = self.training.checkpoint()
        self.allocator = self._new_allocator()
        self.tasks = {number: self._new_task(number) for number in range(topics.partitions)}
        self._labelled: dict[int, list[tuple[int, bytes]]] = {number: [] for number in self.tasks}
        self._nominated: dict[int, list[tuple[int, bytes]]] = {number: [] for number in self.tasks}
        self._models = {0: ChurnModel.of(settings)}

    def _new_allocator(self) -> Allocator:
        partitions = self.topics.partitions
        return Allocator(partitions, self.settings, lambda customer: partition_of(customer, partitions))

    def _new_task(self, number: int) -> PartitionTask:
        stored = self.stored[number]
        settings = self.policies[decode_summary(stored.summary).policy if stored.summary else ""]
        task = PartitionTask(number, TOPICS, settings, self.limits, reader=complaint_reader())
        names = list(stored.states)
        self.rng.shuffle(names)
        for start in range(0, len(names), 3):
            task.restore([(name, stored.states[name]) for name in names[start : start + 3]])
        task.begin(stored.position, stored.summary)
        return task

    def run_while_publishing(self, published: Topics) -> Self:
        """Run while a log is published to the empty topics, each partition at its own random speed.

        The first tick is published before anything else.
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

    def run(self, turns: int = 1 << 62) -> Self:
        """Run until nothing changes, or for a number of turns."""
        idle = 0
        while idle < 200 and (turns := turns - 1) >= 0:
            number = self.rng.randrange(self.topics.partitions)
            if self.rng.random() < self.crashes:
                self.tasks[number] = self._new_task(number)
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
        """Step a task, alone or together with others that have the same model."""
        for task in self.tasks.values():
            if task.hold is not None and task.hold.trainer and self.training.through >= task.hold.moment:
                task.end_trainer_hold(max((v for at, v in self.effective if at <= task.hold.moment), default=0))
        version = self.tasks[number].version
        together = [one for one, task in self.tasks.items() if task.version == version and self.rng.random() < 0.5]
        numbers = {number, *together}
        steps = step_together([self.tasks[one] for one in numbers], self._model(version))
        progress = [self._commit(one, step) for one, step in zip(numbers, steps, strict=True)]
        return any(progress)

    def _commit(self, number: int, step: Step | None) -> bool:
        task, stored = self.tasks[number], self.stored[number]
        if step is None:
            return self._found(task.policies, task.policies.missing)
        if self.rng.random() < self.crashes:  # before the commit is stored
            self.tasks[number] = self._new_task(number)
            return True
        assert step.commit.base == stored.position
        stored.position, stored.summary = step.commit.position, step.commit.summary
        stored.states |= step.commit.states
        for record in step.commit.outbox:
            stored.sequence += 1
            times = 2 if self.rng.random() < self.crashes else 1  # a crash after a record was relayed
            for _ in range(times):
                self._relay(stored.sequence, unpack(record, Outgoing))
        return True

    def _found(self, policies: KnownPolicies, missing: str) -> bool:
        """Perhaps find the policy that is missing. Return whether there is one to be found."""
        found = self.policies.get(missing) if missing else None
        if found is not None and self.rng.random() < 0.3:
            policies.add(found)
        return found is not None

    def _relay(self, sequence: int, record: Outgoing) -> None:
        self.sent.append(record)
        if record.topic == "labelled":
            self._labelled[record.partition].append((sequence, record.payload))
        elif record.topic == "nominations":
            self._nominated[record.partition].append((sequence, record.payload))
        elif record.topic == "control":
            self.topics.append("control", record.partition, record.value, record.key)
        elif record.topic == "alerts":
            self.alerts.append(decode_alert(record.payload))

    def _train(self) -> bool:
        if self.rng.random() < self.crashes:
            self.training = self._restored()
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

    def _restored(self) -> Trainer:
        settings = self.settings
        return Trainer.restored(
            self.checkpoint, self.topics.partitions, settings.horizon, settings.capacity, settings.experts
        )

    def _decide(self) -> bool:
        if self.rng.random() < self.crashes:
            self.allocator = self._new_allocator()
            self.allocator.begin(self.allocator_stored)
        for number, log in self._nominated.items():
            for offset in range(self.allocator.fetched(number), len(log)):
                sequence, value = log[offset]
                self.allocator.push(number, offset, sequence, unpack(value, CandidateBatch))
        decided = self.allocator.decide()
        if decided is None:
            return bool(self.allocator.missing_policy) and self._found(
                self.allocator.policies, self.allocator.missing_policy
            )
        assert decided.commit.base == self.allocator_stored
        self.allocator_stored = decided.commit.position
        for record in decided.commit.outbox:
            self._relay(0, unpack(record, Outgoing))
        return True

    def _model(self, version: int) -> ChurnModel:
        if version not in self._models:
            self._models[version] = restore(self.versions[version], f"of version {version}", self.settings.experts)
        return self._models[version]

    def save(self) -> tuple[Any, ...]:
        """Return a snapshot of the store."""
        return deepcopy((self.stored, self.allocator_stored, self.versions, self.effective, self.checkpoint))

    def rolled_back(self, saved: tuple[Any, ...]) -> None:
        """Restore a snapshot and restart everything from it. The topics keep their records."""
        self.stored, self.allocator_stored, self.versions, self.effective, self.checkpoint = deepcopy(saved)
        for number, stored in self.stored.items():
            sent = max(
                (sequence for log in (self._labelled, self._nominated) for sequence, _ in log[number]), default=0
            )
            if sent > stored.sequence:
                known, stored.sequence = stored.sequence, sent
                for record in outbox.retractions(number, known):
                    stored.sequence += 1
                    self._relay(stored.sequence, record)
            self.tasks[number] = self._new_task(number)
        self.training = self._restored()
        self._models = {0: self._models[0]}
        self.allocator = self._new_allocator()
        self.allocator.begin(self.allocator_stored)
        messages = [
            [decode_control(record.value or b"") for record in self.topics.of("control", number)]
            for number in range(self.topics.partitions)
        ]
        done = [[m for m in of if isinstance(m, AllocationDone)] for of in messages]
        number = max(
            (m.sequence for of in messages for m in of if isinstance(m, AlertStep | AllocationDone)), default=0
        )
        last = [
            (micros(of[-1].occurred_at), Draws(of[-1].experiment, of[-1].drawn)) if of else (-1, Draws()) for of in done
        ]
        moment, draws = min(last, key=lambda one: one[0])
        self.allocator_stored = self.allocator.recover(moment, number, draws).position

    def sent_to(self, kind: str) -> list[Outgoing]:
        return [one for one in self.sent if one.topic == kind]
