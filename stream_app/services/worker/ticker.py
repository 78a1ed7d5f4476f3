"""Writes the ticks of all partitions while this worker holds the lease."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from stream_app.adapters.kafka.refusals import FIX_TOPIC, REFUSED, refusals
from stream_app.core.messages.schema import Tick, encode_message
from stream_app.core.schedule import Moment, due_ticks
from stream_app.core.settings import Settings
from stream_app.core.units import MILLISECOND_US, from_micros
from stream_app.ports import Lease, ModelStore
from stream_app.services.runtime.outbox_relay import REMIND_SECONDS
from stream_app.services.runtime.producer import RecordProducer

SETTLE_US: Final = 2_000_000  # delay of a tick; earlier events have then reached their topics
_POLL_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


class Ticker:
    """Writes ticks while this worker holds the lease.

    Args:
        lease: lease shared by all workers.
        models: store of the model versions, one of which each tick activates.
        producer: idempotent producer.
        topic: topic of the ticks.
        partitions: number of partitions, each of which gets every tick.
        settings: the shop's settings, for the times of training and allocation rounds.
        holder: name of this worker.
        every: microseconds between two ticks.
        ttl: lifetime of the lease, microseconds.
    """

    def __init__(  # noqa: PLR0913 - dependencies and settings
        self,
        *,
        lease: Lease,
        models: ModelStore,
        producer: RecordProducer,
        topic: str,
        partitions: int,
        settings: Settings,
        holder: str,
        every: int,
        ttl: int,
    ) -> None:
        self._lease, self._models, self._producer = lease, models, producer
        self._topic, self._partitions, self._settings = topic, partitions, settings
        self._holder, self._every, self._ttl_ms = holder, every, ttl // MILLISECOND_US
        self.owner = False
        self.refused = ""  # problem and remedy, while the topic rejects ticks
        self._reminded = 0.0

    async def run(self) -> None:
        """Write due ticks until cancelled. A rejected tick is retried, because an operator may fix the topic."""
        try:
            while True:
                try:
                    await self.write_due()
                    self.refused = ""
                except REFUSED as error:
                    self._report_refused(error)
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            if self.owner:
                await self._lease.release(self._holder)

    async def write_due(self) -> int:
        """Write the due ticks if this worker holds the lease. Return how many were written."""
        owned = await self._lease.acquire(self._holder, self._ttl_ms)
        if owned != self.owner:
            _log.info("Tick lease acquired" if owned else "Tick lease lost")
        self.owner = owned
        if not owned:
            return 0
        due = due_ticks(await self._lease.last(), await self._lease.now() - SETTLE_US, self._every, self._settings)
        for moment in due:
            await self._write(moment)
            # Advance after writing: after a crash in between, the tick is written twice, which is harmless.
            if not await self._lease.advance(self._holder, moment.at):
                self.owner = False
                break
        return len(due)

    async def _write(self, moment: Moment) -> None:
        version = await self._models.pinned()
        if version is None:
            version = await self._models.version_at(moment.at) or 0
        tick = Tick(
            occurred_at=from_micros(moment.at),
            version=version,
            learns=moment.learns,
            nominates=moment.nominates,
        )
        value = encode_message(tick)
        with refusals("Write"):
            sent = [
                await self._producer.send(self._topic, value=value, partition=number)
                for number in range(self._partitions)
            ]
            refusal: Exception | None = None
            for number, future in enumerate(sent):
                try:
                    await future
                except REFUSED as error:
                    self._producer.take_back(self._topic, number, 1)
                    refusal = error
        if refusal is not None:
            raise refusal

    def _report_refused(self, error: Exception) -> None:
        now = time.monotonic()
        if not self.refused or now - self._reminded >= REMIND_SECONDS:
            self._reminded = now
            _log.error("Tick rejected, retrying", extra={"topic": self._topic, "problem": str(error)})
        self.refused = f"{self._topic} rejects ticks: {error}. {FIX_TOPIC}"
