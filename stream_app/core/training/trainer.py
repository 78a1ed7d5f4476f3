"""The trainer without its shell: labelled records of all partitions in, days learned in the order of a replay out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from stream_app.core.messages.batches import LabelledBatch, LabelledExample
from stream_app.core.messages.outgoing import is_duplicate
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Matured, Pending
from stream_app.core.model.snapshot import restore, snapshot
from stream_app.core.settings import Settings
from stream_app.core.training.quality import Quality
from stream_app.errors import UnusableSnapshot

NEVER: Final = -(1 << 62)
CAPACITY: Final = Settings().capacity
DAYS_AHEAD: Final = 8  # of a partition, kept in memory while a slower one is waited for


class Read(msgspec.Struct, frozen=True):
    """How far a partition's records have gone into the model."""

    offset: int = 0  # next offset to read
    sequence: int = 0  # of the last record of its outbox


class Checkpoint(msgspec.Struct, frozen=True):
    """All that the trainer needs to go on, as one value."""

    through: int  # moment up to which all has been learned, microseconds
    read: dict[int, Read]
    horizon: int
    churn_model: bytes = msgspec.field(name="learner")  # snapshot.snapshot
    floors: dict[int, int] = {}
    quality: bytes = b""  # Quality.stored


@dataclass(frozen=True)
class TrainingReport:
    """A record of a partition, with where it stood."""

    labelled: LabelledBatch
    read: Read


class Trainer:
    """Gathers what the partitions tell, and learns a day when all of them have told of it.

    Args:
        learner: as of the last checkpoint.
        partitions: how many there are.
        horizon: microseconds.
        capacity: calls that the staff can make a day, for the figures of quality.
    """

    def __init__(self, churn_model: ChurnModel, partitions: int, horizon: int, capacity: int = CAPACITY) -> None:
        self.churn_model = churn_model
        self.quality = Quality(churn_model.names, capacity)
        self.horizon = horizon
        self.through = NEVER
        self.unfit = 0  # examples that were left out, since the start
        half = np.dtype(np.float16).itemsize
        self._bytes = half * len(NAMES), half * len(churn_model.names)
        self.read: dict[int, Read] = dict.fromkeys(range(partitions), Read())
        self._waiting: dict[int, deque[TrainingReport]] = {number: deque() for number in range(partitions)}
        self._markers: dict[int, deque[int]] = {number: deque() for number in range(partitions)}
        self._heard: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self._floors: dict[int, int] = {}  # of partitions that tell again: moments up to which all has been learned
        self._next: dict[int, int] = dict.fromkeys(range(partitions), 0)

    def fetched(self, partition: int) -> int:
        """The next offset of a partition that is wanted."""
        return self._next[partition]

    def push(self, partition: int, offset: int, sequence: int, labelled: LabelledBatch) -> bool:
        """Take in a record; False if it has been told before: an outbox may send again after a crash."""
        self._next[partition] = max(self._next[partition], offset + 1)
        if is_duplicate(sequence, self._heard[partition]):
            return False
        self._heard[partition] = sequence
        labelled = self._learnable(labelled)
        if labelled.voids is not None:
            self._void(partition, labelled.voids)
        self._waiting[partition].append(TrainingReport(labelled, Read(offset + 1, sequence)))
        if labelled.moment:
            self._markers[partition].append(labelled.moment)
        return True

    def skip(self, partition: int, offset: int) -> None:
        """Pass over a record that is none of ours."""
        self._next[partition] = max(self._next[partition], offset + 1)

    def _learnable(self, labelled: LabelledBatch) -> LabelledBatch:
        """A record without the examples that this learner cannot read: one with an infinity would spoil the model."""
        fit = [one for one in labelled.examples if self._fits(one)]
        if len(fit) == len(labelled.examples):
            return labelled
        self.unfit += len(labelled.examples) - len(fit)
        return msgspec.structs.replace(labelled, examples=fit)

    def _fits(self, one: LabelledExample) -> bool:
        if (len(one.features), len(one.log_odds)) != self._bytes:
            return False
        return bool(np.isfinite(np.frombuffer(one.features + one.log_odds, dtype=np.float16)).all())

    def _void(self, partition: int, since: int) -> None:
        """Forget what waits and is told again; what has been learned of it stays learned, and is not learned twice."""
        kept = [told for told in self._waiting[partition] if told.read.sequence <= since]
        self._waiting[partition] = deque(kept)
        self._markers[partition] = deque(told.labelled.moment for told in kept if told.labelled.moment)
        self._floors[partition] = self.through

    def wants(self, partition: int) -> bool:
        """Whether more of a partition is to be read: one that is days ahead of the slowest waits in Kafka, not here."""
        return len(self._markers[partition]) < DAYS_AHEAD

    @property
    def lacking(self) -> list[int]:
        """The partitions that have not told of the next day yet."""
        return [number for number, markers in self._markers.items() if not markers]

    def learn(self) -> int | None:
        """Learn the next day that all partitions have told of; returns its moment, or None if there is none yet."""
        if self.lacking:
            return None
        moment = min(markers[0] for markers in self._markers.values())
        cohorts, examples, new = Cohorts(), list[LabelledExample](), False
        for number, markers in self._markers.items():
            if markers[0] == moment:
                markers.popleft()
                told = list(self._up_to(number, moment))
                if moment > self._floors.get(number, NEVER):
                    new = True
                    for labelled in told:
                        _note(cohorts, labelled)
                        examples += labelled.examples
        if new and moment >= self.through:  # the end of a log may lie on the midnight that was learned last
            self.churn_model.record_cohorts(cohorts)
            matured = self._matured(examples)
            self.churn_model.learn_day(matured, moment)
            self.quality.note(matured)
            self.through = moment
        return moment

    def checkpoint(self, churn_model: bytes | None = None) -> bytes:
        """All of this as bytes, as of the last day learned: what came after it will be read again.

        `churn_model`: its snapshot, if it has been taken already.
        """
        stored = churn_model if churn_model is not None else snapshot(self.churn_model)
        checkpoint = Checkpoint(
            self.through, self.read, self.horizon, stored, floors=self._floors, quality=self.quality.stored()
        )
        return msgspec.msgpack.encode(checkpoint)

    @classmethod
    def restored(cls, stored: bytes, partitions: int, horizon: int, capacity: int = CAPACITY) -> Trainer:
        """The training of a checkpoint. Raises UnusableSnapshot for one that is torn, foreign or of other settings."""
        source = "in the trainer's checkpoint"
        try:
            checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
        except msgspec.MsgspecError as error:
            remedy = "Roll back to a kept version, or learn anew under another prefix."
            raise UnusableSnapshot(source=source, problem=f"it cannot be read ({error})", remedy=remedy) from error
        if len(checkpoint.read) != partitions or checkpoint.horizon != horizon:
            problem = f"it was learned over {len(checkpoint.read)} partitions and a horizon of {checkpoint.horizon} µs"
            remedy = "Start with these settings again, or learn anew under another prefix."
            raise UnusableSnapshot(source=source, problem=problem, remedy=remedy)
        training = cls(restore(checkpoint.churn_model, source), partitions, horizon, capacity)
        training.quality.restore(checkpoint.quality)
        training.through, training.read = checkpoint.through, checkpoint.read
        training._floors = dict(checkpoint.floors)
        training._heard = {number: read.sequence for number, read in checkpoint.read.items()}
        training._next = {number: read.offset for number, read in checkpoint.read.items()}
        return training

    def _up_to(self, partition: int, moment: int) -> Iterable[LabelledBatch]:
        """The records of a partition up to and including its marker."""
        waiting = self._waiting[partition]
        while True:
            told = waiting.popleft()
            self.read[partition] = told.read
            yield told.labelled
            if told.labelled.moment == moment:
                return

    def _matured(self, examples: list[LabelledExample]) -> list[Matured]:
        """Examples as the learner takes them, in order of (matured_at, customer)."""
        examples.sort(key=lambda one: (one.decided_at, one.customer))
        return [Matured(_pending(one), one.label, one.decided_at + self.horizon) for one in examples]


def from_the_beginning(stored: bytes) -> bytes:
    """A checkpoint after which all partitions are read from their beginnings; what was learned is not learned again."""
    checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
    return msgspec.msgpack.encode(msgspec.structs.replace(checkpoint, read=unread(checkpoint.read)))


def unread(read: Mapping[int, Read]) -> dict[int, Read]:
    """The beginnings of partitions, whose outboxes go on.

    >>> unread({3: Read(offset=7, sequence=9)})
    {3: Read(offset=0, sequence=9)}
    """
    return {number: Read(0, one.sequence) for number, one in read.items()}


def _note(cohorts: Cohorts, labelled: LabelledBatch) -> None:
    told = Cohorts()
    told.expected.update(labelled.expected)
    told.returns.update({(day, age): count for day, age, count in labelled.returns})
    cohorts.merge(told)


def _pending(example: LabelledExample) -> Pending:
    pending = Pending(example.customer, example.decided_at)
    pending.features, pending.log_odds = example.features, example.log_odds
    pending.probability, pending.source, pending.version = example.probability, example.source, example.version
    return pending
