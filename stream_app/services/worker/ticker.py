"""The owner of the clock: of all workers the one that holds the lease writes the ticks."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from stream_app.adapters.kafka.refusals import refusals
from stream_app.core.messages.schema import Tick, encode_message
from stream_app.core.schedule import Moment, due_ticks
from stream_app.core.settings import Settings
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.ports import Lease, ModelStore
from stream_app.services.runtime.outbox_relay import MEND, REFUSED, REMIND_SECONDS, Producer

SETTLE_US: Final = 2_000_000  # what happened so long ago has reached its topic, so that hardly an event comes late
_LOOK_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


class Ticker:
    """Writes ticks while it holds the lease.

    Args:
        lease: one for all workers, with one clock for all.
        models: which version is in force.
        producer: idempotent.
        topic: of the ticks.
        partitions: a tick goes to each.
        settings: of the shop: when the trainer's and the desk's moments are.
        holder: name of this worker.
        every: microseconds between two ticks.
        ttl: of the lease, microseconds.
    """

    def __init__(  # noqa: PLR0913 - what a clock needs
        self,
        *,
        lease: Lease,
        models: ModelStore,
        producer: Producer,
        topic: str,
        partitions: int,
        settings: Settings,
        holder: str,
        every: int,
        ttl: int,
    ) -> None:
        self._lease, self._models, self._producer = lease, models, producer
        self._topic, self._partitions, self._settings = topic, partitions, settings
        self._holder, self._every, self._ttl_ms = holder, every, ttl // 1_000
        self.owner = False
        self.refused = ""  # why the topic takes no tick, and the remedy; empty: it does
        self._reminded = 0.0

    async def run(self) -> None:
        """Until cancelled. A tick that the broker refuses is tried again at the next look: a topic can be mended."""
        try:
            while True:
                try:
                    await self.look()
                    self.refused = ""
                except REFUSED as error:
                    self._note_refused(error)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            if self.owner:
                await self._lease.release(self._holder)

    async def look(self) -> int:
        """Write what is due, if the clock is ours; returns how many ticks that were."""
        owned = await self._lease.acquire(self._holder, self._ttl_ms)
        if owned != self.owner:
            _log.info("clock taken" if owned else "clock lost")
        self.owner = owned
        if not owned:
            return 0
        due = due_ticks(await self._lease.last(), await self._lease.now() - SETTLE_US, self._every, self._settings)
        for moment in due:
            await self._write(moment)
            # After the tick is written: a crash in between writes it again, and a tick may come twice.
            if not await self._lease.advance(self._holder, moment.at):
                self.owner = False
                break
        return len(due)

    async def _write(self, moment: Moment) -> None:
        version = await self._models.pinned()
        if version is None:
            version = await self._models.version_at(moment.at) or 0
        tick = Tick(
            occurred_at=EPOCH + moment.at * MICROSECOND,
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

    def _note_refused(self, error: Exception) -> None:
        now = time.monotonic()
        if not self.refused or now - self._reminded >= REMIND_SECONDS:
            self._reminded = now
            _log.error("refused for good, tried again", extra={"topic": self._topic, "problem": str(error)})
        self.refused = f"{self._topic} refuses a tick: {error}. {MEND}"
