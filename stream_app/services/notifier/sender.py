"""Works off what is due on one channel. Each channel has a sender of its own: one dead receiver delays nobody else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stream_app.config.fields import SECOND_US
from stream_app.core.delivery.answer import Answer, Delivered, Gone, Refused, Retry
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.metrics import DeliveryMetrics
from stream_app.notifications.channels.channel import Channel
from stream_app.services.notifier.commits import Commits

LONGEST_SLEEP_SECONDS: Final = 5.0  # a clock that was set is noticed
_HARD_LIMIT: Final = 2.0  # of a channel's own timeout: whatever hangs in it does not hang us
_OUTCOMES: Final = {Delivered: "delivered", Retry: "retry", Refused: "refused", Gone: "gone"}
_log = logging.getLogger(__name__)


class Sender:
    """One channel at work.

    Args:
        name: of the channel.
        channel: the receiver.
        book: what is pending.
        commits: stores what comes of it.
        metrics: of deliveries.
        concurrency: so many requests at once.
        timeout_seconds: of one request.
        now: microseconds since 1970.
        on_step: told before a letter is sent and after it; for tests that crash there.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - it stands between all of them
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
        self._name, self._channel, self._book, self._commits, self._metrics = name, channel, scheduler, commits, metrics
        self._concurrency, self._timeout_seconds = concurrency, timeout_seconds
        self._now, self._on_step = now, on_step
        self._under_way: set[asyncio.Task[None]] = set()
        self._new = asyncio.Event()

    def wake(self) -> None:
        """Something new may be due."""
        self._new.set()

    async def run(self) -> None:
        """Send until cancelled. Ends with the error of a commit that was refused."""
        while True:
            self._new.clear()
            if self._book.write_digest(self._name, self._now()):
                await self._commits.store()
                continue
            while len(self._under_way) < self._concurrency:
                outbound = self._book.next_message(self._name, self._now())
                if outbound is None:
                    break
                task = asyncio.create_task(self._send(outbound))
                self._under_way.add(task)
                task.add_done_callback(self._ended)
            await self._commits.store()  # what has ended without being sent, if anything has
            await self._sleep()

    async def finish(self, seconds: float) -> None:
        """Let the requests under way come to their end."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._new.set()
        if task.cancelled() or task.exception() is None:
            self._under_way.discard(task)  # one that failed stays, for `_sleep` to raise its error

    async def _sleep(self) -> None:
        for task in self._under_way:
            if task.done():
                task.result()
        at = self._book.wake_at(self._name, self._now()) if len(self._under_way) < self._concurrency else None
        wait = LONGEST_SLEEP_SECONDS if at is None else (at - self._now()) / SECOND_US
        # Python 3.11's `wait_for` loses a cancellation that comes together with what is waited for; `timeout` does not.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait, 0.001), LONGEST_SLEEP_SECONDS)):
                await self._new.wait()

    async def _send(self, outbound: OutboundMessage) -> None:
        """One attempt, and what comes of it."""
        tried_at, started = self._now(), time.perf_counter()
        self._on_step("attempt")
        answer = await self._tried(outbound)
        self._on_step("attempted")
        self._metrics.duration.observe(time.perf_counter() - started)
        self._metrics.attempts.labels(self._name, _OUTCOMES[type(answer)]).inc()
        if not isinstance(answer, Delivered):
            told = {"channel": self._name, "letter": outbound.id, "failures": outbound.attempts + 1}
            _log.warning("not delivered", extra={**told, "reason": answer.reason})
        self._book.record_answer(outbound.id, answer, tried_at, self._now())
        await self._commits.store()

    async def _tried(self, outbound: OutboundMessage) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds * _HARD_LIMIT):
                return await self._channel.send(outbound)
        except TimeoutError:
            return Retry("the attempt did not come to an end")
        # A fault of ours in one channel stops no other one. Its text may show an address, so it is not told.
        except Exception as error:  # noqa: BLE001
            _log.error("a channel failed", extra={"channel": self._name, "error": type(error).__name__})
            return Retry(f"the channel failed: {type(error).__name__}")
