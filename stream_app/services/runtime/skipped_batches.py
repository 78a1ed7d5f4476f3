"""Records that a service cannot use: counted, logged, kept as dead letters and passed over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from faust.types.tuples import TP

from stream_app.adapters.kafka.refusals import refusals
from stream_app.config import LiveConfig
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.decoding import MIN_DEAD_BYTES, DeadLetter, Record, cut, dead_letter, dead_letter_of
from stream_app.core.messages.schema import MAX_RECORD_BYTES
from stream_app.metrics.runtime import SkippedMetrics
from stream_app.services.runtime.faust_app import make_producer, stop_producer
from stream_app.services.runtime.outbox_relay import REFUSED, TOO_LARGE

_LINES: Final = 10  # of the log in a minute; a topic full of foreign records must not fill the disk
_MINUTE: Final = 60.0  # seconds
_REASON_CHARS: Final = 300
_AT_ONCE: Final = 500  # dead letters on their way
_WRITE_SECONDS: Final = 10.0  # for that many; a leader is elected in less
_REST_SECONDS: Final = 30.0  # after that Kafka is not asked
_log = logging.getLogger(__name__)


class SkippedBatches:
    """What a service passes over.

    Use: `note` each record, then `bury` before the position that is stored moves past them. A record that is read
    again, since the service was killed meanwhile, becomes a dead letter again.

    A dead letter that Kafka does not take is logged and given up: it never ends the service. So its producer has no
    numbers, in which a refused record would leave a gap, and it connects only when there is something to write.

    Args:
        metrics: of the process.
        role: of the topic.
        config: where Kafka is, and the names of the topics.
        clock: seconds that never go back.
    """

    def __init__(
        self, metrics: SkippedMetrics, role: str, config: LiveConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._clock = metrics.records.labels(role), clock
        self._role, self._config = role, config
        self._records, self._failures = _Lines(clock), _Lines(clock)
        self._noted: list[tuple[TP, DeadLetter]] = []
        self._producer: AIOKafkaProducer | None = None
        self._fits = MAX_RECORD_BYTES  # bytes of a dead letter that its topic takes, as far as is known
        self._rests_until = 0.0

    def note(self, tp: TP, record: Record, rejected: Rejected) -> None:
        """Count a record, and log it unless many were logged within the last minute."""
        self._count.inc()
        dead = dead_letter_of(self._role, record, rejected)
        self._noted.append((tp, dead))
        why = {"reason": dead.rejected.reason[:_REASON_CHARS], "field": dead.rejected.field[:_REASON_CHARS]}
        self._records.log(logging.WARNING, "record skipped", _place(tp, record.offset) | why)

    async def bury(self) -> None:
        """Write the dead letters of what was noted. Return when Kafka has them, or when they are given up."""
        noted, self._noted = self._noted, []
        for start in range(0, len(noted), _AT_ONCE):
            await self._bury(noted[start : start + _AT_ONCE])

    async def close(self) -> None:
        """Close the connections."""
        if self._producer is not None:
            await stop_producer(self._producer)

    async def _bury(self, noted: Sequence[tuple[TP, DeadLetter]]) -> None:
        attempts = [_Letter(tp, dead) for tp, dead in noted]
        if self._clock() >= self._rests_until:
            try:
                async with asyncio.timeout(_WRITE_SECONDS):
                    await self._write(attempts)
            except TimeoutError:
                self._rests_until = self._clock() + _REST_SECONDS
            except Exception as error:  # noqa: BLE001 - no connection, for whatever reason: the service goes on
                for attempt in attempts:
                    attempt.problem = error
        for attempt in attempts:
            if not attempt.written:
                told = _place(attempt.tp, attempt.dead.record.offset) | {"problem": _words(attempt.problem)}
                self._failures.log(logging.ERROR, "dead letter not written", told)

    async def _write(self, attempts: Sequence[_Letter]) -> None:
        """Write all at once, then those that are refused one by one: a whole batch is refused for one of its records.

        Raises what keeps the producer from connecting.
        """
        producer = await self._connected()
        await asyncio.gather(*(self._write_one(producer, attempt) for attempt in attempts))
        for attempt in attempts:
            if isinstance(attempt.problem, REFUSED):
                await self._write_one(producer, attempt)
                while isinstance(attempt.problem, TOO_LARGE) and attempt.limit > MIN_DEAD_BYTES:
                    self._fits = attempt.limit = max(attempt.limit // 2, MIN_DEAD_BYTES)
                    await self._write_one(producer, attempt)

    async def _write_one(self, producer: AIOKafkaProducer, attempt: _Letter) -> None:
        topic, tp = self._config.kafka.topics.dead_letters, attempt.tp
        whole = dead_letter(attempt.dead, tp.topic, tp.partition)
        short = cut(whole, min(attempt.limit, self._fits))
        attempt.limit = short.size
        try:
            with refusals("Write", topic=topic):
                sent = await producer.send(topic, short.value, short.key, short.partition, headers=short.headers)
                await sent
        except Exception as error:  # noqa: BLE001 - whatever it is, the service goes on
            attempt.problem = error
        else:
            attempt.problem, attempt.written = None, True

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = make_producer(self._config, idempotent=False)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


@dataclass
class _Letter:
    """A dead letter on its way."""

    tp: TP
    dead: DeadLetter
    limit: int = MAX_RECORD_BYTES
    problem: Exception | None = None
    written: bool = False


class _Lines:
    """Lines of the log, a few a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._since = clock, clock()
        self._lines = self._unlogged = 0

    def log(self, level: int, message: str, extra: Mapping[str, object]) -> None:
        """Log a line, unless many were logged within the last minute; the next one says how many were left out."""
        now = self._clock()
        if now - self._since >= _MINUTE:
            self._since, self._lines = now, 0
        if self._lines >= _LINES:
            self._unlogged += 1
            return
        self._lines += 1
        _log.log(level, message, extra={**extra, "unlogged": self._unlogged})
        self._unlogged = 0


def _place(tp: TP, offset: int) -> dict[str, object]:
    return {"topic": tp.topic, "partition": tp.partition, "offset": offset}


def _words(problem: Exception | None) -> str:
    return "Kafka does not answer" if problem is None else str(problem) or type(problem).__name__
