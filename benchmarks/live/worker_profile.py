"""CPU time of a worker by part: the real command with a sampling profiler inside.

The profiler writes its results to a file when the process ends normally. It samples by the CPU time of the process and
counts what the main thread has used since the last sample. The kernel counts the thread that fetches.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from benchmarks.live.feed import Feed, TrainedModel, fresh_system, store_model
from benchmarks.live.progress import thread_seconds, watch
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS
from benchmarks.profiler import PARTS, Profiler, part_of, shares
from benchmarks.results import Part
from tests.harness.processes import LiveSystem

_ROOT: Final = Path(__file__).parents[2]
# Parts of the shell. The innermost frame that is named decides, so msgspec, numpy and redis-py count for their caller.
_WORKER_PARTS: Final = PARTS | {
    "stream_app.core.messages.decoding": "decoding",
    "stream_app.core.events.schema": "decoding",
    "stream_app.core.partition.record_merge": "record merge",
    "stream_app.core.customers.codec.states": "encoding states",
    "stream_app.core.partition.outbox": "outbox: making records",
    "stream_app.core.messages.schema": "outbox: making records",
    "stream_app.core.partition.task": "partition task: loop and commit",
    "stream_app.services.runtime.outbox_relay": "outbox: relaying",
    "aiokafka.producer": "outbox: producing",
    "aiokafka": "Kafka client in the main thread",
    "stream_app.adapters.redis": "commit: Redis",
    "redis": "commit: Redis",
    "stream_app.services.worker.worker_metrics": "metrics",
    "prometheus_client": "metrics",
    "stream_app.services.worker": "worker: tasks and waiting",
    "stream_app.adapters.kafka.faust_transport": "transport in the main thread",
    "faust": "Faust",
    "mode": "Faust",
}


def profile_worker(live: LiveSystem, feed: Feed, model: TrainedModel) -> tuple[list[Part], dict[str, float]]:
    """Return the parts of a worker's main thread and the CPU time of its threads, µs per record."""
    with fresh_system(live, "profile", VARIANTS["worker"]) as system:
        store_model(system, model, feed.moment)
        out = system.folder / "profile.json"
        worker = system.start("worker", program=profiled_command(out))
        system.wait("a partition is assigned", lambda: bool(worker.partitions()), RUN_SECONDS, every=0.01)
        before = thread_seconds(worker.pid)
        run = watch(system, [worker], RUN_SECONDS)
        threads = thread_seconds(worker.pid)
        worker.stop()
        seconds = msgspec.json.decode(out.read_bytes(), type=dict[str, float])
    micros = {name: (used - before[name]) / run.records * 1e6 for name, used in threads.items()}
    return shares(seconds, run.records), micros


def profiled_command(out: Path) -> list[str]:
    """Return the program to start instead of the command; it writes seconds by part to `out`."""
    code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from benchmarks.live.worker_profile import main"
    return [sys.executable, "-c", f"{code}; main({str(out)!r})"]


class _WorkerParts:
    """Names the parts of a worker. Imports and start-up, before the first work on a partition, do not count."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, frame: FrameType | None) -> str:
        part = part_of(frame, _WORKER_PARTS, "event loop")
        self._begun = self._begun or part in PARTS.values()
        return part if self._begun else ""


def main(out: str) -> None:
    """Run the real command with the profiler."""
    from stream_app.cli import main as stream_app  # noqa: PLC0415 - not for the process that only starts this one

    profiler = Profiler(_WorkerParts())
    atexit.register(lambda: Path(out).write_bytes(msgspec.json.encode(profiler.seconds)))
    atexit.register(profiler.stop)  # first
    profiler.start()
    stream_app()
