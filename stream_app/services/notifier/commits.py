"""Stores what changes in the book: whoever comes while a commit is under way shares the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stream_app.core.delivery.records import DeliveryChanges
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.errors import CommitRefused
from stream_app.metrics import CommitMetrics
from stream_app.ports import DeliveryStore, Outcome


class Commits:
    """The only way from the book to the store.

    Args:
        book: what changes.
        store: where it is kept; claimed.
        metrics: of commits.
        on_step: told before a commit and after it; for tests that crash there.
    """

    def __init__(
        self,
        scheduler: DeliveryScheduler,
        store: DeliveryStore,
        metrics: CommitMetrics,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._book, self._store, self._metrics, self._on_step = scheduler, store, metrics, on_step
        self._lock = asyncio.Lock()
        self._asked = self._done = 0
        self._batch = 0

    async def store(self) -> None:
        """Return when all that has changed up to now is stored. Raises CommitRefused."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._done >= mine:
                return
            through = self._asked
            changes = self._book.take_changes()
            if changes is not None:
                await self._commit(changes)
            self._done = through

    async def _commit(self, changes: DeliveryChanges) -> None:
        self._on_step("commit")
        self._batch += 1
        started = time.perf_counter()
        outcome = await self._store.commit(changes, str(self._batch))
        self._metrics.duration.observe(time.perf_counter() - started)
        self._metrics.outcomes.labels(outcome.name.lower()).inc()
        if not outcome.stored:
            self._metrics.fence_losses.inc(outcome is Outcome.FENCED)
            raise CommitRefused(partition="of the deliverer", outcome=outcome.name.lower())
        self._book.confirm(changes)
        self._on_step("committed")
