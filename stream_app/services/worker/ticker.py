"""Writes the ticks of all partitions, and the policies that they name, while this worker holds the lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from stream_app.adapters.kafka.refusals import FIX_TOPIC, REFUSED, refusals
from stream_app.core.messages.schema import PolicyRecord, Tick, encode_message
from stream_app.core.schedule import Moment, due_ticks
from stream_app.core.settings import Settings
from stream_app.core.units import MILLISECOND_US, from_micros
from stream_app.ports import Lease, ModelStore, PolicyStore, Published
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
        policies: store of the contact policies, one of which each tick names.
        producer: idempotent producer.
        topic: topic of the ticks.
        control: topic of the policies' contents.
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
        policies: PolicyStore,
        producer: RecordProducer,
        topic: str,
        control: str,
        partitions: int,
        settings: Settings,
        holder: str,
        every: int,
        ttl: int,
    ) -> None:
        self._lease, self._models, self._policies, self._producer = lease, models, policies, producer
        self._topic, self._control, self._partitions, self._settings = topic, control, partitions, settings
        self._holder, self._every, self._ttl_ms = holder, every, ttl // MILLISECOND_US
        self.owner = False
        self.refused = ""  # problem and remedy, while a topic rejects records
        self._writing = topic
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
        last, now = await self._lease.last(), await self._lease.now() - SETTLE_US
        # Read after the clock: a policy that is published later is in force from a later time than these ticks.
        policies = await self._policies.published()
        due = due_ticks(last, now, self._every, self._settings, [one.effective_at for one in policies])
        for moment in due:
            policy = max((one for one in policies if one.effective_at <= moment.at), default=None)
            if policy is not None and (last is None or policy.effective_at > last):
                await self._write_policy(policy, moment.at)
            await self._write(moment, "" if policy is None else policy.version)
            last = moment.at
            # Advance after writing: after a crash in between, the tick is written twice, which is harmless.
            if not await self._lease.advance(self._holder, moment.at):
                self.owner = False
                break
        return len(due)

    async def _write_policy(self, policy: Published, at: int) -> None:
        """Write the content of a policy before the first tick that names it."""
        content = await self._policies.content(policy.version)
        record = PolicyRecord(from_micros(at), policy.version, msgspec.Raw(content or b"{}"))
        await self._send(self._control, encode_message(record), [0])

    async def _write(self, moment: Moment, policy: str) -> None:
        version = await self._models.pinned()
        if version is None:
            version = await self._models.version_at(moment.at) or 0
        tick = Tick(
            occurred_at=from_micros(moment.at),
            version=version,
            learns=moment.learns,
            nominates=moment.nominates,
            policy=policy,
        )
        await self._send(self._topic, encode_message(tick), range(self._partitions))

    async def _send(self, topic: str, value: bytes, partitions: Iterable[int]) -> None:
        """Write a record to partitions, and wait until the broker has acknowledged or rejected each."""
        self._writing = topic
        with refusals("Write"):
            sent = {number: await self._producer.send(topic, value=value, partition=number) for number in partitions}
            refusal: Exception | None = None
            for number, future in sent.items():
                try:
                    await future
                except REFUSED as error:
                    self._producer.take_back(topic, number, 1)
                    refusal = error
        if refusal is not None:
            raise refusal

    def _report_refused(self, error: Exception) -> None:
        now = time.monotonic()
        if not self.refused or now - self._reminded >= REMIND_SECONDS:
            self._reminded = now
            _log.error("Tick rejected, retrying", extra={"topic": self._writing, "problem": str(error)})
        what = "ticks" if self._writing == self._topic else "contact policies"
        self.refused = f"{self._writing} rejects {what}: {error}. {FIX_TOPIC}"
