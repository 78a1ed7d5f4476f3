"""The relay of an outbox: what a commit has stored is produced to Kafka in order, and then trimmed.

A crash between the two sends records again. They carry the partition's sequence number, by which internal receivers
recognise them; and the ids in them are those of the first time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from stream_app.adapters.kafka_last import SEQUENCE
from stream_app.adapters.kafka_refusals import refusals
from stream_app.core.messages import Outgoing, unpack
from stream_app.ports import StateStore

MAX_PENDING: Final = 2_000  # records; beyond it the lane waits for Kafka
_CHUNK: Final = 500
_TRIM_SECONDS: Final = 1.0
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


class Relay:
    """The outbox of one partition number.

    Args:
        number: of the partition.
        store: where the outbox is.
        producer: idempotent, all replicas acknowledge.
        topics: names by role.
        on_sent: told the role of every record that Kafka has.
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
    ) -> None:
        self.number = number
        self.relayed = 0  # sequence up to which Kafka has everything
        self._store, self._producer, self._topics = store, producer, topics
        self._on_sent, self._on_step = on_sent, on_step
        self._pending: deque[tuple[int, bytes]] = deque()
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
            self._pending.extend(entries)
            after = entries[-1][0]
        self._changed.set()

    def add(self, first: int, records: list[bytes]) -> None:
        """Take up the outbox of a commit, whose first sequence number is given."""
        self._pending.extend(enumerate(records, start=first))
        if self._pending:
            self._changed.set()
        if len(self._pending) > MAX_PENDING:
            self._room.clear()

    async def has_room(self) -> None:
        """Wait until Kafka has caught up with the commits."""
        await self._room.wait()

    def noted_trim(self, through: int) -> None:
        """A commit has trimmed the outbox on its way."""
        self._trimmed = max(self._trimmed, through)

    async def run(self) -> None:
        """Relay until cancelled; trims by itself only when no commit does it."""
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
            chunk = [self._pending[place] for place in range(min(_CHUNK, len(self._pending)))]
            self._on_step("produce")
            with refusals("Write"):
                sent = [(await self._send(*entry), entry[0]) for entry in chunk]
                for future, _ in sent:
                    await future
            self._on_step("produced")
            for _ in chunk:
                self._pending.popleft()
            self.relayed = chunk[-1][0]
            if len(self._pending) <= MAX_PENDING:
                self._room.set()

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

    async def _send(self, sequence: int, record: bytes) -> asyncio.Future[object]:
        outgoing = unpack(record, Outgoing)
        self._on_sent(outgoing.topic)
        return await self._producer.send(
            self._topics[outgoing.topic],
            value=outgoing.value,
            key=outgoing.key,
            partition=outgoing.partition,
            headers=[*outgoing.headers, (SEQUENCE, str(sequence).encode())],
        )

    async def _trim(self) -> None:
        if self.relayed > self._trimmed:
            await self._store.trim(self.number, self.relayed)
            self._trimmed = self.relayed


def sequence_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """The sequence number of a relayed record; 0 if it was produced by somebody else.

    >>> sequence_of([("sequence", b"7")]), sequence_of([])
    (7, 0)
    """
    for name, value in headers:
        if name == SEQUENCE and value:
            return int(value)
    return 0
