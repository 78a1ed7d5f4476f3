"""Worker service: one Faust agent over the co-partitioned topics, which feeds the partition tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Final

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.kafka.last_records import last_sequence
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.core.messages.decoding import ROLES
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.stall import Progress
from stream_app.core.units import MILLISECOND_US, SECOND_US
from stream_app.services.runtime.consumer_service import ConsumerService
from stream_app.services.runtime.crash import Crash
from stream_app.services.runtime.expert_check import require_experts
from stream_app.services.runtime.faust_app import batches
from stream_app.services.runtime.policy_versions import PolicyVersions
from stream_app.services.runtime.producer import start_producer, stop_producer
from stream_app.services.worker.model_versions import ModelVersions
from stream_app.services.worker.partition_tasks import PartitionTasks
from stream_app.services.worker.step_queue import StepQueue
from stream_app.services.worker.task_runner import RunnerContext
from stream_app.services.worker.ticker import Ticker
from stream_app.services.worker.worker_metrics import WorkerMonitor

TOLERATED_TOO_LATE: Final = 0.01  # share of the events within a few minutes
FEW_TOO_LATE: Final = 10  # fewer events than this show no trend
_TOO_LATE: Final = (
    "{too_late:,} of the last {events:,} events exceed shop.lateness and are applied out of order. Check"
    " whether a past log is being published while ticks.clock is `wall`, and whether a topic lags behind"
)
_MISSING_POLICY: Final = (
    "ticks name the contact policy {}, which is not in Redis: publish its file again (`stream-app policy publish`)"
)


class WorkerService(ConsumerService):
    """Consumes the co-partitioned topics and feeds the partition tasks."""

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(
            config,
            registry,
            crash,
            on_step,
            roles=ROLES,
            group=config.kafka.group,
            instance=config.worker.instance,
            fetch_max_wait_ms=config.kafka.fetch_max_wait // MILLISECOND_US,
            fetch_min_bytes=config.kafka.fetch_min_bytes,
            max_partition_fetch_bytes=config.kafka.fetch_partition_bytes,
        )
        config.model.keys()  # fail at startup rather than at the first version
        require_experts(config.settings())
        self.watch = WorkerMonitor(registry)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self._reported = time.monotonic()
        self._progress = Progress(position=0, lag=0)
        self.tasks: PartitionTasks

    async def _begin(self) -> None:
        config, stores = self._config, self._stores
        # Before joining the group: the assignment may come from an earlier process and lack a recreated topic.
        numbers, ids = range(config.kafka.partitions), self.topic_watch.ids
        for stored in await asyncio.gather(*(stores.states.keep_topics(number, ids) for number in numbers)):
            self.topic_watch.require(stored)
        epoch = await stores.states.claim(config.worker.instance)
        self._producer = await start_producer(config)
        settings = config.settings()
        self._models, policies = ModelVersions(stores.models, settings), PolicyVersions(stores.policies, settings)
        await self._models.check()
        context = RunnerContext(
            store=stores.states,
            model_store=stores.models,
            models=self._models,
            policies=policies,
            topics=config.kafka.topics.of(*INPUTS, *OUTPUTS),
            instance=f"{config.worker.instance}:{epoch}",
            watch=self.watch,
            crash=self._crash,
            done=self._transport.done,
            wants_changed=self._transport.wants_changed,
            on_step=self._on_step,
            steps=StepQueue(config.worker.batch_events),
        )
        self.tasks = PartitionTasks(
            context,
            producer=self._producer,
            partition_of=lambda customer: partition_of(customer, config.kafka.partitions),
            limits=Limits(
                events=config.worker.batch_events,
                decisions=config.worker.decisions_chunk,
                skew=config.worker.skew,
                scores=config.worker.publish_scores,
                dead_letter_misplaced=config.kafka.misplaced == "dead_letter",
                follows=config.ticks.clock == "log",
            ),
            buffer_bytes=config.worker.buffer_bytes,
            topic_watch=self.topic_watch,
            last_sent=lambda number: asyncio.to_thread(last_sequence, config, number),
        )
        self._ticker = Ticker(
            lease=stores.lease,
            models=stores.models,
            policies=stores.policies,
            producer=self._producer,
            topic=config.kafka.topics.ticks,
            control=config.kafka.topics.control,
            partitions=config.kafka.partitions,
            settings=settings,
            holder=config.worker.instance,
            every=config.ticks.every,
            ttl=config.ticks.lease_ttl,
        )
        if config.ticks.clock == "wall":
            self._run(self._ticker.run())
        self._run(self.watch.business.run(lambda: self.tasks.tasks))

    async def _stop_consumer(self) -> None:
        await self._cancel_tasks()
        await self.tasks.close()
        await self.app.stop()

    async def _finish(self) -> None:
        await stop_producer(self._producer)

    def _report(self, health: Health) -> None:
        now = time.monotonic()
        tasks, refused = self.tasks.tasks, self.tasks.refused
        self.watch.gather(tasks, self.tasks.pending, now - self._reported, self._models.effective_at)
        self.watch.worker.clock_owner.set(self._ticker.owner)
        self._reported = now
        # A task whose records Kafka rejects waits for its topic to be fixed.
        self._progress = self._progress_of([task for number, task in tasks.items() if number not in refused])
        problem = next(iter(refused.values()), "") or self._ticker.refused
        health.set("relayed", not problem, problem)
        self._report_delays(health, tasks.values())
        placement = self.watch.placement
        health.set("placed", placement.ready, placement.problem(self._config.kafka.topics.of(*ROLES)))
        health.set("assigned", bool(tasks), "no partition is assigned" if not tasks else "")

    def _report_delays(self, health: Health, tasks: Collection[PartitionTask]) -> None:
        limit = self._config.worker.fall_behind / SECOND_US
        held, behind = max(self.watch.held.values(), default=0.0), _seconds_behind(tasks)
        missing = sorted({task.hold.waits_for for task in tasks if task.hold is not None})
        reason = f"waiting for the {' and the '.join(missing)} for {held:.0f} s: check that they are running"
        health.set("answered", held <= limit, reason if held > limit else "")
        unknown = sorted({task.policies.missing for task in tasks} - {""})
        health.set("policy", not unknown, _MISSING_POLICY.format(", ".join(unknown)) if unknown else "")
        reason = f"the oldest waiting event arrived {behind:.0f} s ago"
        health.set("fresh", behind <= limit, reason if behind > limit else "")
        events, too_late = self.watch.recent.counts
        in_time = too_late <= max(TOLERATED_TOO_LATE * events, FEW_TOO_LATE)
        health.set("in_time", in_time, "" if in_time else _TOO_LATE.format(too_late=too_late, events=events))

    @property
    def progress(self) -> Progress:
        """See ConsumerService. The value dates from the last report, because another thread reads it."""
        return self._progress

    def _progress_of(self, tasks: Sequence[PartitionTask]) -> Progress:
        """Return the progress of the tasks that wait for no other process and no policy."""
        moving = [
            task
            for task in tasks
            if task.hold is None and not task.inputs.waiting_for_promised and not task.policies.missing
        ]
        lags = [lag for task in moving for lag in task.inputs.lags.values()]
        return Progress(
            position=tuple(task.base for task in moving),
            lag=None if None in lags else sum(lag or 0 for lag in lags),
            waiting=not moving,
        )

    def _wants(self, tp: TP) -> bool:
        return self.tasks.wants(tp)

    async def _positions(self, tps: frozenset[TP]) -> dict[TP, int]:
        return await self.tasks.positions(tps)

    async def _on_revoked(self, *_: object, **__: object) -> None:
        await self.tasks.pause()

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            self.tasks.take(tp, fetched)
            yield


def _seconds_behind(tasks: Collection[PartitionTask]) -> float:
    """Return how long the oldest event has been waiting, excluding tasks that wait for a publisher."""
    since = [
        task.inputs.waiting_since
        for task in tasks
        if not task.inputs.waiting_for_promised and task.inputs.waiting_since
    ]
    return max(time.time() - min(since) / 1e3, 0.0) if since else 0.0
