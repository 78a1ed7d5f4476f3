"""Runs one partition task, turning fetched records into commits one after the other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from faust.types.tuples import TP

from stream_app.adapters.kafka.faust_transport import Fetched
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import PartitionTask
from stream_app.ports import ModelStore, StateStore
from stream_app.services.runtime.crash import Crash, guarded
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.policy_versions import POLL_SECONDS, PolicyVersions
from stream_app.services.worker.model_versions import ModelVersions
from stream_app.services.worker.step_queue import StepQueue
from stream_app.services.worker.worker_metrics import WorkerMonitor

_log: Final = logging.getLogger(__name__)
_MIN_POLL_SECONDS: Final = 0.005
_MAX_POLL_SECONDS: Final = 0.25


@dataclass
class RunnerContext:
    """Objects that all runners of a worker share.

    Attributes:
        store: states, positions and outboxes.
        model_store: the trainer's progress and model versions.
        models: cache of model versions.
        policies: cache of the settings under each policy.
        topics: topic names by role.
        instance: instance name and epoch, a prefix for batch ids.
        watch: collects the worker's measurements.
        crash: ends the process; cached states cannot be trusted after an error.
        done: called with a topic partition and its stored position.
        wants_changed: called when a partition that was refused before may be fetched again.
        on_step: called before each numbered step of a commit; tests use it to simulate crashes.
        steps: computes the steps.
        refused: whether fetching from a partition was refused since the last commit.
    """

    store: StateStore
    model_store: ModelStore
    models: ModelVersions
    policies: PolicyVersions
    topics: Mapping[str, str]
    instance: str
    watch: WorkerMonitor
    crash: Crash
    done: Callable[[TP, int], None]
    wants_changed: Callable[[], None]
    on_step: Callable[[str], None]
    steps: StepQueue
    refused: bool = False


class TaskRunner:
    """Runs a partition task and its outbox relay. Starts paused; call `resume`.

    Args:
        context: shared parts.
        task: restored task.
        relay: relay of the partition's outbox.
        stored: stored position.
    """

    def __init__(self, context: RunnerContext, task: PartitionTask, relay: OutboxRelay, stored: bytes) -> None:
        self.task, self.relay = task, relay
        self.base = stored  # last known stored position
        self._context = context
        self._wake = asyncio.Event()
        self._committing = asyncio.Lock()
        self._batch = 0
        self._paused = True
        self._poll_seconds = _MIN_POLL_SECONDS
        self._jobs = [asyncio.create_task(guarded(job, context.crash)) for job in (self._pump(), relay.run())]

    def resume(self) -> None:
        """Start or continue processing records."""
        self._paused = False
        self._wake.set()

    async def pause(self) -> None:
        """Pause after the current commit."""
        self._paused = True
        async with self._committing:
            pass

    async def stop(self) -> None:
        """Stop permanently after the current commit."""
        await self.pause()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def take(self, role: str, fetched: Fetched) -> None:
        """Add records fetched from the topic with the given role."""
        self.task.inputs.receive(role, fetched.start, fetched.records, fetched.end, fetched.high_watermark)
        self._wake.set()

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._paused and await self._step():
                pass  # every step awaits its commit, so other tasks get their turn
            if self.task.hold is not None and self.task.hold.trainer and not self._paused:
                await self._poll_trainer()
            elif self.task.policies.missing and not self._paused:
                await self._find_policy(self.task.policies.missing)

    async def _step(self) -> bool:
        """Process and commit one batch; return whether there may be another one."""
        context, task = self._context, self.task
        await self.relay.has_room()
        model = await context.models.get(task.version)
        async with self._committing:
            if self._paused:  # the partition was revoked while this method waited
                return False
            # 1. Decide, in memory only.
            context.on_step("decide")
            step = await context.steps.step(task, model)
            if step is None:
                return False
            # 2. Commit. Shielded from cancellation, because losing the reply would require a restart.
            context.on_step("commit")
            await asyncio.shield(self._commit(step))
            context.on_step("committed")
            # 3. Commit the offsets to Kafka, for display of the lag only.
            for role, offset in step.position.offsets.items():
                context.done(TP(context.topics[role], task.number), offset)
            context.on_step("acknowledged")
        context.watch.stepped(task, step)
        if context.refused:
            context.refused = False
            context.wants_changed()
        return task.inputs.waiting > 0

    async def _commit(self, step: Step) -> None:
        self._batch += 1
        relayed, started = self.relay.relayed, time.perf_counter()
        batch = f"{self._context.instance}:{self._batch}"
        outcome, first = await self._context.store.commit(step.commit, batch, relayed)
        self._context.watch.commits.record(outcome, time.perf_counter() - started)
        outcome.require_stored(step.commit.partition)
        self.base = step.commit.position
        self.relay.record_trim(relayed)
        self.relay.add(first, list(step.commit.outbox))

    async def _find_policy(self, version: str) -> None:
        """Fetch the policy that the next tick names. Without it, nobody may be called: wait until it is published."""
        settings = await self._context.policies.get(version)
        if settings is None:
            await asyncio.sleep(POLL_SECONDS)
        else:
            self.task.policies.add(settings)
            _log.info("Contact policy loaded", extra={"partition": self.task.number, "policy": version})
        self._wake.set()

    async def _poll_trainer(self) -> None:
        """Check whether the trainer has completed the round that the task is waiting for."""
        hold, models = self.task.hold, self._context.model_store
        if hold is not None and await models.through() >= hold.moment:
            self.task.end_trainer_hold(await models.version_at(hold.moment) or 0)
            self._poll_seconds = _MIN_POLL_SECONDS
        else:
            self._poll_seconds = min(2 * self._poll_seconds, _MAX_POLL_SECONDS)
            await asyncio.sleep(self._poll_seconds)
        self._wake.set()
