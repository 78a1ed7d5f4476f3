"""Which tasks step together, and that a failure reaches every caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stream_app.core.partition.step import Step
from stream_app.services.worker import step_queue
from stream_app.services.worker.step_queue import StepQueue

MODEL: Any = SimpleNamespace()
OTHER: Any = SimpleNamespace()


def task(waiting: int) -> Any:
    return SimpleNamespace(inputs=SimpleNamespace(waiting=waiting))


def groups_of(monkeypatch: pytest.MonkeyPatch, requests: Sequence[tuple[int, Any]], events: int) -> list[list[int]]:
    """Return the groups in which tasks with so many waiting records and such a model step, if all ask at once."""
    groups: list[list[int]] = []

    def together(tasks: Sequence[Any], _model: Any) -> list[Step]:
        groups.append([one.inputs.waiting for one in tasks])
        return [Step(one.inputs.waiting) for one in tasks]

    async def run() -> list[Step | None]:
        queue = StepQueue(events)
        return await asyncio.gather(*(queue.step(task(waiting), model) for waiting, model in requests))

    monkeypatch.setattr(step_queue, "step_together", together)
    steps = asyncio.run(run())
    assert [step.partition for step in steps if step is not None] == [waiting for waiting, _ in requests]
    return groups


def test_tasks_with_few_records_step_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups_of(monkeypatch, [(4, MODEL), (0, MODEL), (6, MODEL), (1, MODEL)], 10) == [[4, 0, 6], [1]]
    assert groups_of(monkeypatch, [(99, MODEL), (98, MODEL), (1, MODEL), (2, MODEL)], 10) == [[99], [98], [1, 2]]


def test_tasks_with_different_models_step_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups_of(monkeypatch, [(1, MODEL), (2, MODEL), (3, OTHER), (4, MODEL)], 10) == [[1, 2], [3], [4]]


def test_a_failure_reaches_every_task_of_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_tasks: Sequence[Any], _model: Any) -> list[Step]:
        raise ValueError("broken")

    async def run() -> list[object]:
        queue = StepQueue(10)
        return await asyncio.gather(*(queue.step(task(1), MODEL) for _ in range(2)), return_exceptions=True)

    monkeypatch.setattr(step_queue, "step_together", fail)
    assert [str(error) for error in asyncio.run(run())] == ["broken", "broken"]
