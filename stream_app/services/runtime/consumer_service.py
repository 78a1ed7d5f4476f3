"""Base classes of the services: each runs one Faust agent, with stores, health checks and background tasks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.kafka.faust_transport import BatchingTransport
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.core.stall import Progress
from stream_app.metrics.runtime import CommitMetrics, InputMetrics, SkippedMetrics
from stream_app.ports import Outcome
from stream_app.services.runtime.crash import Crash, guarded
from stream_app.services.runtime.faust_app import make_app
from stream_app.services.runtime.skipped_records import SkippedRecords
from stream_app.services.runtime.stores import Stores
from stream_app.services.runtime.topic_watch import TopicWatch


class ConsumerService(ABC):
    """Base class of all services.

    Args:
        config: all settings.
        registry: registry of the process.
        crash: ends the process with an error.
        on_step: called before each numbered step of a commit or checkpoint; tests use it to simulate crashes.
        roles: roles of the topics to consume.
        group: consumer group.
        instance: name of this member of the group.
        transport: additional options of the transport.
    """

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None],
        *,
        roles: Sequence[str],
        group: str,
        instance: str,
        **transport: int,
    ) -> None:
        self._config, self._crash, self._on_step = config, crash, on_step
        self._stores = Stores(config)
        self.topic_watch = TopicWatch(config, roles)
        self.app = make_app(config, group, instance)
        self._transport = BatchingTransport.install(
            self.app,
            positions=self._positions,
            wants=self._wants,
            skipped=InputMetrics(registry).unreadable.inc,
            **transport,
        )
        channel = self.app.topic(*self.topic_watch.names.values(), key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name=type(self).__name__)(self._consume)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    @abstractmethod
    def progress(self) -> Progress:
        """Progress for the watchdog, which reads it from another thread."""

    def standing(self) -> Mapping[TP, int]:
        """Return the consumer's position in each partition that it is fetching."""
        return self.app.consumer.standing() if self.app.started else {}  # type: ignore[attr-defined] # BatchingConsumer

    async def start(self) -> None:
        """Check the topics and Redis, claim the store, and start consuming."""
        await asyncio.to_thread(require_topics, self._config, self._required_topics)
        await self.topic_watch.begin()
        await self._stores.eviction.check()
        self._run(self._stores.eviction.run())
        await self._begin()
        await self.app.start()

    async def stop(self) -> None:
        """Stop the background tasks and the consumer, finish pending work, and close all connections."""
        await self._stop_consumer()
        await self._finish()
        await self._stores.close()

    def report(self, health: Health) -> None:
        """Update the health checks and gauges. Called twice per second."""
        problem = self._stores.eviction.problem
        health.set("redis", not problem, problem)
        self._report(health)

    @abstractmethod
    def _report(self, health: Health) -> None:
        """Update the health checks and gauges of this service."""

    @property
    def _required_topics(self) -> Sequence[str]:
        return (*INPUTS, *OUTPUTS)

    @abstractmethod
    async def _begin(self) -> None:
        """Claim the store and load its state. Called before the service joins the consumer group."""

    @abstractmethod
    async def _finish(self) -> None:
        """Finish pending work. Called after the consumer has stopped."""

    async def _stop_consumer(self) -> None:
        await self.app.stop()
        await self._cancel_tasks()

    @abstractmethod
    async def _positions(self, tps: frozenset[TP]) -> dict[TP, int]:
        """Return the stored positions of assigned partitions. Partitions not returned are read from the beginning."""

    def _wants(self, tp: TP) -> bool:  # noqa: ARG002
        """Return whether to fetch more records from a partition."""
        return True

    @abstractmethod
    def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        """Process the agent's stream."""

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a background task until the service stops. If the task fails, the process ends."""
        task = asyncio.create_task(guarded(work, self._crash))
        self._tasks.append(task)
        return task

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class SingletonService(ConsumerService):
    """Base class of the services that run as a single process and consume all partitions of one internal topic.

    Attributes:
        name: name of the service.
        role: role of the topic.
    """

    name: ClassVar[str]
    role: ClassVar[str]

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
            roles=[self.role],
            group=f"{config.kafka.group}-{self.name}",
            instance=self.name,
        )
        self._topic = self.topic_watch.names[self.role]
        self._commits = CommitMetrics(registry)
        self._skipped = SkippedRecords(SkippedMetrics(registry), self.role, self._config)

    def _report(self, health: Health) -> None:
        assigned = len(self.app.consumer.assignment()) if self.app.started else 0
        partitions = self._config.kafka.partitions
        health.set("assigned", assigned == partitions, f"{assigned} of {partitions} partitions of {self._topic}")

    @abstractmethod
    def _position(self, partition: int) -> int:
        """Return the next offset of a partition, or 0 if nothing has been processed yet."""

    async def _positions(self, tps: frozenset[TP]) -> dict[TP, int]:
        return {tp: offset for tp in tps if (offset := self._position(tp.partition))}

    async def _finish(self) -> None:
        await self._skipped.close()

    def _require_stored(self, outcome: Outcome, seconds: float) -> None:
        """Record a commit in the metrics. Raises CommitRefused if it was not stored."""
        self._commits.record(outcome, seconds)
        outcome.require_stored(f"of the {self.name}")
