"""Trainer service: learns from labelled examples one day at a time and stores a checkpoint after each day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.config import LiveConfig
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_labelled
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.decoding import read_internal
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint, snapshot
from stream_app.core.stall import Progress
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import NEVER, SECOND_US
from stream_app.metrics.trainer import QualityMetrics, TrainerMetrics
from stream_app.ports import ModelVersion
from stream_app.services.runtime.consumer_service import SingletonService
from stream_app.services.runtime.crash import Crash
from stream_app.services.runtime.expert_check import require_experts
from stream_app.services.runtime.faust_app import batches
from stream_app.services.runtime.wall_clock import now_us
from stream_app.services.trainer.quality_publisher import QualityPublisher

_log = logging.getLogger(__name__)


class TrainerService(SingletonService):
    """Consumes the labelled examples of all partitions and trains the model."""

    name = "trainer"
    role = "labelled"

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(config, registry, crash, on_step)
        config.model.keys()  # fail at startup rather than at the first version
        self._settings = config.settings()
        require_experts(self._settings)
        self._metrics = TrainerMetrics(registry)
        self._quality = QualityPublisher(QualityMetrics(registry))
        self._number = 0  # of the last checkpoint
        self.training: Trainer

    @property
    def _required_topics(self) -> list[str]:
        return ["labelled"]

    async def _begin(self) -> None:
        await self._stores.models.claim(self.name)
        self.topic_watch.require(await self._stores.models.keep_topics(self.topic_watch.ids))
        settings, partitions = self._settings, self._config.kafka.partitions
        latest = await self._stores.models.latest()
        if latest is None:
            self.training = Trainer(ChurnModel.of(settings), partitions, settings.horizon, settings.capacity)
        else:
            self._number = latest[0]
            self.training = Trainer.restored(
                latest[1], partitions, settings.horizon, settings.capacity, settings.experts
            )
            self.training.churn_model.track_lost(settings)
            if self.training.relisted:
                # At once, since workers with the new list do not start beside a newest version with the old one.
                await self._checkpoint(self.training.through, changed=True)
        version = self.training.churn_model.version
        _log.info("Checkpoint restored", extra={"version": version, "checkpoint": self._number})

    def _report(self, health: Health) -> None:
        super()._report(health)
        self._metrics.missing.set(len(self.training.lacking))
        if self.training.through != NEVER:
            self._metrics.last_round.set(self.training.through / SECOND_US)
        self._metrics.version.set(self.training.churn_model.version)
        self._quality.update(self.training)

    @property
    def progress(self) -> Progress:
        """See ConsumerService. The lag is 0 until all partitions have reached the next round."""
        return Progress(position=self.training.through, lag=0 if self.training.lacking else 1)

    def _wants(self, tp: TP) -> bool:
        return self.training.wants(tp.partition)

    def _position(self, partition: int) -> int:
        return self.training.fetched(partition)  # includes records waiting in memory

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            for record in fetched.records:
                self._take(tp, record)
            await self._skipped.write_dead_letters()
            moved = False
            while await self._learn():
                moved = True
            if moved:
                self._transport.wants_changed()
            yield

    def _take(self, tp: TP, record: Record) -> None:
        message = read_internal(record, decode_labelled, self._config.worker.skew)
        if isinstance(message, Rejected):
            self._skipped.add(tp, record, message)
            self.training.skip(tp.partition, record.offset)
            return
        unfit = self.training.unfit
        self.training.push(tp.partition, record.offset, sequence_of(record.headers), message)
        if self.training.unfit > unfit:
            problem = f"{self.training.unfit - unfit} examples that this model cannot read"
            self._skipped.add(tp, record, Rejected(problem, "examples"))

    async def _learn(self) -> bool:
        """Learn from one day and store a checkpoint. Return False if a partition has not completed the day yet."""
        churn_model = self.training.churn_model
        before, examples = churn_model.version, churn_model.examples
        # 1. Learn, in memory only.
        self._on_step("learn")
        moment = self.training.learn()
        if moment is None:
            return False
        # 2. Store the position, the model and the new version atomically.
        self._on_step("checkpoint")
        await asyncio.shield(self._checkpoint(moment, changed=churn_model.version != before))
        self._on_step("checkpointed")
        # 3. Commit the offsets to Kafka, for display of the lag only.
        for number, read in self.training.read.items():
            self._transport.done(TP(self._topic, number), read.offset)
        self._on_step("acknowledged")
        self._metrics.rounds.inc()
        self._metrics.examples.inc(churn_model.examples - examples)
        return True

    async def _checkpoint(self, moment: int, *, changed: bool) -> None:
        started = time.perf_counter()
        churn_model, stored = self.training.churn_model, snapshot(self.training.churn_model)
        version = ModelVersion(
            number=churn_model.version,
            effective_at=moment,
            fingerprint=fingerprint(churn_model),
            examples=churn_model.examples,
            stored_bytes=len(stored),
            shares=churn_model.shares(),
            created_at=now_us(),
        )
        checkpoint = self.training.checkpoint(stored)
        outcome = await self._stores.models.checkpoint(
            base=self._number,
            number=self._number + 1,
            checkpoint=checkpoint,
            through=self.training.through,
            version=version if changed else None,
            snapshot=stored if changed else None,
        )
        seconds = time.perf_counter() - started
        self._require_stored(outcome, seconds)
        self._number += 1
        self._metrics.checkpoint_bytes.set(len(checkpoint))
        self._metrics.checkpoint_duration.observe(seconds)
