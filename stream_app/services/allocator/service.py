"""The desk as a service. It stands in the store among the partitions, under a number of its own."""

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
from stream_app.adapters.kafka.last_records import last_of_the_desk
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.refusals import refusals
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.core.allocation.allocator import NUMBER, Allocator
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_candidates
from stream_app.core.messages.decoding import Record, read_internal
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.stall import Progress
from stream_app.core.units import NEVER
from stream_app.errors import CommitRefused
from stream_app.metrics import AllocatorMetrics, CommitMetrics, InputMetrics, RelayMetrics, SkippedMetrics, StoreMetrics
from stream_app.ports import Opened
from stream_app.services.runtime.faust_app import batches, make_app, make_producer, stop_producer
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.process import Crash
from stream_app.services.runtime.redis_memory import watch_memory
from stream_app.services.runtime.rollback_recovery import go_on_behind, is_behind
from stream_app.services.runtime.skipped_batches import SkippedBatches
from stream_app.services.runtime.stores import open_stores
from stream_app.services.runtime.topic_watch import TopicWatch

_log = logging.getLogger(__name__)
_INSTANCE = "desk"


class AllocatorService:
    """One agent over the nominations of all partitions.

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
        self._topic = config.kafka.topics.nominations
        self._stores = open_stores(config)
        self.topic_watch = TopicWatch(config, ["nominations"])
        self._metrics, self._commits = AllocatorMetrics(registry), CommitMetrics(registry)
        self._relays, self._store_metrics = RelayMetrics(registry), StoreMetrics(registry)
        self._skipped = SkippedBatches(SkippedMetrics(registry), "nominations", config)
        partitions = config.kafka.partitions
        self.allocator = Allocator(
            partitions, config.shop.settings(), lambda customer: partition_of(customer, partitions)
        )
        self.app = make_app(config, f"{config.kafka.group}-desk", _INSTANCE)
        self._transport = BatchingTransport.install(
            self.app, positions=self._positions, wants=self._wants, skipped=InputMetrics(registry).unreadable.inc
        )
        channel = self.app.topic(self._topic, key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name="nominations")(self._consume)
        self._batch = 0

    async def start(self) -> None:
        """Become the only desk, take up where the last one stood, and begin to consume."""
        config = self._config
        await asyncio.to_thread(require_topics, config)
        await self.topic_watch.begin()
        await self._stores.eviction.begin()
        self._epoch = await self._stores.states.claim(_INSTANCE)
        opened = await self._stores.states.open(NUMBER)
        self.topic_watch.require(await self._stores.states.keep_topics(NUMBER, self.topic_watch.ids))
        self.allocator.begin(opened.position)
        await self._catch_up(opened)
        self._producer = make_producer(config)
        with refusals("Write"):
            await self._producer.start()
        topics = config.kafka.topics.of(*INPUTS, *OUTPUTS)
        told = self._relayed, self._on_step, self._dropped
        self._relay = OutboxRelay(NUMBER, self._stores.states, self._producer, topics, *told)
        await self._relay.recover()
        self._recovered = asyncio.create_task(self._recover())
        self._memory = asyncio.create_task(watch_memory(self._stores.client, self._store_metrics))
        await self.app.start()

    async def _catch_up(self, opened: Opened) -> None:
        """Where Kafka has more of our outbox than the store knows of, the store was set back: go on behind that."""
        config, known = self._config, opened.next_sequence - 1
        told = [
            await asyncio.to_thread(last_of_the_desk, config, config.kafka.topics.contacts, number)
            for number in range(config.kafka.partitions)
        ]
        sent, contact = max(one[0] for one in told), max(one[1] for one in told)
        if not is_behind(opened, sent, "of the desk"):
            return
        # A moment that only some partitions were told of is decided anew: the same customers have the same alert ids.
        done = min(moment for _, _, moment in told)
        commit = self.allocator.recover(done, contact)
        outcome, _ = await self._stores.states.commit(commit, f"{_INSTANCE}:{self._epoch}:recover", 0)
        if not outcome.stored:
            raise CommitRefused(partition="of the desk", outcome=outcome.name.lower())
        await go_on_behind(self._stores.states, NUMBER, opened, sent, lambda _: [])
        _log.warning("the store was set back: going on behind what was told", extra={"known": known, "sent": sent})

    async def _recover(self) -> None:
        """OutboxRelay what an earlier desk decided; Kafka may refuse it for long, and then the process says so."""
        try:
            await self._relay.drain()
        except Exception as error:
            await self._crash(error)
            raise

    async def stop(self) -> None:
        """OutboxRelay what is decided, and leave."""
        await self.app.stop()
        self._recovered.cancel()
        await asyncio.wait({self._recovered})
        self._memory.cancel()
        await self._relay.close()
        await stop_producer(self._producer)
        await self._skipped.close()
        await self._stores.close()

    def report(self, health: Health) -> None:
        """See Service."""
        problem = self._stores.eviction.problem
        health.set("redis", not problem, problem)
        refused = self._relay.refused
        health.set("relayed", not refused, refused)
        self._metrics.lacking.set(len(self.allocator.lacking))
        self._relays.outbox.set(self._relay.pending)
        if self.allocator.position.moment != NEVER:
            self._metrics.through.set(self.allocator.position.moment / 1e6)
        assigned = len(self.app.consumer.assignment()) if self.app.started else 0
        wanted = self._config.kafka.partitions
        health.set("assigned", assigned == wanted, f"{assigned} of {wanted} partitions of {self._topic}")

    @property
    def progress(self) -> Progress:
        """See Service. Work waits when all partitions have told; for a slow one the workers have a watchdog."""
        lag = 0 if self.allocator.lacking else 1
        return Progress(position=self.allocator.position.moment, lag=lag, waiting=bool(self._relay.refused))

    def _wants(self, tp: TP) -> bool:
        return self.allocator.wants(tp.partition) and not self._relay.refused  # nothing is decided meanwhile

    def _relayed(self, topic: str) -> None:
        self._relays.relayed.labels(topic).inc()

    def _dropped(self, topic: str) -> None:
        self._relays.dropped.labels(topic).inc()

    async def _positions(self, tps: frozenset[Any]) -> dict[Any, int]:
        wanted = {tp: self.allocator.fetched(tp.partition) for tp in tps}
        return {tp: offset for tp, offset in wanted.items() if offset}  # the others: from what Kafka still has

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            for record in fetched.records:
                self._take(tp, record)
            await self._skipped.bury()
            moved = not self._recovered.done()  # it was not wanted meanwhile
            await asyncio.shield(self._recovered)
            while await self._decide():
                moved = True  # one after the other; each waits for its commit
            if moved:
                self._transport.wants_changed()
            yield

    def _take(self, tp: TP, record: Record) -> None:
        """A partition's list; what is none of ours is passed over."""
        told = read_internal(record, decode_candidates, self._config.worker.skew)
        if isinstance(told, Rejected):
            self._skipped.note(tp, record, told)
            self.allocator.skip(tp.partition, record.offset)
        else:
            self.allocator.push(tp.partition, record.offset, sequence_of(record.headers), told)

    async def _decide(self) -> bool:
        """One moment, and its commit; False if not all partitions have nominated yet."""
        # 1. Decide. Nothing has happened yet.
        self._on_step("decide")
        decided = self.allocator.decide()
        if decided is None:
            return False
        # 2. Commit the episodes, to be told from the outbox.
        self._on_step("commit")
        self._batch += 1
        batch = f"{_INSTANCE}:{self._epoch}:{self._batch}"
        relayed, started = self._relay.relayed, time.perf_counter()
        outcome, first = await asyncio.shield(self._stores.states.commit(decided.commit, batch, relayed))
        self._commits.duration.observe(time.perf_counter() - started)
        self._commits.outcomes.labels(outcome.name.lower()).inc()
        if not outcome.stored:
            raise CommitRefused(partition="of the desk", outcome=outcome.name.lower())
        self._on_step("committed")
        # 3. Tell the staff and the partitions.
        self._relay.noted_trim(relayed)
        self._relay.add(first, list(decided.commit.outbox))
        await self._relay.drain()
        # 4. Tell Kafka, for its displays of lag.
        for number, read in self.allocator.position.read.items():
            self._transport.done(TP(self._topic, number), read.offset)
        self._on_step("acknowledged")
        self._metrics.moments.inc()
        self._metrics.nominations.inc(decided.nominated)
        self._metrics.alerts.inc(decided.opened)
        if decided.opened:  # else the moment had been decided before
            self._metrics.suppressed.labels("capacity").inc(decided.nominated - decided.opened)
        _log.info("moment decided", extra={"nominated": decided.nominated, "opened": decided.opened})
        return True
