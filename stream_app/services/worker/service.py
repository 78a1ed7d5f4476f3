"""The worker as a service: one Faust agent over the topics of its partition numbers, feeding their lanes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.kafka.faust_transport import BatchingTransport
from stream_app.adapters.kafka.last_records import last_sequence
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.refusals import refusals
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.config.fields import SECOND_US
from stream_app.core.messages.decoding import ROLES
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.stall import Progress
from stream_app.metrics import InputMetrics
from stream_app.services.runtime.faust_app import batches, make_app, make_producer, stop_producer
from stream_app.services.runtime.process import Crash
from stream_app.services.runtime.stores import open_stores
from stream_app.services.runtime.topic_watch import TopicWatch
from stream_app.services.worker.partition_tasks import PartitionTasks
from stream_app.services.worker.ticker import Ticker
from stream_app.services.worker.worker_metrics import WorkerMonitor

_log = logging.getLogger(__name__)
MILLISECOND_US: Final = 1_000
TOLERATED_TOO_LATE: Final = 0.01  # of the events of some minutes
FEW_TOO_LATE: Final = 10  # are no trend
_TOO_LATE: Final = (
    "{too_late:,} of the latest {events:,} events lie further behind their partition's time than shop.lateness, so"
    " their order no longer counts: is a log of the past written beside the wall clock (ticks.clock), or does a topic"
    " lag?"
)


class WorkerService:
    """See module.

    Args:
        config: all settings.
        registry: for the metrics.
        crash: ends the process.
        on_step: told before each numbered step of a commit; for tests that crash there.
    """

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config, self._crash, self._on_step = config, crash, on_step
        self._stores = open_stores(config)
        config.model.keys()  # without a key it must not start, rather than end with the first version
        self.watch = WorkerMonitor(registry)
        self.topic_watch = TopicWatch(config, ROLES)
        self.app = make_app(config, config.kafka.group, config.worker.instance)
        self._transport = BatchingTransport.install(
            self.app,
            positions=self._positions,
            wants=self._wants,
            fetch_max_wait_ms=config.kafka.fetch_max_wait // MILLISECOND_US,
            fetch_min_bytes=config.kafka.fetch_min_bytes,
            max_partition_fetch_bytes=config.kafka.fetch_partition_bytes,
            skipped=InputMetrics(registry).unreadable.inc,
        )
        self.app.on_partitions_revoked.connect(self._on_revoked)
        topics = config.kafka.topics.of(*ROLES)
        channel = self.app.topic(*topics.values(), key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name="lanes")(self._consume)
        self._tasks: list[asyncio.Task[None]] = []
        self._reported = time.monotonic()
        self._progress = Progress(position=0, lag=0)
        self.tasks: PartitionTasks

    async def start(self) -> None:
        """Check the topics, claim an epoch, and begin to consume."""
        config = self._config
        await asyncio.to_thread(require_topics, config)
        await self.topic_watch.begin()
        for number in range(config.kafka.partitions):
            # Before the group is joined, which may return the assignment of an earlier process, without the topic.
            self.topic_watch.require(await self._stores.states.keep_topics(number, self.topic_watch.ids))
        await self._stores.eviction.begin()
        epoch = await self._stores.states.claim(config.worker.instance)
        self._producer = make_producer(config)
        with refusals("Write"):
            await self._producer.start()
        self.tasks = PartitionTasks(
            store=self._stores.states,
            model_store=self._stores.models,
            producer=self._producer,
            topics=config.kafka.topics.of(*INPUTS, *OUTPUTS),
            settings=config.shop.settings(),
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
            instance=f"{config.worker.instance}:{epoch}",
            watch=self.watch,
            crash=self._crash,
            topic_watch=self.topic_watch,
            last_sent=self._last_sent,
            done=self._transport.done,
            wants_changed=self._transport.wants_changed,
            on_step=self._on_step,
        )
        self._ticker = self._make_ticker()
        if config.ticks.clock == "wall":
            self._tasks.append(asyncio.create_task(self._guarded(self._ticker.run())))
        self._tasks.append(asyncio.create_task(self._guarded(self.watch.business.run(lambda: self.tasks.tasks))))
        await self.app.start()

    async def stop(self) -> None:
        """Finish the batch under way, relay what is stored, and leave the group."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.tasks.close()
        await self.app.stop()
        await stop_producer(self._producer)
        await self._stores.close()

    def report(self, health: Health) -> None:
        """See Service."""
        problem = self._stores.eviction.problem
        health.set("redis", not problem, problem)
        now = time.monotonic()
        tasks = self.tasks.tasks
        self.watch.gather(tasks, self.tasks.pending, now - self._reported, self.tasks.effective_at)
        self.watch.worker.clock_owner.set(self._ticker.owner)
        self._reported = now
        refused = self.tasks.refused
        # Whose outbox Kafka refuses waits for whoever mends the topic.
        self._progress = self._progress_of([task for number, task in tasks.items() if number not in refused])
        told = next(iter(refused.values()), "") or self._ticker.refused
        health.set("relayed", not told, told)
        behind = self._seconds_behind()
        limit = self._config.worker.fall_behind / SECOND_US
        held = self.watch.longest_hold
        missing = sorted({task.hold.waits_for for task in tasks.values() if task.hold is not None})
        silent = f"no answer from the {' and the '.join(missing)} for {held:.0f} s: do they run?"
        health.set("answered", held <= limit, silent if held > limit else "")
        health.set(
            "fresh", behind <= limit, f"the oldest waiting event came {behind:.0f} s ago" if behind > limit else ""
        )
        placement = self.watch.placement
        health.set("placed", placement.ready, placement.told(self._config.kafka.topics.of(*ROLES)))
        health.set("assigned", bool(tasks), "no partition is assigned" if not tasks else "")
        events, too_late = self.watch.recent.events, self.watch.recent.too_late
        in_time = too_late <= max(TOLERATED_TOO_LATE * events, FEW_TOO_LATE)
        health.set("in_time", in_time, "" if in_time else _TOO_LATE.format(too_late=too_late, events=events))

    def _seconds_behind(self) -> float:
        """How long the oldest event has been waiting, of those that do not wait for a publisher."""
        tasks = [task for task in self.tasks.tasks.values() if not task.inputs.waiting_for_promised]
        since = [task.inputs.waiting_since for task in tasks if task.inputs.waiting_since]
        return max(time.time() - min(since) / 1e3, 0.0) if since else 0.0

    @property
    def progress(self) -> Progress:
        """See Service; as of the last report, since it is read from another thread."""
        return self._progress

    def _progress_of(self, tasks: Sequence[PartitionTask]) -> Progress:
        """Of the lanes that don't wait for trainer, desk or publisher."""
        moving = [task for task in tasks if task.hold is None and not task.inputs.waiting_for_promised]
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

    async def _last_sent(self, number: int) -> int:
        return await asyncio.to_thread(last_sequence, self._config, number)

    async def _on_revoked(self, *_: object, **__: object) -> None:
        await self.tasks.pause()

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            self.tasks.take(tp, fetched)
            yield

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            await self._crash(error)

    def _make_ticker(self) -> Ticker:
        config = self._config
        return Ticker(
            lease=self._stores.lease,
            models=self._stores.models,
            producer=self._producer,
            topic=config.kafka.topics.ticks,
            partitions=config.kafka.partitions,
            settings=config.shop.settings(),
            holder=config.worker.instance,
            every=config.ticks.every,
            ttl=config.ticks.lease_ttl,
        )
