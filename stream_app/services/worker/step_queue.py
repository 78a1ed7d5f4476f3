"""Computes the steps of a worker's partition tasks, one group of tasks after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Final, NamedTuple

from stream_app.core.model.scores import Model
from stream_app.core.partition.step import Step
from stream_app.core.partition.task import PartitionTask, step_together

# A fetch takes several iterations of the event loop to get from its thread to the tasks. With a step of a few
# milliseconds in each iteration it would arrive late, contain more records, and make the steps longer still.
_ITERATIONS_BETWEEN_STEPS: Final = 8


class _Request(NamedTuple):
    task: PartitionTask
    model: Model
    step: asyncio.Future[Step | None]


class StepQueue:
    """Computes steps. Tasks with few waiting records step together, because then a step costs more than its records.

    Args:
        events: maximum number of waiting records of the tasks that step together; a task with more steps alone.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._requests: deque[_Request] = deque()
        self._running: asyncio.Task[None] | None = None

    async def step(self, task: PartitionTask, model: Model) -> Step | None:
        """Return the next step of a task; see `PartitionTask.step`. The caller must not cancel the call."""
        request = _Request(task, model, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await request.step

    async def _run(self) -> None:
        while self._requests:
            for _ in range(_ITERATIONS_BETWEEN_STEPS):
                await asyncio.sleep(0)
            group = [self._requests.popleft() for _ in range(self._next_group())]
            try:
                steps = step_together([request.task for request in group], group[0].model)
            except Exception as error:  # noqa: BLE001 - raised by every `step` that waits
                for request in group:
                    request.step.set_exception(error)
            else:
                for request, step in zip(group, steps, strict=True):
                    request.step.set_result(step)

    def _next_group(self) -> int:
        """Return the number of requests that are answered together."""
        model, waiting = self._requests[0].model, self._requests[0].task.inputs.waiting
        for number, request in enumerate(islice(self._requests, 1, None), start=1):
            waiting += request.task.inputs.waiting
            if request.model is not model or waiting > self._events:
                return number
        return len(self._requests)
