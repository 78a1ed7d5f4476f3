"""The allocator reports the memory usage of Redis, and continues if Redis does not answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as NoConnection, RedisClusterException

from stream_app.metrics.base import new_registry
from stream_app.metrics.runtime import RedisMetrics
from stream_app.services.runtime import redis_memory
from stream_app.services.runtime.redis_memory import watch_memory


class Answering:
    """A client that gives these answers, one after the other, and then waits for ever."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)

    async def info(self, section: str) -> dict[str, Any]:
        assert section == "memory"
        if not self.answers:
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def watched(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | Exception) -> tuple[float | None, float | None]:
    """What is told of used and allowed memory after these answers."""
    monkeypatch.setattr(redis_memory, "POLL_SECONDS", 0.0)
    metrics = RedisMetrics(new_registry())

    async def run() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(watch_memory(Answering(*answers), metrics), 0.05)  # type: ignore[arg-type]

    asyncio.run(run())
    value = metrics.registry.get_sample_value
    return value("churn_redis_used_memory_bytes"), value("churn_redis_max_memory_bytes")


def test_the_latest_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, {"used_memory": 1, "maxmemory": 9}, {"used_memory": 5, "maxmemory": 9}) == (5, 9)


def test_a_redis_that_does_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone, uncovered = NoConnection("gone"), RedisClusterException("not all slots are covered")
    assert watched(monkeypatch, gone, uncovered, {"used_memory": 7, "maxmemory": 0}) == (7, 0)
    assert [record.message for record in caplog.records if "memory" in record.message] == [
        "Cannot read the memory usage of Redis"
    ]
