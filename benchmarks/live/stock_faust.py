"""The floor of the live system: a stock Faust agent that does nothing, as a process of its own.

A plain `faust.App` on uvloop, Faust's own aiokafka transport, raw serializers, one agent over the same topics with
`async for event in stream: pass`. `python -m benchmarks.live.stock_faust SPEC` (JSON) measures it from inside: Faust's own
monitor counts the events, so that the agent need not.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from stream_app.config import INPUTS
from tests.harness.processes import LiveSystem

_START_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02


class Spec(msgspec.Struct, frozen=True):
    """What the process is to do."""

    bootstrap: str
    group: str
    topics: list[str]
    total: int  # records in the topics
    seconds: float  # so long at most
    folder: str


class Stock(msgspec.Struct, frozen=True):
    """What it came to: records from the first one on."""

    records: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Records a second, on the wall."""
        return self.records / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Records a second of CPU."""
        return self.records / self.cpu_seconds


def stock_faust(live: LiveSystem, group: str, seconds: float) -> Stock:
    """Run it on the topics of a live system, in a process of its own, from their beginning.

    Args:
        live: whose topics are full.
        group: a consumer group that has never been.
        seconds: measure so long at most.
    """
    kafka = live.config.kafka
    topics = list(kafka.topics.of(*INPUTS).values())
    total = sum(live.ends().values())
    with tempfile.TemporaryDirectory() as folder:
        spec = Spec(kafka.bootstrap, group, topics, total, seconds, folder)
        command = [sys.executable, "-m", "benchmarks.live.stock_faust", msgspec.json.encode(spec).decode()]
        timeout = seconds + 2 * _START_SECONDS
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, cwd=root)
    if done.returncode:
        raise RuntimeError(f"the stock agent ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Stock)


async def _measure(spec: Spec) -> Stock:
    import faust  # noqa: PLC0415 - it takes a second, and the starter does not need it

    app = faust.App(
        spec.group,
        broker=f"kafka://{spec.bootstrap}",
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=spec.folder,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )

    async def nothing(stream: Any) -> None:
        async for _event in stream:
            pass

    app.agent(app.topic(*spec.topics, key_serializer="raw", value_serializer="raw"), name="nothing")(nothing)
    await app.start()
    deadline = time.monotonic() + _START_SECONDS
    while not (first := app.monitor.events_total):
        if time.monotonic() > deadline:
            raise TimeoutError("the stock agent was given no event")
        await asyncio.sleep(_LOOK_SECONDS)
    started, cpu = time.monotonic(), time.process_time()
    while app.monitor.events_total < spec.total and time.monotonic() - started < spec.seconds:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)
    return Stock(app.monitor.events_total - first, time.monotonic() - started, time.process_time() - cpu)


def _main() -> None:
    import uvloop  # noqa: PLC0415

    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_measure(spec))
        print(msgspec.json.encode(result).decode(), flush=True)
        os._exit(0)  # Faust takes seconds to stop, and there is nothing to keep


if __name__ == "__main__":
    _main()
