"""Sends due messages to one channel. Each channel has its own sender, so a dead receiver delays no other channel."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.units import SECOND_US
from stream_app.metrics.notifier import DeliveryMetrics
from stream_app.notifications.channels.channel import Channel
from stream_app.services.notifier.commits import Commits

LONGEST_SLEEP_SECONDS: Final = 5.0  # limits the effect of changes of the system clock
_HARD_LIMIT: Final = 2.0  # multiple of the channel's own timeout, in case the channel hangs
_OUTCOMES: Final = {Delivered: "delivered", Retry: "retry", Refused: "refused", Gone: "gone"}
_log = logging.getLogger(__name__)


class Sender:
    """Sends the messages of one channel.

    Args:
        name: name of the channel.
        channel: receiver.
        scheduler: scheduler of pending deliveries.
        commits: stores the results.
        metrics: delivery metrics.
        concurrency: maximum number of concurrent requests.
        timeout_seconds: timeout of a request.
        now: returns microseconds since 1970.
        on_step: called before and after an attempt; tests use it to simulate crashes.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - dependencies and settings
        self,
        name: str,
        channel: Channel,
        scheduler: DeliveryScheduler,
        commits: Commits,
        metrics: DeliveryMetrics,
        concurrency: int,
        timeout_seconds: float,
        now: Callable[[], int],
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name, self._channel, self._scheduler, self._commits = name, channel, scheduler, commits
        self._metrics = metrics
        self._concurrency, self._timeout_seconds = concurrency, timeout_seconds
        self._now, self._on_step = now, on_step
        self._under_way: set[asyncio.Task[None]] = set()
        self.due = asyncio.Event()  # set it to check for due messages now

    async def run(self) -> None:
        """Send due messages until cancelled. Raises CommitRefused."""
        while True:
            self.due.clear()
            if self._scheduler.write_digest(self._name, self._now()):
                await self._commits.store()
                continue
            while len(self._under_way) < self._concurrency:
                outbound = self._scheduler.next_message(self._name, self._now())
                if outbound is None:
                    break
                task = asyncio.create_task(self._send(outbound))
                self._under_way.add(task)
                task.add_done_callback(self._ended)
            await self._commits.store()  # deliveries that ended without being sent
            await self._sleep()

    async def finish(self, seconds: float) -> None:
        """Wait for requests in progress."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.due.set()
        if task.cancelled() or task.exception() is None:
            self._under_way.discard(task)  # a failed task stays in the set, and `_sleep` raises its error

    async def _sleep(self) -> None:
        for task in self._under_way:
            if task.done():
                task.result()
        at = self._scheduler.wake_at(self._name, self._now()) if len(self._under_way) < self._concurrency else None
        wait = LONGEST_SLEEP_SECONDS if at is None else (at - self._now()) / SECOND_US
        # `wait_for` of Python 3.11 may lose a cancellation; `timeout` does not.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait, 0.001), LONGEST_SLEEP_SECONDS)):
                await self.due.wait()

    async def _send(self, outbound: OutboundMessage) -> None:
        tried_at, started = self._now(), time.perf_counter()
        self._on_step("attempt")
        answer = await self._tried(outbound)
        self._on_step("attempted")
        self._metrics.duration.observe(time.perf_counter() - started)
        self._metrics.attempts.labels(self._name, _OUTCOMES[type(answer)]).inc()
        if not isinstance(answer, Delivered):
            extra = {"channel": self._name, "message_id": outbound.id, "failures": outbound.attempts + 1}
            _log.warning("Delivery failed", extra={**extra, "reason": answer.reason})
        self._scheduler.record_answer(outbound.id, answer, tried_at, self._now())
        await self._commits.store()

    async def _tried(self, outbound: OutboundMessage) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds * _HARD_LIMIT):
                return await self._channel.send(outbound)
        except TimeoutError:
            return Retry("the channel did not finish in time")
        # A bug in one channel must not stop the others. The message may contain an address, so it is not logged.
        except Exception as error:  # noqa: BLE001
            _log.error("Channel failed", extra={"channel": self._name, "error": type(error).__name__})
            return Retry(f"the channel failed: {type(error).__name__}")
