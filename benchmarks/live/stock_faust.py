"""The floor of the live system: a stock Faust agent that does nothing, in a process of its own.

It is a plain `faust.App` on uvloop with Faust's own aiokafka transport, raw serializers, and one agent over the same
topics with `async for event in stream: pass`. It is measured from inside: Faust's monitor counts the events.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from typing import Any, Final

from benchmarks.live.results import OtherRun
from benchmarks.rounds import in_own_process
from stream_app.config import INPUTS
from tests.harness.processes import LiveSystem

_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02


def stock_faust(live: LiveSystem, group: str, seconds: float) -> OtherRun:
    """Run the agent over the topics of a live system, from their beginning.

    Args:
        live: a system with full topics.
        group: an unused consumer group.
        seconds: maximum duration.
    """
    kafka = live.config.kafka
    topics = list(kafka.topics.of(*INPUTS).values())
    return in_own_process(measure, kafka.bootstrap, group, topics, sum(live.ends().values()), seconds)


def measure(bootstrap: str, group: str, topics: list[str], total: int, seconds: float) -> OtherRun:
    """Run the agent in this process until it has read `total` records, or for some seconds."""
    import uvloop  # noqa: PLC0415 - only in the process that runs the agent

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)  # not closed: Faust's tasks take seconds to cancel
    with tempfile.TemporaryDirectory() as folder:
        return runner.run(_measure(_app(bootstrap, group, folder), topics, total, seconds))


def _app(bootstrap: str, group: str, folder: str) -> Any:
    import faust  # noqa: PLC0415 - takes a second

    return faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=folder,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )


async def _measure(app: Any, topics: list[str], total: int, seconds: float) -> OtherRun:
    async def nothing(stream: Any) -> None:
        async for _event in stream:
            pass

    app.agent(app.topic(*topics, key_serializer="raw", value_serializer="raw"), name="nothing")(nothing)
    await app.start()
    async with asyncio.timeout(_START_SECONDS):
        while not (first := app.monitor.events_total):  # noqa: ASYNC110 - Faust has no event to wait for
            await asyncio.sleep(_POLL_SECONDS)
    started, cpu = time.monotonic(), time.process_time()
    while app.monitor.events_total < total and time.monotonic() - started < seconds:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)
    records = app.monitor.events_total - first
    return OtherRun(records / (time.monotonic() - started), records / (time.process_time() - cpu))
