"""Faust's consumer, a batch at a time: what it fetches, from where, and what it commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode.services import Service
from mode.utils.futures import notify

from stream_app.adapters.kafka.faust_transport.fetched import Fetched
from stream_app.adapters.kafka.faust_transport.thread import REBALANCE_PAUSE_SECONDS, FetchThread

if TYPE_CHECKING:
    from stream_app.adapters.kafka.faust_transport.transport import BatchingTransport

# A fetch thread that ends in a crash may never answer, and an app that waits for it never ends. Kafka's commits serve
# displays only.
COMMIT_SECONDS = 5.0

WATCH_GROUP_SECONDS = 0.5

_CREATE_TIME = 0  # Kafka's timestamp type of a record that carries its producer's time


class BatchingConsumer(Consumer):
    """Yields one message a fetch; its value holds a `Fetched` for each partition that something came for.

    Faust keeps its books by partition and offset: a message bears those of the last record of one of its partitions.
    Which of them does not matter, since positions come from the store and never from Faust's books.

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

    @Service.task
    async def _watch_group(self) -> None:
        """Crash on what the coordinator of the group refuses: until partitions are assigned nobody else asks for it."""
        while not self.should_stop:
            await self._thread.check_group()
            await self.sleep(WATCH_GROUP_SECONDS)

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
        """One message for all that came.

        Faust takes four turns of the event loop for a message and the stream another one, and in every turn lanes may
        be at work: with a message for each of 24 partitions a fetch took a hundred turns to arrive.
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
        """Hold nothing back.

        Faust would fetch no more of one partition until its queue is empty. But a message is of all partitions, and a
        lane waits for the topic that is held back; a queue that is full makes the next fetch wait as it is.
        """

    def standing(self) -> dict[TP, int]:
        """The offset before which all was handed over, of every partition of which more is wanted."""
        ends, wants = self._thread._ends, self.transport.wants
        return {tp: ends[tp] for tp in self._sought if tp in ends and wants(tp)}

    # What to commit.

    def ack(self, message: Message) -> bool:
        """Let go of a message. What is stored of its partitions is told by `done`, partition by partition."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            notify(self._waiting_for_ack)
            return True

    def done(self, tp: TP, position: int) -> None:
        """Note that all of a partition before a position is stored: it is committed to Kafka, for displays of lag."""
        with ack_lock:
            if tp in self._sought:  # else it is on its way to somebody else
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
        """Offsets between two messages are no gaps: they are the records within."""
