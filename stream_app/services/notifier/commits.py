"""Commits the delivery scheduler's changes. Concurrent callers share one commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stream_app.core.delivery.records import DeliveryChanges
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.metrics.runtime import CommitMetrics
from stream_app.ports import DeliveryStore


class Commits:
    """Group commit of changes to the store.

    Args:
        scheduler: scheduler whose changes are stored.
        store: claimed store.
        metrics: commit metrics.
        on_step: called before and after a commit; tests use it to simulate crashes.
    """

    def __init__(
        self,
        scheduler: DeliveryScheduler,
        store: DeliveryStore,
        metrics: CommitMetrics,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._scheduler, self._store, self._metrics, self._on_step = scheduler, store, metrics, on_step
        self._lock = asyncio.Lock()
        self._requested = self._done = 0
        self._batch = 0

    async def store(self) -> None:
        """Store all changes made so far. Raises CommitRefused."""
        self._requested += 1
        mine = self._requested
        async with self._lock:
            if self._done >= mine:
                return
            through = self._requested
            changes = self._scheduler.take_changes()
            if changes is not None:
                await self._commit(changes)
            self._done = through

    async def _commit(self, changes: DeliveryChanges) -> None:
        self._on_step("commit")
        self._batch += 1
        started = time.perf_counter()
        outcome = await self._store.commit(changes, str(self._batch))
        self._metrics.record(outcome, time.perf_counter() - started)
        outcome.require_stored("of the notifier")
        self._scheduler.confirm(changes)
        self._on_step("committed")
