"""Opens and closes a worker's partition tasks as partitions are assigned and revoked."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
from faust.types.tuples import TP

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.adapters.kafka.faust_transport import Fetched
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import pack
from stream_app.core.partition import outbox
from stream_app.core.partition.progress import Position
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.errors import SplitPartition
from stream_app.ports import Opened
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.producer import RecordProducer
from stream_app.services.runtime.rollback_recovery import is_behind, skip_sent
from stream_app.services.runtime.topic_watch import TopicWatch
from stream_app.services.worker.task_runner import RunnerContext, TaskRunner

_log: Final = logging.getLogger(__name__)


class PartitionTasks:
    """All partition tasks of a worker.

    Args:
        context: parts that all tasks share.
        producer: producer of the outbox relays.
        partition_of: returns the partition of a customer.
        limits: limits of a step.
        buffer_bytes: maximum size of fetched records per task.
        topic_watch: compares topic ids.
        last_sent: returns the highest sequence number in Kafka from a partition's outbox.
    """

    def __init__(
        self,
        context: RunnerContext,
        *,
        producer: RecordProducer,
        partition_of: Callable[[str], int],
        limits: Limits,
        buffer_bytes: int,
        topic_watch: TopicWatch,
        last_sent: Callable[[int], Awaitable[int]],
    ) -> None:
        self._context, self._producer, self._topic_watch, self._last_sent = context, producer, topic_watch, last_sent
        self._task_options = limits, buffer_bytes, complaint_reader(), partition_of
        self._roles = {context.topics[role]: role for role in ROLES}
        self._runners: dict[int, TaskRunner] = {}
        self._opening = asyncio.Lock()
        self._revocations = 0

    @property
    def tasks(self) -> dict[int, PartitionTask]:
        """Tasks by partition number."""
        return {number: runner.task for number, runner in self._runners.items()}

    @property
    def pending(self) -> int:
        """Number of outbox records that are not in Kafka yet."""
        return sum(runner.relay.pending for runner in self._runners.values())

    @property
    def refused(self) -> dict[int, str]:
        """Problem of each relay whose records Kafka rejects, by partition number."""
        return {number: runner.relay.refused for number, runner in self._runners.items() if runner.relay.refused}

    async def positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Open newly assigned partitions, close all others, and return the positions to read from.

        Called at every assignment. Raises SplitPartition if a partition number is assigned without all of its topics.
        """
        async with self._opening:
            revocations = self._revocations
            numbers = _co_owned(set(tps), set(self._roles))
            await self._close(set(self._runners) - numbers)
            stored = await self._context.store.positions(sorted(numbers))
            found: dict[TP, int] = {}
            for number in sorted(numbers):
                runner = self._runners.get(number)
                if runner is not None and runner.base != stored.get(number, b""):
                    await self._close({number})  # another worker owned the partition in the meantime
                    runner = None
                if runner is None:
                    runner = await self._open(number)
                else:
                    await self._context.store.open(number)  # raises Fenced if a newer process of this instance exists
                if runner.base:
                    offsets = msgspec.json.decode(runner.base, type=Position).offsets
                    found |= {TP(self._context.topics[role], number): offset for role, offset in offsets.items()}
            if self._revocations == revocations:  # otherwise the partitions are being reassigned already
                for runner in self._runners.values():
                    runner.resume()
            self._context.watch.owned(self.tasks)
            return found

    async def pause(self) -> None:
        """Finish the current commits. Called when the partitions are about to be revoked."""
        self._revocations += 1
        for runner in self._runners.values():
            await runner.pause()

    async def close(self) -> None:
        """Finish the current commits, drain the outboxes and close all tasks."""
        async with self._opening:
            await self.pause()
            await self._close(set(self._runners), relay=True)

    def wants(self, tp: TP) -> bool:
        """Return whether to fetch more records from a topic partition."""
        runner = self._runners.get(tp.partition)
        wanted = runner is not None and runner.task.inputs.wants(self._roles[tp.topic])
        self._context.refused |= not wanted
        return wanted

    def take(self, tp: TP, fetched: Fetched) -> None:
        """Pass fetched records to their tasks. Records of a closed partition are dropped."""
        if (runner := self._runners.get(tp.partition)) is not None:
            runner.take(self._roles[tp.topic], fetched)

    async def _open(self, number: int) -> TaskRunner:
        started, context = time.perf_counter(), self._context
        opened = await context.store.open(number)
        self._topic_watch.require(await context.store.keep_topics(number, self._topic_watch.ids))
        await self._recover_rollback(number, opened)
        settings = await context.policies.of_summary(opened.summary)
        task = PartitionTask(number, dict(context.topics), settings, *self._task_options)
        async for chunk in context.store.states(number):
            task.restore(chunk)
            await asyncio.sleep(0)
        task.begin(opened.position, opened.summary)
        relay = OutboxRelay(
            number,
            context.store,
            self._producer,
            context.topics,
            context.watch.relays.sent,
            context.on_step,
            context.watch.relays.drop,
        )
        await relay.recover()
        gc.freeze()  # customer states have no cycles, so the collector need not scan them
        runner = self._runners[number] = TaskRunner(context, task, relay, opened.position)
        customers, seconds = len(task.processor.customers), round(time.perf_counter() - started, 3)
        _log.info("Partition task opened", extra={"partition": number, "customers": customers, "seconds": seconds})
        return runner

    async def _recover_rollback(self, number: int, opened: Opened) -> None:
        """Recover if Kafka has newer outbox records than the store, which means Redis was restored from a backup.

        The shop's events are processed again from the stored position. Records sent since then are retracted for
        the trainer and the allocator, and sent again with new numbers.
        """

        def retractions(since: int) -> list[bytes]:
            return [pack(record) for record in outbox.retractions(number, since)]

        sent, store = await self._last_sent(number), self._context.store
        if is_behind(opened, sent, number) and await skip_sent(store, number, opened, sent, retractions):
            known = opened.next_sequence - 1
            _log.warning(
                "Redis is behind Kafka, catching up", extra={"partition": number, "known": known, "sent": sent}
            )

    async def _close(self, numbers: set[int], *, relay: bool = False) -> None:
        closed = {number: self._runners.pop(number) for number in numbers}
        for runner in closed.values():
            await runner.stop()
        if relay:
            await asyncio.gather(*(runner.relay.close() for runner in closed.values()))
        for number in closed:
            self._context.store.close(number)
            _log.info("Partition task closed", extra={"partition": number})


def _co_owned(tps: set[TP], topics: set[str]) -> set[int]:
    """Return the partition numbers of an assignment. Raises SplitPartition if a number lacks one of the topics."""
    numbers = {tp.partition for tp in tps}
    for number in numbers:
        missing = topics - {tp.topic for tp in tps if tp.partition == number}
        if missing:
            raise SplitPartition(partition=number, topics=", ".join(sorted(missing)))
    return numbers
