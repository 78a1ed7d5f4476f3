"""Allocator service. The store treats it like another partition, with its own number."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from faust.types import StreamT
from faust.types.tuples import TP
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health
from stream_app.adapters.kafka.last_records import last_of_allocator
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import INPUTS, OUTPUTS, LiveConfig
from stream_app.core.alerts.lifecycle import QUOTA
from stream_app.core.allocation.allocator import NUMBER, Allocator
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_candidates
from stream_app.core.messages.dead_letters import Record
from stream_app.core.messages.decoding import read_internal
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.stall import Progress
from stream_app.core.units import NEVER, SECOND_US
from stream_app.core.uplift.holdout import HELD_OUT
from stream_app.metrics.allocator import AllocatorMetrics
from stream_app.metrics.labels import CAPACITY
from stream_app.metrics.runtime import RedisMetrics, RelayMetrics
from stream_app.ports import Opened
from stream_app.services.runtime.consumer_service import SingletonService
from stream_app.services.runtime.crash import Crash
from stream_app.services.runtime.faust_app import batches
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.policy_versions import POLL_SECONDS, PolicyVersions
from stream_app.services.runtime.producer import start_producer, stop_producer
from stream_app.services.runtime.redis_memory import watch_memory
from stream_app.services.runtime.rollback_recovery import is_behind, skip_sent

_log = logging.getLogger(__name__)
_INSTANCE: Final = "desk"  # name used in the store since 0.1; keeping it fences off a 0.1 process that is still running
_MISSING_POLICY: Final = (
    "partitions apply the contact policy {}, which is neither that of this process nor in Redis: give all services the"
    " same file, or publish it (`stream-app policy publish`)"
)
_DIFFERING: Final = "Partitions apply different contact policies: give all workers the same file, or publish it"


class AllocatorService(SingletonService):
    """Consumes the alert candidates of all partitions and opens alerts."""

    name = "allocator"
    role = "nominations"

    def __init__(
        self,
        config: LiveConfig,
        registry: CollectorRegistry,
        crash: Crash,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(config, registry, crash, on_step)
        self._metrics, self._relays = AllocatorMetrics(registry), RelayMetrics(registry)
        self._redis_metrics = RedisMetrics(registry)
        partitions = config.kafka.partitions
        self.allocator = Allocator(
            partitions, config.shop.settings(), lambda customer: partition_of(customer, partitions)
        )
        self._policies = PolicyVersions(self._stores.policies, config.shop.settings())
        self._progress = Progress(position=NEVER, lag=0)
        self._batch = 0

    async def _begin(self) -> None:
        config, states = self._config, self._stores.states
        self._epoch = await states.claim(_INSTANCE)
        opened = await states.open(NUMBER)
        self.topic_watch.require(await states.keep_topics(NUMBER, self.topic_watch.ids))
        self.allocator.begin(opened.position)
        await self._recover_rollback(opened)
        self._producer = await start_producer(config)
        topics = config.kafka.topics.of(*INPUTS, *OUTPUTS)
        self._relay = OutboxRelay(
            NUMBER, states, self._producer, topics, self._relays.sent, self._on_step, self._relays.drop
        )
        await self._relay.recover()
        self._recovered = self._run(self._relay.drain())  # Kafka may reject a record for long; readiness shows this
        self._run(watch_memory(self._stores.client, self._redis_metrics))

    async def _recover_rollback(self, opened: Opened) -> None:
        """Continue after the records in Kafka if they are newer than the store: Redis was restored from a backup."""
        config, known = self._config, opened.next_sequence - 1
        last = [
            await asyncio.to_thread(last_of_allocator, config, config.kafka.topics.control, number)
            for number in range(config.kafka.partitions)
        ]
        sent = max(one.sequence for one in last)
        if not is_behind(opened, sent, "of the allocator"):
            return
        # A round that only some partitions received is repeated: the same customers get the same alert ids.
        complete = min(last, key=lambda one: one.moment)
        commit = self.allocator.recover(complete.moment, max(one.control for one in last), complete.draws)
        outcome, _ = await self._stores.states.commit(commit, f"{_INSTANCE}:{self._epoch}:recover", 0)
        outcome.require_stored("of the allocator")
        await skip_sent(self._stores.states, NUMBER, opened, sent, lambda _: [])
        _log.warning(
            "Redis is behind Kafka, continuing after the records in Kafka", extra={"known": known, "sent": sent}
        )

    async def _finish(self) -> None:
        await self._relay.close()
        await stop_producer(self._producer)
        await super()._finish()

    def _report(self, health: Health) -> None:
        super()._report(health)
        refused = self._relay.refused
        health.set("relayed", not refused, refused)
        missing, lacking = self.allocator.missing_policy, self.allocator.lacking
        self._progress = Progress(
            position=self.allocator.position.moment, lag=0 if lacking else 1, waiting=bool(refused or missing)
        )
        health.set("policy", not missing, _MISSING_POLICY.format(missing) if missing else "")
        self._metrics.missing.set(len(lacking))
        self._relays.outbox.set(self._relay.pending)
        if self.allocator.position.moment != NEVER:
            self._metrics.last_round.set(self.allocator.position.moment / SECOND_US)

    @property
    def progress(self) -> Progress:
        """See ConsumerService. The lag is 0 until all partitions have reached the next round.

        The value dates from the last report, because another thread reads it.
        """
        return self._progress

    def _wants(self, tp: TP) -> bool:
        return self.allocator.wants(tp.partition) and not self._relay.refused  # no rounds while a record is rejected

    def _position(self, partition: int) -> int:
        return self.allocator.fetched(partition)

    async def _consume(self, stream: StreamT[Any]) -> AsyncIterator[None]:
        async for tp, fetched in batches(self.app, stream):
            for record in fetched.records:
                self._take(tp, record)
            await self._skipped.write_dead_letters()
            moved = not self._recovered.done()  # no records were requested meanwhile
            await asyncio.shield(self._recovered)
            while await self._decide():
                moved = True
            if moved:
                self._transport.wants_changed()
            yield

    def _take(self, tp: TP, record: Record) -> None:
        message = read_internal(record, decode_candidates, self._config.worker.skew)
        if isinstance(message, Rejected):
            self._skipped.add(tp, record, message)
            self.allocator.skip(tp.partition, record.offset)
        else:
            self.allocator.push(tp.partition, record.offset, sequence_of(record.headers), message)

    async def _decide(self) -> bool:
        """Run one round and commit it. Return False if a partition has not reached the round yet."""
        while missing := self.allocator.missing_policy:
            await self._find_policy(missing)
        # 1. Decide, in memory only.
        self._on_step("decide")
        decided = self.allocator.decide()
        if decided is None:
            return False
        # 2. Commit the alerts to the outbox.
        self._on_step("commit")
        self._batch += 1
        batch = f"{_INSTANCE}:{self._epoch}:{self._batch}"
        relayed, started = self._relay.relayed, time.perf_counter()
        outcome, first = await asyncio.shield(self._stores.states.commit(decided.commit, batch, relayed))
        self._require_stored(outcome, time.perf_counter() - started)
        self._on_step("committed")
        # 3. Relay them to the notifier and the partitions.
        self._relay.record_trim(relayed)
        self._relay.add(first, list(decided.commit.outbox))
        await self._relay.drain()
        # 4. Commit the offsets to Kafka, for display of the lag only.
        for number, read in self.allocator.position.read.items():
            self._transport.done(TP(self._topic, number), read.offset)
        self._on_step("acknowledged")
        self._metrics.rounds.inc()
        self._metrics.candidates.inc(decided.nominated)
        self._metrics.alerts.inc(decided.opened)
        if decided.opened or decided.held_out or decided.put_off:  # otherwise the round was already decided
            others = decided.nominated - decided.opened - decided.held_out - decided.put_off
            for reason, count in {HELD_OUT: decided.held_out, QUOTA: decided.put_off, CAPACITY: others}.items():
                self._metrics.suppressed.labels(reason).inc(count)
        if len(decided.policies) > 1:
            _log.warning(_DIFFERING, extra={"policies": decided.policies})
        policy = decided.policies[0]
        allocated = {"candidates": decided.nominated, "opened": decided.opened, "policy": policy}
        _log.info("Alerts allocated", extra=allocated)
        return True

    async def _find_policy(self, version: str) -> None:
        """Fetch the policy that the partitions apply, or wait until it is published."""
        settings = await self._policies.get(version)
        if settings is None:
            await asyncio.sleep(POLL_SECONDS)
        else:
            self.allocator.policies.add(settings)
