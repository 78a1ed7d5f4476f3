"""Counts, logs and skips the records that a service cannot process, and writes them to the dead-letter topic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from faust.types.tuples import TP

from stream_app.adapters.kafka.refusals import REFUSED, TOO_LARGE, refusals
from stream_app.config import LiveConfig
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.dead_letters import MIN_DEAD_BYTES, DeadLetter, Record, cut, dead_letter, dead_letter_of
from stream_app.core.messages.outgoing import MAX_RECORD_BYTES
from stream_app.metrics.runtime import SkippedMetrics
from stream_app.services.runtime.producer import start_producer, stop_producer

_LINES: Final = 10  # log lines per minute; a topic full of foreign records must not fill the disk
_MINUTE: Final = 60.0  # seconds
_REASON_CHARS: Final = 300
_AT_ONCE: Final = 500  # dead letters in flight
_WRITE_SECONDS: Final = 10.0  # timeout for that many dead letters; a leader election takes less time
_PAUSE_SECONDS: Final = 30.0  # pause after a timeout, without attempts
_log = logging.getLogger(__name__)


class SkippedRecords:
    """Handles the skipped records of one topic.

    Call `add` for each record, then `write_dead_letters` before the stored position moves past them. A record that is
    read again after a crash becomes a dead letter again.

    A dead letter that Kafka rejects is logged and discarded; it never ends the service. The producer is therefore not
    idempotent, because a rejected record would leave a gap in its sequence numbers, and it connects on first use.

    Args:
        metrics: the process's metrics.
        role: role of the topic.
        config: Kafka settings.
        clock: returns monotonic seconds.
    """

    def __init__(
        self, metrics: SkippedMetrics, role: str, config: LiveConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count, self._clock = metrics.records.labels(role), clock
        self._role, self._config = role, config
        self._records, self._failures = _RateLimit(clock), _RateLimit(clock)
        self._added: list[tuple[TP, DeadLetter]] = []
        self._producer: AIOKafkaProducer | None = None
        self._fits = MAX_RECORD_BYTES  # known maximum size of a dead letter
        self._paused_until = 0.0

    def add(self, tp: TP, record: Record, rejected: Rejected) -> None:
        """Count and log a record. Log lines are rate-limited."""
        self._count.inc()
        dead = dead_letter_of(self._role, record, rejected)
        self._added.append((tp, dead))
        why = {"reason": dead.rejected.reason[:_REASON_CHARS], "field": dead.rejected.field[:_REASON_CHARS]}
        self._records.log(logging.WARNING, "Record skipped", _place(tp, record.offset) | why)

    async def write_dead_letters(self) -> None:
        """Write the dead letters of all added records. Return when they have been acknowledged or discarded."""
        added, self._added = self._added, []
        for start in range(0, len(added), _AT_ONCE):
            await self._write([_Attempt(tp, dead) for tp, dead in added[start : start + _AT_ONCE]])

    async def close(self) -> None:
        """Close the connections."""
        if self._producer is not None:
            await stop_producer(self._producer)

    async def _write(self, attempts: Sequence[_Attempt]) -> None:
        if self._clock() >= self._paused_until:
            try:
                async with asyncio.timeout(_WRITE_SECONDS):
                    await self._write_all(attempts)
            except TimeoutError:
                self._paused_until = self._clock() + _PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 - no connection, for whatever reason: the service continues
                for attempt in attempts:
                    attempt.problem = error
        for attempt in attempts:
            if not attempt.written:
                problem = attempt.problem
                text = "Kafka does not answer" if problem is None else str(problem) or type(problem).__name__
                place = _place(attempt.tp, attempt.dead.record.offset)
                self._failures.log(logging.ERROR, "Dead letter not written", place | {"problem": text})

    async def _write_all(self, attempts: Sequence[_Attempt]) -> None:
        """Write all dead letters, then retry the rejected ones one at a time: one bad record can make a batch fail.

        Raises connection errors.
        """
        if self._producer is None:
            self._producer = await start_producer(self._config, idempotent=False)
        producer = self._producer
        await asyncio.gather(*(self._write_one(producer, attempt) for attempt in attempts))
        for attempt in attempts:
            if isinstance(attempt.problem, REFUSED):
                await self._write_one(producer, attempt)
                while isinstance(attempt.problem, TOO_LARGE) and attempt.limit > MIN_DEAD_BYTES:
                    self._fits = attempt.limit = max(attempt.limit // 2, MIN_DEAD_BYTES)
                    await self._write_one(producer, attempt)

    async def _write_one(self, producer: AIOKafkaProducer, attempt: _Attempt) -> None:
        topic, tp = self._config.kafka.topics.dead_letters, attempt.tp
        whole = dead_letter(attempt.dead, tp.topic, tp.partition)
        short = cut(whole, min(attempt.limit, self._fits))
        attempt.limit = short.size
        try:
            with refusals("Write", topic=topic):
                sent = await producer.send(topic, short.value, short.key, short.partition, headers=short.headers)
                await sent
        except Exception as error:  # noqa: BLE001 - for whatever reason: the service continues
            attempt.problem = error
        else:
            attempt.problem, attempt.written = None, True


@dataclass
class _Attempt:
    tp: TP
    dead: DeadLetter
    limit: int = MAX_RECORD_BYTES
    problem: Exception | None = None
    written: bool = False


class _RateLimit:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._since = clock, clock()
        self._lines = self._suppressed = 0

    def log(self, level: int, message: str, extra: Mapping[str, object]) -> None:
        """Log a line unless the limit has been reached. The next logged line contains the number of suppressed ones."""
        now = self._clock()
        if now - self._since >= _MINUTE:
            self._since, self._lines = now, 0
        if self._lines >= _LINES:
            self._suppressed += 1
            return
        self._lines += 1
        _log.log(level, message, extra={**extra, "suppressed": self._suppressed})
        self._suppressed = 0


def _place(tp: TP, offset: int) -> dict[str, object]:
    return {"topic": tp.topic, "partition": tp.partition, "offset": offset}
