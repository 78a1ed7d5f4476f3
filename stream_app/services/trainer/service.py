"""The trainer as a service."""

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
from stream_app.adapters.kafka.faust_transport import BatchingTransport
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import LiveConfig
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_labelled
from stream_app.core.messages.decoding import Record, read_internal
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint, snapshot
from stream_app.core.stall import Progress
from stream_app.core.training.trainer import Trainer
from stream_app.core.units import NEVER
from stream_app.errors import CommitRefused
from stream_app.metrics import CommitMetrics, InputMetrics, QualityMetrics, SkippedMetrics, TrainerMetrics
from stream_app.ports import ModelVersion
from stream_app.services.runtime.faust_app import batches, make_app
from stream_app.services.runtime.process import Crash
from stream_app.services.runtime.skipped_batches import SkippedBatches
from stream_app.services.runtime.stores import open_stores
from stream_app.services.runtime.topic_watch import TopicWatch
from stream_app.services.trainer.quality_watch import QualityWatch

_log = logging.getLogger(__name__)


class TrainerService:
    """One agent over the labelled examples of all partitions.

    Args:
        config: all settings.
        registry: for the metrics.
        crash: ends the process.
        on_step: told before each numbered step of a checkpoint; for tests that crash there.
    """

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config, self._crash, self._on_step = config, crash, on_step
        self._topic = config.kafka.topics.labelled
        self._settings = config.shop.settings()
        self._stores = open_stores(config)
        self.topic_watch = TopicWatch(config, ["labelled"])
        config.model.keys()  # without a key it must not start, rather than end with the first version
        self._metrics, self._commits = TrainerMetrics(registry), CommitMetrics(registry)
        self._quality = QualityWatch(QualityMetrics(registry))
        self._skipped = SkippedBatches(SkippedMetrics(registry), "labelled", config)
        self._number = 0  # of the last checkpoint
        self.app = make_app(config, f"{config.kafka.group}-trainer", "trainer")
        self._transport = BatchingTransport.install(
            self.app, positions=self._positions, wants=self._wants, skipped=InputMetrics(registry).unreadable.inc
        )
        channel = self.app.topic(self._topic, key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name="labelled")(self._consume)
        self.training: Trainer

    async def start(self) -> None:
        """Become the only trainer, take up the last checkpoint, and begin to consume."""
        await asyncio.to_thread(require_topics, self._config, ["labelled"])
        await self.topic_watch.begin()
        await self._stores.eviction.begin()
        await self._stores.models.claim("trainer")
        self.topic_watch.require(await self._stores.models.keep_topics(self.topic_watch.ids))
        await self._recall()
        await self.app.start()

    async def stop(self) -> None:
        """A checkpoint is stored after every day that was learned: there is nothing to finish."""
        await self.app.stop()
        await self._skipped.close()
        await self._stores.close()

    def report(self, health: Health) -> None:
        """See Service."""
        problem = self._stores.eviction.problem
        health.set("redis", not problem, problem)
        self._metrics.lacking.set(len(self.training.lacking))
        if self.training.through != NEVER:
            self._metrics.through.set(self.training.through / 1e6)
        self._metrics.version.set(self.training.churn_model.version)
        self._quality.look(self.training)
        assigned = len(self.app.consumer.assignment()) if self.app.started else 0
        wanted = self._config.kafka.partitions
        health.set("assigned", assigned == wanted, f"{assigned} of {wanted} partitions of {self._topic}")

    @property
    def progress(self) -> Progress:
        """See Service. Work waits when all partitions have told; for a slow one the workers have a watchdog."""
        return Progress(position=self.training.through, lag=0 if self.training.lacking else 1)

    def _wants(self, tp: TP) -> bool:
        return self.training.wants(tp.partition)

    async def _recall(self) -> None:
        settings, partitions = self._settings, self._config.kafka.partitions
        latest = await self._stores.models.latest()
        if latest is None:
            churn_model = ChurnModel(settings.horizon, settings.decide_every, settings.seed)
            self.training = Trainer(churn_model, partitions, settings.horizon, settings.capacity)
        else:
            self._number = latest[0]
            self.training = Trainer.restored(latest[1], partitions, settings.horizon, settings.capacity)
        _log.info("model recalled", extra={"version": self.training.churn_model.version, "checkpoint": self._number})

    async def _positions(self, tps: frozenset[Any]) -> dict[Any, int]:
        # What was pushed and is not learned yet is in memory still.
        wanted = {tp: self.training.fetched(tp.partition) for tp in tps}
        return {tp: offset for tp, offset in wanted.items() if offset}  # the others: from what Kafka still has

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            for record in fetched.records:
                self._take(tp, record)
            await self._skipped.bury()
            moved = False
            while await self._learn():
                moved = True  # one after the other; each waits for its commit
            if moved:
                self._transport.wants_changed()
            yield

    def _take(self, tp: TP, record: Record) -> None:
        """A partition's record; what is none of ours is passed over."""
        told = read_internal(record, decode_labelled, self._config.worker.skew)
        if isinstance(told, Rejected):
            self._skipped.note(tp, record, told)
            self.training.skip(tp.partition, record.offset)
            return
        unfit = self.training.unfit
        self.training.push(tp.partition, record.offset, sequence_of(record.headers), told)
        if self.training.unfit > unfit:
            problem = f"{self.training.unfit - unfit} examples that this model cannot read"
            self._skipped.note(tp, record, Rejected(problem, "examples"))

    async def _learn(self) -> bool:
        """One day, and its checkpoint; False if not all partitions have told of it yet."""
        churn_model = self.training.churn_model
        before, examples = churn_model.version, churn_model.examples
        # 1. Learn. Nothing has happened yet.
        self._on_step("learn")
        moment = self.training.learn()
        if moment is None:
            return False
        # 2. Store where it stands, the model and its new version, at once.
        self._on_step("checkpoint")
        await asyncio.shield(self._checkpoint(moment, churn_model.version != before))
        self._on_step("checkpointed")
        # 3. Tell Kafka, for its displays of lag.
        for number, read in self.training.read.items():
            self._transport.done(TP(self._topic, number), read.offset)
        self._on_step("acknowledged")
        self._metrics.moments.inc()
        self._metrics.examples.inc(churn_model.examples - examples)
        return True

    async def _checkpoint(self, moment: int, changed: bool) -> None:
        started = time.perf_counter()
        churn_model, stored = self.training.churn_model, snapshot(self.training.churn_model)
        version = ModelVersion(
            number=churn_model.version,
            effective_at=moment,
            fingerprint=fingerprint(churn_model),
            examples=churn_model.examples,
            stored_bytes=len(stored),
            shares=churn_model.shares(),
            created_at=time.time_ns() // 1_000,
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
        self._commits.duration.observe(time.perf_counter() - started)
        self._commits.outcomes.labels(outcome.name.lower()).inc()
        if not outcome.stored:
            raise CommitRefused(partition="of the trainer", outcome=outcome.name.lower())
        self._number += 1
        self._metrics.checkpoint_bytes.set(len(checkpoint))
        self._metrics.checkpoint_duration.observe(time.perf_counter() - started)
