"""Relay of an outbox: writes committed records to Kafka in order, then trims them.

A crash in between causes records to be sent again. Consumers of internal topics detect duplicates by the partition's
sequence number, and ids inside the records do not change.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from aiokafka.errors import OutOfOrderSequenceNumber

from stream_app.adapters.kafka.refusals import FIX_TOPIC, REFUSED, TOO_LARGE, refusals
from stream_app.core import versions
from stream_app.core.messages.dead_letters import MIN_DEAD_BYTES, cut
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, SEQUENCE, Outgoing, unpack
from stream_app.core.partition.alert_records import ALERTS
from stream_app.core.partition.outbox import DEAD_LETTERS, SCORES
from stream_app.ports import StateStore
from stream_app.services.runtime.producer import RecordProducer

MAX_PENDING: Final = 2_000  # records; with more than this pending, the partition waits for Kafka
MAX_PENDING_BYTES: Final = 32 << 20  # likewise
_CHUNK: Final = 500
_CHUNK_BYTES: Final = 8 << 20
# Topics that no service waits for. Records for others stay in the outbox and are retried until the topic is fixed:
# without those records the trainer, the allocator or a partition would wait forever, or decide differently.
MAY_BE_DROPPED: Final = (DEAD_LETTERS, ALERTS, SCORES)
_TRIM_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 3.0  # between attempts to write a rejected record
REMIND_SECONDS: Final = 60.0  # between log lines about a rejected record
_CLOSE_SECONDS: Final = 5.0  # for draining on close
_log = logging.getLogger(__name__)


def _read(record: bytes) -> Outgoing:
    """Return an outbox record, which an earlier release may have stored."""
    outgoing = unpack(record, Outgoing)
    role = versions.ROLES.get(outgoing.topic)
    return outgoing if role is None else msgspec.structs.replace(outgoing, topic=role)


@dataclass
class _Sent:
    sequence: int
    outgoing: Outgoing
    future: asyncio.Future[object] | None  # None if the client rejected it
    refusal: Exception | None = None

    @property
    def place(self) -> tuple[str, int]:
        return self.outgoing.topic, self.outgoing.partition


class OutboxRelay:
    """Relays the outbox of one partition to Kafka.

    Args:
        number: partition number.
        store: store with the outbox.
        producer: idempotent producer.
        topics: topic names by role.
        on_sent: called with the topic role of every record that was written.
        on_step: called before and after records are produced; tests use it to simulate crashes.
        on_dropped: called with the topic role of every record that was dropped.
    """

    def __init__(
        self,
        number: int,
        store: StateStore,
        producer: RecordProducer,
        topics: Mapping[str, str],
        on_sent: Callable[[str], None] = lambda _: None,
        on_step: Callable[[str], None] = lambda _: None,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.number = number
        self.relayed = 0  # sequence number up to which all records are in Kafka
        self.refused = ""  # problem and remedy while Kafka rejects a record that must not be dropped
        self._store, self._producer, self._topics = store, producer, topics
        self._on_sent, self._on_step, self._on_dropped = on_sent, on_step, on_dropped
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._fits = MAX_RECORD_BYTES  # known maximum size of a dead letter
        self._begun: set[tuple[str, int]] = set()  # partitions to which a record that must not be dropped was written
        self._trimmed = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def pending(self) -> int:
        """Number of committed records that have not been written to Kafka yet."""
        return len(self._pending)

    async def recover(self) -> None:
        """Load records that an earlier owner committed and may not have sent."""
        after = 0
        while entries := await self._store.outbox(self.number, after, _CHUNK):
            self._queue(entries)
            after = entries[-1][0]

    def add(self, first: int, records: list[bytes]) -> None:
        """Add the outbox records of a commit; `first` is the sequence number of the first one."""
        self._queue(enumerate(records, start=first))

    def _queue(self, entries: Iterable[tuple[int, bytes]]) -> None:
        for entry in entries:
            self._pending.append(entry)
            self._pending_bytes += len(entry[1])
        if self._pending:
            self._changed.set()
        if not self._has_room:
            self._room.clear()

    @property
    def _has_room(self) -> bool:
        return len(self._pending) <= MAX_PENDING and self._pending_bytes <= MAX_PENDING_BYTES

    async def has_room(self) -> None:
        """Wait until the number of pending records is below the limit."""
        await self._room.wait()

    def record_trim(self, through: int) -> None:
        """Note that a commit has trimmed the outbox."""
        self._trimmed = max(self._trimmed, through)

    async def run(self) -> None:
        """Relay records until cancelled. Trims the outbox only if no commit does so."""
        while True:
            try:
                async with asyncio.timeout(_TRIM_SECONDS):  # `wait_for` of Python 3.11 may lose a cancellation
                    await self._changed.wait()
            except TimeoutError:
                await self._trim()
                continue
            self._changed.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write all pending records and wait until they are acknowledged."""
        while self._pending:
            chunk = self._next_chunk()
            self._on_step("produce")
            await self._produce(chunk)
            self._on_step("produced")
            for _ in chunk:
                self._pending_bytes -= len(self._pending.popleft()[1])
            self.relayed = chunk[-1][0]
            if self._has_room:
                self._room.set()

    def _next_chunk(self) -> list[tuple[int, bytes]]:
        chunk, size = list[tuple[int, bytes]](), 0
        for entry in self._pending:
            size += len(entry[1])
            if len(chunk) == _CHUNK or (chunk and size > _CHUNK_BYTES):
                break
            chunk.append(entry)
        return chunk

    async def _produce(self, chunk: list[tuple[int, bytes]]) -> None:
        """Write records, then retry rejected ones one at a time: one bad record makes the broker reject its batch."""
        sent = []
        for sequence, record in chunk:
            one = await self._send(sequence, _read(record))
            if one.place[0] in MAY_BE_DROPPED or one.place in self._begun:
                sent.append(one)
                continue
            # After a rejected record the broker rejects the following ones by their producer sequence numbers, except
            # that it accepts any number as the first in a partition. A record written out of order would hide a later
            # one.
            if not await self._is_written(one):
                self._take_back([one], [one])
                await self._produce_alone(one)
            self._begun.add(one.place)
        refused = [one for one in sent if not await self._is_written(one)]
        self._take_back(sent, refused)
        for one in refused:
            await self._produce_alone(one)

    async def _send(self, sequence: int, outgoing: Outgoing) -> _Sent:
        if outgoing.topic == DEAD_LETTERS:
            outgoing = cut(outgoing, self._fits)
        topic = self._topics[outgoing.topic]
        try:
            with refusals("Write", topic=topic):
                future = await self._producer.send(
                    topic,
                    value=outgoing.value,
                    key=outgoing.key,
                    partition=outgoing.partition,
                    headers=[*outgoing.headers, (SEQUENCE, str(sequence).encode())],
                )
        except TOO_LARGE as error:  # rejected by the client
            return _Sent(sequence, outgoing, None, error)
        return _Sent(sequence, outgoing, future)

    async def _is_written(self, sent: _Sent) -> bool:
        """Return whether a sent record was acknowledged. Raises KafkaDenied; the record then stays in the outbox."""
        try:
            if sent.future is not None:
                with refusals("Write", topic=self._topics[sent.outgoing.topic]):
                    await sent.future
        except (*REFUSED, OutOfOrderSequenceNumber) as error:
            sent.refusal = error
        if sent.refusal is not None:
            return False
        self._on_sent(sent.outgoing.topic)
        return True

    def _take_back(self, sent: Sequence[_Sent], refused: Sequence[_Sent]) -> None:
        """Reuse the producer sequence numbers of rejected records at the end of each partition.

        aiokafka numbers rejected records too, so without this the broker would see a gap and reject all later records.
        """
        if not refused:
            return
        trailing: Counter[tuple[str, int]] = Counter()
        for one in sent:
            if one.refusal is None:
                trailing[one.place] = 0
            elif one.future is not None:
                trailing[one.place] += 1
        for (role, partition), records in trailing.items():
            if records:
                self._producer.take_back(self._topics[role], partition, records)

    async def _produce_alone(self, sent: _Sent) -> None:
        """Write one record, truncating a dead letter step by step. A record that is still rejected is dropped.

        A record that must not be dropped is retried until its topic is fixed.
        """
        role, limit, reminded = sent.outgoing.topic, min(sent.outgoing.size, self._fits), -REMIND_SECONDS
        while not await self._is_written(again := await self._send(sent.sequence, sent.outgoing)):
            self._take_back([again], [again])
            if isinstance(again.refusal, OutOfOrderSequenceNumber):  # although no record before it was rejected
                raise again.refusal
            too_large = isinstance(again.refusal, TOO_LARGE)
            if role == DEAD_LETTERS and too_large and limit > MIN_DEAD_BYTES:
                self._fits = limit = max(min(limit, again.outgoing.size) // 2, MIN_DEAD_BYTES)
                continue
            if role in MAY_BE_DROPPED or again.outgoing.size > MAX_RECORD_BYTES:
                self._drop(again)
                return
            self.refused = self._problem(again)
            if time.monotonic() - reminded >= REMIND_SECONDS:
                reminded = time.monotonic()
                _log.error("Record rejected, retrying", extra={"problem": self.refused, "pending": self.pending})
            await asyncio.sleep(_RETRY_SECONDS)
        if self.refused:
            self.refused = ""
            _log.warning("Rejected record written", extra={"topic": self._topics[role], "sequence": sent.sequence})

    def _problem(self, sent: _Sent) -> str:
        outgoing = sent.outgoing
        place = f"{self._topics[outgoing.topic]}[{outgoing.partition}]"
        return (
            f"{place} rejects record {sent.sequence} ({outgoing.size:,} bytes), which other services wait for:"
            f" {sent.refusal}. {FIX_TOPIC}. The record stays in Redis and is retried every {_RETRY_SECONDS:.0f} s"
        )

    def _drop(self, sent: _Sent) -> None:
        outgoing = sent.outgoing
        self._on_dropped(outgoing.topic)
        extra = {"topic": self._topics[outgoing.topic], "partition": outgoing.partition, "sequence": sent.sequence}
        _log.error("Rejected record dropped", extra=extra | {"bytes": outgoing.size, "problem": str(sent.refusal)})

    async def drain(self) -> None:
        """Write all pending records and trim the outbox."""
        await self.flush()
        await self._trim()

    async def close(self) -> None:
        """Drain the outbox, with a timeout. The next owner of the outbox sends the remaining records."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.drain()
        except TimeoutError:
            _log.warning(
                "Outbox not drained before shutdown, the next start continues", extra={"pending": self.pending}
            )

    async def _trim(self) -> None:
        if self.relayed > self._trimmed:
            await self._store.trim(self.number, self.relayed)
            self._trimmed = self.relayed
