"""The relay of an outbox: what a commit has stored is produced to Kafka in order, and then trimmed.

A crash between the two sends records again. They carry the partition's sequence number, by which internal receivers
recognise them; and the ids in them are those of the first time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiokafka import errors as kafka_errors

from stream_app.adapters.kafka.refusals import refusals
from stream_app.core.messages.decoding import MIN_DEAD_BYTES, cut
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES, SEQUENCE, Outgoing, unpack
from stream_app.core.partition.outbox import ALERTS, DEAD_LETTERS, SCORES
from stream_app.ports import StateStore

MAX_PENDING: Final = 2_000  # records; beyond it the lane waits for Kafka
MAX_PENDING_BYTES: Final = 32 << 20  # the same
_CHUNK: Final = 500
_CHUNK_BYTES: Final = 8 << 20


class InvalidRecordError(kafka_errors.BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """What a broker answers to a record that its topic cannot hold, such as one without a key on a compacted topic."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The record was refused by the broker."


# aiokafka knows the number of this error, and not its name; unknown errors of a broker may pass.
kafka_errors.kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)
TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
# The broker gives the same answer as often as it is asked. Missing permission is not among them: it may be granted.
REFUSED: Final = (*TOO_LARGE, InvalidRecordError, kafka_errors.PolicyViolationError, kafka_errors.InvalidTimestampError)
_OUT_OF_ORDER: Final = kafka_errors.OutOfOrderSequenceNumber
# What nobody waits for. Without the other records the trainer, the desk or a customer's partition would wait for ever,
# or decide something else: they stay in the outbox and are tried again until their topic is mended.
MAY_BE_DROPPED: Final = (DEAD_LETTERS, ALERTS, SCORES)
_TRIM_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 3.0  # until a record that was refused for good is tried again
REMIND_SECONDS: Final = 60.0  # between two lines of the log about it
MEND: Final = "Mend the topic (max.message.bytes, cleanup.policy; see `stream-app topics check`)"
_LAST_SECONDS: Final = 5.0  # of a stop; what Kafka does not take by then stands in the outbox
_log = logging.getLogger(__name__)


class Producer(Protocol):
    """What the relay needs of a producer: aiokafka's is one. Records of a partition must stay in order."""

    async def send(  # noqa: D102 - see aiokafka
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> asyncio.Future[object]: ...

    def take_back(self, topic: str, partition: int, records: int) -> None:
        """Let the next record follow the last one that the broker has taken, not these, which it has refused."""
        ...


@dataclass
class _Sent:
    """A record that was given to the producer, and what came of it."""

    sequence: int
    outgoing: Outgoing
    future: asyncio.Future[object] | None  # None: the client has not taken it
    refusal: Exception | None = None


class OutboxRelay:
    """The outbox of one partition number.

    Args:
        number: of the partition.
        store: where the outbox is.
        producer: idempotent, all replicas acknowledge.
        topics: names by role.
        on_sent: told the role of every record that Kafka has.
        on_dropped: told the role of every record that the broker refused for good.
        on_step: told before records are produced, and after; for tests that crash there.
    """

    def __init__(
        self,
        number: int,
        store: StateStore,
        producer: Producer,
        topics: Mapping[str, str],
        on_sent: Callable[[str], None] = lambda _: None,
        on_step: Callable[[str], None] = lambda _: None,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.number = number
        self.relayed = 0  # sequence up to which Kafka has everything
        self.refused = ""  # what Kafka refuses for good and others wait for, and the remedy; empty: nothing
        self._store, self._producer, self._topics = store, producer, topics
        self._on_sent, self._on_step, self._on_dropped = on_sent, on_step, on_dropped
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._fits = MAX_RECORD_BYTES  # bytes of a dead letter that its topic takes, as far as is known
        self._begun: set[tuple[str, int]] = set()  # where the broker knows the producer's numbers, of what is kept
        self._trimmed = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def pending(self) -> int:
        """Records that are stored and not yet in Kafka."""
        return len(self._pending)

    async def recover(self) -> None:
        """Take up what an earlier owner stored and may not have sent."""
        after = 0
        while entries := await self._store.outbox(self.number, after, _CHUNK):
            self._queue(entries)
            after = entries[-1][0]
        self._changed.set()

    def add(self, first: int, records: list[bytes]) -> None:
        """Take up the outbox of a commit, whose first sequence number is given."""
        self._queue(enumerate(records, start=first))
        if self._pending:
            self._changed.set()

    def _queue(self, entries: Iterable[tuple[int, bytes]]) -> None:
        for entry in entries:
            self._pending.append(entry)
            self._pending_bytes += len(entry[1])
        if not self._has_room:
            self._room.clear()

    @property
    def _has_room(self) -> bool:
        return len(self._pending) <= MAX_PENDING and self._pending_bytes <= MAX_PENDING_BYTES

    async def has_room(self) -> None:
        """Wait until Kafka has caught up with the commits."""
        await self._room.wait()

    def noted_trim(self, through: int) -> None:
        """A commit has trimmed the outbox on its way."""
        self._trimmed = max(self._trimmed, through)

    async def run(self) -> None:
        """OutboxRelay until cancelled; trims by itself only when no commit does it."""
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
        """Produce all that is pending, and wait until Kafka has it."""
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
        """Produce some records. What is refused is tried again one by one: a whole batch is refused for one of it."""
        sent = []
        for sequence, record in chunk:
            one = await self._send(sequence, unpack(record, Outgoing))
            place = one.outgoing.topic, one.outgoing.partition
            if place[0] in MAY_BE_DROPPED or place in self._begun:
                sent.append(one)
                continue
            # Behind a refused record the broker refuses all that follows, by the producer's numbers; but the first
            # number that it hears in a partition may be any. What came before its turn would hide what comes late.
            if not await self._is_taken(one):
                self._take_back([one], [one])
                await self._produce_alone(one)
            self._begun.add(place)
        refused = [one for one in sent if not await self._is_taken(one)]
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
        except TOO_LARGE as error:  # the client itself does not take it
            return _Sent(sequence, outgoing, None, error)
        return _Sent(sequence, outgoing, future)

    async def _is_taken(self, sent: _Sent) -> bool:
        """Wait for the answer. Raises KafkaDenied, which is not for good: the record stays in the outbox."""
        try:
            if sent.future is not None:
                with refusals("Write", topic=self._topics[sent.outgoing.topic]):
                    await sent.future
        except (*REFUSED, _OUT_OF_ORDER) as error:
            sent.refusal = error
        if sent.refusal is not None:
            return False
        self._on_sent(sent.outgoing.topic)
        return True

    def _take_back(self, sent: Sequence[_Sent], refused: Sequence[_Sent]) -> None:
        """Tell the producer how many records at the end of each topic partition have not become part of it.

        aiokafka numbers them all the same, and at the gap the broker would refuse everything that follows.
        """
        if not refused:
            return
        trailing: Counter[tuple[str, int]] = Counter()
        for one in sent:
            place = one.outgoing.topic, one.outgoing.partition
            if one.refusal is None:
                trailing[place] = 0
            elif one.future is not None:
                trailing[place] += 1
        for (role, partition), records in trailing.items():
            if records:
                self._producer.take_back(self._topics[role], partition, records)

    async def _produce_alone(self, sent: _Sent) -> None:
        """Produce a record by itself, a dead letter shorter and shorter; what is refused even so is dropped.

        What others wait for is not dropped: wait here until its topic is mended.
        """
        role, limit, reminded = sent.outgoing.topic, min(sent.outgoing.size, self._fits), -REMIND_SECONDS
        while not await self._is_taken(again := await self._send(sent.sequence, sent.outgoing)):
            self._take_back([again], [again])
            if isinstance(again.refusal, _OUT_OF_ORDER):  # though nothing was refused before it
                raise again.refusal
            too_large = isinstance(again.refusal, TOO_LARGE)
            if role == DEAD_LETTERS and too_large and limit > MIN_DEAD_BYTES:
                self._fits = limit = max(min(limit, again.outgoing.size) // 2, MIN_DEAD_BYTES)
                continue
            if role in MAY_BE_DROPPED or again.outgoing.size > MAX_RECORD_BYTES:
                self._drop(again)
                return
            self.refused = self._told(again)
            if time.monotonic() - reminded >= REMIND_SECONDS:
                reminded = time.monotonic()
                _log.error("refused for good and kept", extra={"problem": self.refused, "pending": self.pending})
            await asyncio.sleep(_RETRY_SECONDS)
        if self.refused:
            self.refused = ""
            _log.warning("what was refused is taken", extra={"topic": self._topics[role], "sequence": sent.sequence})

    def _told(self, sent: _Sent) -> str:
        outgoing = sent.outgoing
        place, why = f"{self._topics[outgoing.topic]}[{outgoing.partition}]", sent.refusal
        return (
            f"{place} refuses record {sent.sequence} ({outgoing.size:,} bytes), which others wait for: {why}. {MEND}:"
            f" the record is kept in Redis and tried again every {_RETRY_SECONDS:.0f} s"
        )

    def _drop(self, sent: _Sent) -> None:
        """Go on without a record."""
        outgoing = sent.outgoing
        self._on_dropped(outgoing.topic)
        extra = {"topic": self._topics[outgoing.topic], "partition": outgoing.partition, "sequence": sent.sequence}
        _log.error("refused for good and dropped", extra=extra | {"bytes": outgoing.size, "problem": str(sent.refusal)})

    async def drain(self) -> None:
        """Send what is left, and trim."""
        await self.flush()
        await self._trim()

    async def close(self) -> None:
        """Drain if Kafka answers soon; otherwise whoever takes up the outbox next sends what is left."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.drain()
        except TimeoutError:
            _log.warning(
                "Kafka does not take what is left to tell: the next start sends it", extra={"left": self.pending}
            )

    async def _trim(self) -> None:
        if self.relayed > self._trimmed:
            await self._store.trim(self.number, self.relayed)
            self._trimmed = self.relayed
