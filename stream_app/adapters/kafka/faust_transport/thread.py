"""Consumer thread of the batching transport: fetches records by partition, with the positions before and after them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka
from aiokafka.errors import ConsumerStoppedError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.configured import ConfiguredTransport
from stream_app.adapters.kafka.faust_transport.fetcher import Fetched, drain, responding
from stream_app.adapters.kafka.refusals import refusals
from stream_app.errors import HistoryGone, PositionAhead

# While fetched records of a broker's partitions wait to be taken, aiokafka delays the next fetch by this time and then
# sends it without those partitions, which miss it: it may take `fetch_max_wait`, since the others may be idle. So give
# the app time to take the records. But a partition that is held back must not delay all others. With 0, the next
# request would be sent before any records can be taken.
PREFETCH_BACKOFF_SECONDS = 0.1
HELD_BACKOFF_SECONDS = 0.005

# Interval between checks whether a rebalance has finished.
REBALANCE_PAUSE_SECONDS = 0.01


class FetchThread(AIOKafkaConsumerThread):
    """Faust consumer thread that returns all records of some partitions instead of single records."""

    transport: ConfiguredTransport
    _ends: dict[TP, int]  # position at the end of each partition's last `Fetched`
    _caught_up: dict[TP, int]  # position at which each partition was last reported as caught up
    wakes: int  # number of calls of `wake`; reveals a call between choosing partitions and waiting

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ends, self._caught_up, self.wakes = {}, {}, 0

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.transport.fetch_max_wait_ms
        consumer._fetch_min_bytes = self.transport.fetch_min_bytes
        consumer._max_partition_fetch_bytes = self.transport.max_partition_fetch_bytes
        consumer._auto_offset_reset = "none"  # never replace an invalid position silently
        return consumer

    async def on_start(self) -> None:
        """Start aiokafka's consumer and intercept its fetch responses."""
        await super().on_start()
        fetcher = self._ensure_consumer()._fetcher
        respond = responding(fetcher, self.transport.faults, self.transport.unpacker)

        async def respond_and_notify(*request: Any) -> bool:
            try:
                came: bool = await respond(*request)
            except asyncio.CancelledError:
                # When aiokafka closes, it cancels its requests and mistakes this for its own cancellation: the thread
                # would end with a traceback, and the app would wait for it forever.
                if not fetcher._closed:
                    raise
                return False
            # aiokafka does not wake waiters for an empty response, but a partition may now be caught up.
            if not came:
                self._notify()
            return came

        fetcher._proc_fetch_request = respond_and_notify

    def _stopped_set(self) -> None:
        # After a crash the thread may have ended already; Faust's method would raise and log a second error.
        if not self.thread_loop.is_closed():
            super()._stopped_set()

    async def check_group(self) -> None:
        """Raise an error of the group coordinator, if there is one; KafkaDenied if a right is missing."""
        with refusals("Read"):
            await self.call_thread(self._check_group)

    async def _check_group(self) -> None:
        coordinator = self._consumer and self._consumer._coordinator
        if coordinator is not None:
            coordinator.check_errors()

    def wake(self) -> None:
        """Interrupt a waiting fetch because the set of wanted partitions has changed. Thread-safe."""
        self.wakes += 1
        self.thread_loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        if self._consumer is not None:
            fetcher = self._consumer._fetcher
            for waiter in tuple(fetcher._fetch_waiters):
                fetcher._notify(waiter)

    async def fetch(self, wanted: frozenset[TP], wakes: int, timeout: float) -> dict[TP, Fetched]:  # noqa: ASYNC109
        """Wait for records, a call of `wake`, or a timeout, and return all fetched records of the wanted partitions.

        Args:
            wanted: partitions to return; records of other partitions are kept.
            wakes: value of `self.wakes` before `wanted` was chosen.
            timeout: seconds.

        Raises:
            HistoryGone: a position is before the beginning of its partition.
            PositionAhead: a position is after the end of its partition.
            KafkaDenied: the user may not read a topic.
        """
        with refusals("Read"):
            return await self.call_thread(self._fetch, wanted, wakes, timeout)

    async def _fetch(self, wanted: frozenset[TP], wakes: int, timeout: float) -> dict[TP, Fetched]:  # noqa: ASYNC109
        consumer = self._ensure_consumer()
        fetcher, now = consumer._fetcher, self.thread_loop.time
        until = now() + timeout
        held = len(wanted) < len(consumer.assignment())
        fetcher._prefetch_backoff = HELD_BACKOFF_SECONDS if held else PREFETCH_BACKOFF_SECONDS
        with fetcher._subscriptions.fetch_context():
            while self.consumer.flow_active:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                if fetcher._subscriptions.reassignment_in_progress:
                    await asyncio.sleep(REBALANCE_PAUSE_SECONDS)
                    break
                found = await self._take(fetcher, wanted)
                left = until - now()
                if found or left <= 0 or self.wakes != wakes:
                    return found
                waiter = fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([waiter], timeout=left)
                if not done:
                    waiter.cancel()
                else:
                    waiter.result()  # raises errors of the group coordinator
        return {}

    async def _take(self, fetcher: Any, wanted: frozenset[TP]) -> dict[TP, Fetched]:
        """Return fetched records. The positions are read without awaiting in between, to match the records."""
        try:
            records = drain(fetcher, wanted)
        except OffsetOutOfRangeError as error:
            raise await self._unreachable(*error.args) from error
        assignment = fetcher._subscriptions.subscription.assignment
        found = {}
        for tp in wanted:
            state = assignment.state_value(tp)
            if state is None or not state.has_valid_position or state.highwater is None or tp not in self._ends:
                continue
            start, end, caught_up = self._ends[tp], state.position, state.position >= state.highwater
            if end > start or (caught_up and self._caught_up.get(tp) != end):
                found[tp] = Fetched(start, records.get(tp, ()), end, state.highwater)
                self._ends[tp] = end
            if caught_up:
                self._caught_up[tp] = end
        return found

    async def _unreachable(self, positions: Mapping[TP, int]) -> Exception:
        """Return the error for the first of these positions that cannot be fetched."""
        consumer, (tp, position) = self._ensure_consumer(), next(iter(positions.items()))
        earliest, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        return unreachable(tp, position, earliest, end) or OffsetOutOfRangeError(dict(positions))

    async def seek_all(self, stored: Mapping[TP, int], assigned: Iterable[TP]) -> dict[TP, int]:
        """In every assigned partition, seek the stored position or the beginning; return the positions.

        Raises:
            HistoryGone: a stored position is before the beginning of its partition.
            PositionAhead: a stored position is after the end of its partition.
        """
        with refusals("Describe"):
            return await self.call_thread(self._seek_all, stored, frozenset(assigned))

    async def _seek_all(self, stored: Mapping[TP, int], assigned: frozenset[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        # 1. Check all positions before moving any.
        earliest, ends = await consumer.beginning_offsets(assigned), await consumer.end_offsets(assigned)
        positions = {tp: stored.get(tp, earliest[tp]) for tp in assigned}
        for tp, position in sorted(positions.items()):
            if refused := unreachable(tp, position, earliest[tp], ends[tp]):
                raise refused
        # 2. Seek without awaiting in between. Raises IllegalStateError for a partition that was revoked meanwhile.
        for tp, position in positions.items():
            consumer.seek(tp, position)
            # The known high watermark may be older than the position, so the partition would seem to be caught up.
            consumer._subscription.subscription.assignment.state_value(tp).highwater = None
            self._ends[tp] = position
            self._caught_up.pop(tp, None)
        return positions


def unreachable(tp: TP, position: int, earliest: int, end: int) -> HistoryGone | PositionAhead | None:
    """Return the error for a position outside a partition's range from `earliest` to `end`; None if it is inside.

    >>> print(unreachable(TP("shop.orders", 3), 5, earliest=9, end=20))
    Kafka no longer has offset 5 of shop.orders[3]: the earliest offset is 9. ...
    >>> unreachable(TP("shop.orders", 3), 20, earliest=9, end=20)
    """
    if position < earliest:
        return HistoryGone(topic=tp.topic, partition=tp.partition, position=position, earliest=earliest)
    if position > end:
        return PositionAhead(topic=tp.topic, partition=tp.partition, position=position, end=end)
    return None
