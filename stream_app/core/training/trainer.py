"""Trainer: collects labelled examples of all partitions and learns them day by day, as a replay does. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from stream_app.core.expert_spec import DEFAULT, ExpertSpec, is_same_list
from stream_app.core.messages.batches import LabelledBatch, LabelledExample
from stream_app.core.messages.outbox_reader import OutboxReader, ReadPosition, rewound
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Matured, Pending, repeated
from stream_app.core.model.scores import is_stored_log_odds
from stream_app.core.model.snapshot import listed_experts, restore, snapshot
from stream_app.core.settings import Settings
from stream_app.core.training.quality import Quality
from stream_app.core.units import NEVER
from stream_app.errors import UnusableSnapshot

CAPACITY: Final = Settings().capacity
_FEATURE_BYTES: Final = np.dtype(np.float16).itemsize * len(NAMES)
DAYS_AHEAD: Final = 8  # maximum number of days buffered per partition while waiting for slower partitions


class Checkpoint(msgspec.Struct, frozen=True):
    """Complete state of the trainer."""

    through: int  # everything up to this time has been learned, microseconds
    read: dict[int, ReadPosition]
    horizon: int
    churn_model: bytes = msgspec.field(name="learner")  # snapshot.snapshot
    floors: dict[int, int] = {}
    quality: bytes = b""  # Quality.stored


class Trainer(OutboxReader[LabelledBatch]):
    """Collects labelled examples from all partitions, and learns each day once all partitions have completed it.

    Args:
        churn_model: model as of the last checkpoint.
        partitions: number of partitions.
        horizon: churn horizon, microseconds.
        capacity: calls per day that the staff can make, for quality metrics.
    """

    def __init__(self, churn_model: ChurnModel, partitions: int, horizon: int, capacity: int = CAPACITY) -> None:
        super().__init__(partitions)
        self.churn_model = churn_model
        self.quality = Quality(churn_model.specs, capacity)
        self.horizon = horizon
        self.through = NEVER
        self.unfit = 0  # number of examples rejected since the start
        self.read: dict[int, ReadPosition] = dict.fromkeys(range(partitions), ReadPosition())
        self.relisted = False  # whether other experts have made the model a new version
        self._markers: dict[int, deque[int]] = {number: deque() for number in range(partitions)}
        self._floors: dict[int, int] = {}  # by resending partition: everything up to this time was learned

    def push(self, partition: int, offset: int, sequence: int, batch: LabelledBatch) -> bool:
        """Buffer a partition's batch. Return False for a duplicate."""
        fit = [one for one in batch.examples if self._fits(one)]
        unfit = len(batch.examples) - len(fit)
        if not self.receive(partition, offset, sequence, msgspec.structs.replace(batch, examples=fit)):
            return False
        self.unfit += unfit
        if batch.voids is not None:
            self._retract(partition, batch.voids)
        if batch.moment:
            self._markers[partition].append(batch.moment)
        return True

    def _fits(self, one: LabelledExample) -> bool:
        """Return whether the model can learn from an example. A single infinite value would corrupt the model."""
        if len(one.features) != _FEATURE_BYTES or not is_stored_log_odds(one.log_odds):
            return False
        return bool(np.isfinite(np.frombuffer(one.features, dtype=np.float16)).all())

    def _retract(self, partition: int, since: int) -> None:
        """Drop buffered batches that will be resent. What has already been learned is kept and not learned again."""
        self.retract(partition, since)
        *earlier, _ = self.waiting[partition]
        self._markers[partition] = deque(batch.moment for batch, _ in earlier if batch.moment)
        self._floors[partition] = self.through

    def wants(self, partition: int) -> bool:
        """Return whether to read more from a partition. One far ahead of the slowest is paused, to bound memory."""
        return len(self._markers[partition]) < DAYS_AHEAD

    @property
    def lacking(self) -> list[int]:
        """Partitions that have not yet completed the next day."""
        return [number for number, markers in self._markers.items() if not markers]

    def learn(self) -> int | None:
        """Learn the next day if all partitions have completed it. Return its end in microseconds, or None if not."""
        if self.lacking:
            return None
        moment = min(markers[0] for markers in self._markers.values())
        cohorts, examples, new = Cohorts(), list[LabelledExample](), False
        for number, markers in self._markers.items():
            if markers[0] == moment:
                markers.popleft()
                batches = list(self._take_up_to(number, moment))
                if moment > self._floors.get(number, NEVER):
                    new = True
                    for batch in batches:
                        cohorts.merge(batch)
                        examples += batch.examples
        if new and moment >= self.through:  # the end of a log may coincide with the midnight that was learned last
            self.churn_model.record_cohorts(cohorts)
            matured = self._matured(examples)
            self.churn_model.learn_day(matured, moment, cohorts.steps, cohorts.feedback)
            self.quality.add(repeated(matured))
            self.through = moment
        return moment

    def _take_up_to(self, partition: int, moment: int) -> Iterator[LabelledBatch]:
        """Remove and yield the batches of a partition up to and including a marker."""
        while True:
            batch, self.read[partition] = self.waiting[partition].popleft()
            yield batch
            if batch.moment == moment:
                return

    def _matured(self, examples: list[LabelledExample]) -> list[Matured]:
        """Return the examples in the order in which the model learns them: by (matured_at, customer)."""
        examples.sort(key=lambda one: (one.decided_at, one.customer))
        return [Matured(_pending(one), one.label, one.decided_at + self.horizon) for one in examples]

    def checkpoint(self, churn_model: bytes | None = None) -> bytes:
        """Encode the state as of the last day learned. Messages received after that will be read again.

        Args:
            churn_model: snapshot of the model, if the caller already has one.
        """
        stored = churn_model if churn_model is not None else snapshot(self.churn_model)
        checkpoint = Checkpoint(self.through, self.read, self.horizon, stored, self._floors, self.quality.stored())
        return msgspec.msgpack.encode(checkpoint)

    @classmethod
    def restored(
        cls,
        stored: bytes,
        partitions: int,
        horizon: int,
        capacity: int = CAPACITY,
        experts: Sequence[ExpertSpec] = DEFAULT,
    ) -> Trainer:
        """Restore a trainer from a checkpoint.

        If it was stored with other experts, the model with the experts given is the next version (`relisted`).

        Raises:
            UnusableSnapshot: the checkpoint is damaged, or was created with other settings.
            ContradictorySettings: an expert cannot be made.
        """
        source = "in the trainer's checkpoint"
        try:
            checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
        except msgspec.MsgspecError as error:
            remedy = "Roll back to an earlier version, or start learning again under another prefix."
            raise UnusableSnapshot(source=source, problem=f"it cannot be read ({error})", remedy=remedy) from error
        if len(checkpoint.read) != partitions or checkpoint.horizon != horizon:
            problem = f"it was learned over {len(checkpoint.read)} partitions and a horizon of {checkpoint.horizon} µs"
            remedy = "Start with these settings, or start learning again under another prefix."
            raise UnusableSnapshot(source=source, problem=problem, remedy=remedy)
        trainer = cls(restore(checkpoint.churn_model, source, experts), partitions, horizon, capacity)
        is_listed = is_same_list(listed_experts(checkpoint.churn_model, source), experts)
        trainer.relisted = trainer.churn_model.version > 0 and not is_listed
        if trainer.relisted:
            trainer.churn_model.version += 1
        trainer.quality.restore(checkpoint.quality)
        trainer.through, trainer.read = checkpoint.through, checkpoint.read
        trainer._floors = dict(checkpoint.floors)
        trainer.resume(checkpoint.read)
        return trainer


def rewind(stored: bytes) -> bytes:
    """Return a checkpoint with all partitions reset to their beginnings. Nothing is learned twice."""
    checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
    return msgspec.msgpack.encode(msgspec.structs.replace(checkpoint, read=rewound(checkpoint.read)))


def _pending(one: LabelledExample) -> Pending:
    return Pending(
        customer=one.customer,
        decided_at=one.decided_at,
        features=one.features,
        log_odds=one.log_odds,
        probability=one.probability,
        source=one.source,
        version=one.version,
        copies=one.copies,
    )
