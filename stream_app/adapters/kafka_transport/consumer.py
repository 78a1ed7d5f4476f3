"""Faust's consumer, a batch at a time: what it fetches, from where, and what it commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from stream_app.adapters.kafka_transport.thread import REBALANCE_PAUSE_SECONDS, FetchThread

if TYPE_CHECKING:
    from stream_app.adapters.kafka_transport.transport import BatchingTransport

# A fetch thread that ends in a crash may never answer, and an app that waits for it never ends. Kafka's commits serve
# displays only.
COMMIT_SECONDS = 5.0

_CREATE_TIME = 0  # Kafka's timestamp type of a record that carries its producer's time


class BatchingConsumer(Consumer):
    """Yields one message a partition and fetch; its value is a `Fetched`, its offset that of the last record.

    A partition is fetched only after it was sought, since the last assignment or stop of the flow, to the position that
    the transport's `positions` gave. Whoever resumes the flow, and in whatever order, thus starts from there.
    """

    transport: BatchingTransport
    _thread: FetchThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sought: frozenset[TP] = frozenset()
        self._epoch = 0  # counts what makes a seek necessary
        self._seeking = asyncio.Lock()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    def wake(self) -> None:
        """Choose anew which partitions are wanted."""
        self._thread.wake()

    # Where to begin.

    def stop_flow(self) -> None:
        """Let nothing more through; what was fetched and not delivered is fetched again."""
        super().stop_flow()
        self._forget_positions()
        self._thread.wake()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget where the partitions were."""
        self._forget_positions()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget where the partitions were: also those that stayed have new positions in aiokafka."""
        self._forget_positions()
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget_positions(self) -> None:
        self._sought = frozenset()
        self._epoch += 1

    async def perform_seek(self) -> None:
        """Seek to the stored positions, once an assignment or stop of the flow."""
        async with self._seeking:
            if self._sought and self._sought >= self.assignment():
                return
            epoch = self._epoch
            positions = await self.seek_to_committed()
            # A message counts as new from the last offset before its partition's position on: an empty `Fetched` at
            # the position itself bears that offset. Kafka's commits serve displays only: the first one always goes.
            for tp, position in positions.items():
                self._read_offset[tp] = position - 1
                self._committed_offset[tp] = None
                self._acked.pop(tp, None)
            if epoch == self._epoch:
                self._sought = frozenset(positions)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek all assigned partitions to their stored positions; returns where to.

        Raises:
            HistoryGone: Kafka no longer has a stored position.
            PositionAhead: Kafka does not have a stored position yet.
        """
        assigned = frozenset(self.assignment())
        return await self._thread.seek_all(await self.transport.positions(assigned), assigned)

    # What to fetch.

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        # 1. Nothing may be fetched between an assignment and the seek that follows it.
        if self.app.rebalancing:
            await self.sleep(REBALANCE_PAUSE_SECONDS)
            return {}
        if not self._sought:
            try:
                await self.perform_seek()
            except IllegalStateError:  # revoked meanwhile: the next assignment seeks again
                return {}
        # 2. A frozen copy: Faust changes its set while the fetch waits.
        epoch, wakes, wants = self._epoch, self._thread.wakes, self.transport.wants
        wanted = frozenset(tp for tp in active_partitions or () if tp in self._sought and wants(tp))
        fetched = await self._thread.fetch(wanted, wakes, timeout)
        # 3. What was fetched from before a seek is void; the seek has gone back, or will go back, behind it.
        return fetched if epoch == self._epoch else {}

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's name
        """One message for each partition that something came for.

        When the flow stops in between, the rest is dropped: before it goes on, all partitions are sought.
        """
        fetched: Any = (await self._wait_next_records(timeout))[0] or {}
        epoch = self._epoch  # not sooner: the line above may have waited for a new assignment
        for tp, batch in fetched.items():
            if self.should_stop or epoch != self._epoch:
                return
            self.app.monitor.track_tp_end_offset(tp, batch.high_watermark)
            yield tp, self._to_message(tp, batch)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        last_ms = record.records[-1].timestamp if record.records else 0
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.end - 1,
            last_ms / 1000.0,
            _CREATE_TIME,
            None,
            None,
            record,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # What to commit.

    def ack(self, message: Message) -> bool:
        """Note a message as done. Those of a partition must be acknowledged in order; a repeated offset is harmless."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            stale = message.generation_id != self.app.consumer_generation_id
            if not stale and self.app.topics.acks_enabled_for(message.topic):
                self._acked[message.tp].append(message.offset)
                self._n_acked += 1
            notify(self._waiting_for_ack)
            return not stale

    def _new_offset(self, tp: TP) -> int | None:
        with ack_lock:
            acked = self._acked.pop(tp, None)
        return acked[-1] + 1 if acked else None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if self._thread.crashed:
            return False
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                return await super()._commit(offsets)
        except TimeoutError:
            return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets between two messages are no gaps: they are the records within."""
