"""Consumer of the batching transport: decides which partitions to fetch, from which positions, and what to commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import uvloop
from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode.services import Service
from mode.utils.futures import notify

from stream_app.adapters.kafka.faust_transport.configured import ConfiguredTransport
from stream_app.adapters.kafka.faust_transport.fetcher import Fetched
from stream_app.adapters.kafka.faust_transport.thread import REBALANCE_PAUSE_SECONDS, FetchThread

# A crashed fetch thread may never answer, and the app would wait for it forever. Offsets committed to Kafka are only
# used to display lag.
COMMIT_SECONDS = 5.0

WATCH_GROUP_SECONDS = 0.5

_CREATE_TIME = 0  # Kafka's timestamp type for times set by the producer


class BatchingConsumer(Consumer):
    """Consumer that yields one message per fetch. Its value holds a `Fetched` for each partition that has records.

    Faust tracks messages by partition and offset, so a message carries those of the last record of one of its
    partitions. It does not matter which one, because positions come from the store and never from Faust.

    After an assignment or a stop of the flow, a partition is not fetched until the consumer has sought the position
    that the transport's `positions` returned. Fetching therefore always resumes from there.
    """

    transport: ConfiguredTransport
    _thread: FetchThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sought: frozenset[TP] = frozenset()
        self._epoch = 0  # incremented by everything that requires a seek
        self._seeking = asyncio.Lock()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, thread_loop=uvloop.new_event_loop(), beacon=self.beacon)

    @Service.task
    async def _watch_group(self) -> None:
        """Crash if the group coordinator refuses access. Nothing else checks this until partitions are assigned."""
        while not self.should_stop:
            await self._thread.check_group()
            await self.sleep(WATCH_GROUP_SECONDS)

    # --- positions

    def stop_flow(self) -> None:
        """Stop delivering messages; undelivered records will be fetched again."""
        super().stop_flow()
        self._forget_positions()
        self.wake()

    def wake(self) -> None:
        """End a waiting fetch. Thread-safe."""
        self._thread.wake()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the positions of revoked partitions."""
        self._forget_positions()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget all positions: partitions that are kept have new positions in aiokafka too."""
        self._forget_positions()
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget_positions(self) -> None:
        self._sought = frozenset()
        self._epoch += 1

    async def perform_seek(self) -> None:
        """Seek the stored positions, once per assignment or stop of the flow."""
        async with self._seeking:
            if self._sought and self._sought >= self.assignment():
                return
            epoch = self._epoch
            positions = await self.seek_to_committed()
            # An empty `Fetched` at a position carries the offset before it, which must count as new. The first commit
            # to Kafka is always sent, which is harmless: offsets in Kafka are only used to display lag.
            for tp, position in positions.items():
                self._read_offset[tp] = position - 1
                self._committed_offset[tp] = None
                self._acked.pop(tp, None)
            if epoch == self._epoch:
                self._sought = frozenset(positions)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek the stored position in every assigned partition, and return the positions.

        Raises:
            HistoryGone: a stored position is before the beginning of its partition.
            PositionAhead: a stored position is after the end of its partition.
        """
        assigned = frozenset(self.assignment())
        return await self._thread.seek_all(await self.transport.positions(assigned), assigned)

    # --- fetching

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        # 1. Do not fetch between an assignment and the seek that follows it.
        if self.app.rebalancing:
            await self.sleep(REBALANCE_PAUSE_SECONDS)
            return {}
        if not self._sought:
            try:
                await self.perform_seek()
            except IllegalStateError:  # revoked meanwhile; the next assignment seeks again
                return {}
        # 2. Copy the set: Faust changes it while the fetch waits.
        epoch, wakes, wants = self._epoch, self._thread.wakes, self.transport.wants
        wanted = frozenset(tp for tp in active_partitions or () if tp in self._sought and wants(tp))
        fetched = await self._thread.fetch(wanted, wakes, timeout)
        # 3. Discard records fetched before a seek: they will be fetched again.
        return fetched if epoch == self._epoch else {}

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's name
        """Yield a single message with everything that was fetched.

        Faust needs four iterations of the event loop per message and the stream a fifth. Partition tasks may run in
        each of them. With one message for each of 24 partitions, a fetch took a hundred iterations to arrive.
        """
        fetched: Any = (await self._wait_next_records(timeout))[0]
        if fetched and not self.should_stop:
            for tp, batch in fetched.items():
                self.app.monitor.track_tp_end_offset(tp, batch.high_watermark)
            tp = next(iter(fetched))
            yield tp, self._to_message(tp, tuple(fetched.items()))

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        first: Fetched = record[0][1]
        last_ms = first.records[-1].timestamp if first.records else 0
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            first.end - 1,
            last_ms / 1000.0,
            _CREATE_TIME,
            None,
            None,
            record,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def on_buffer_full(self, tp: TP) -> None:
        """Do not pause the partition.

        Faust would stop fetching it until its queue is empty, but a message covers all partitions, and a partition task
        would wait for the paused topic. A full queue delays the next fetch anyway.
        """

    def standing(self) -> dict[TP, int]:
        """Return the position up to which records have been delivered, for each partition to be fetched."""
        ends, wants = self._thread._ends, self.transport.wants
        return {tp: ends[tp] for tp in self._sought if tp in ends and wants(tp)}

    # --- committing

    def ack(self, message: Message) -> bool:
        """Release a message. Positions are not acknowledged here but reported to `done`, partition by partition."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            notify(self._waiting_for_ack)
            return True

    def done(self, tp: TP, position: int) -> None:
        """Commit a stored position to Kafka, where it is only used to display lag."""
        with ack_lock:
            if tp in self._sought:  # otherwise the partition is being reassigned
                self._acked[tp] = [position - 1]
                self._n_acked += 1

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
        """Ignore gaps between the offsets of messages: these are the other records of a message."""
