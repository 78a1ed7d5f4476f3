"""Where the CPU of a worker goes: the real command with a sampling profiler inside.

It writes its samples to a file when the process ends in good order. The profiler rings by the CPU time of the process,
and what it hears counts as much as the main thread has used since: the thread that fetches is told by the kernel.
"""

from __future__ import annotations

import atexit
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from benchmarks.live.course import thread_seconds, watch
from benchmarks.live.feed import Fed, Taught, anew, put_model
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS
from benchmarks.results import Part
from benchmarks.sampling import part_of
from tests.harness.live import LiveSystem

_ROOT: Final = Path(__file__).parents[2]
_INTERVAL_SECONDS: Final = 0.004
# The shell's parts; what is not here is asked of `sampling`, which knows the core's. The innermost frame that is known
# says it, so that msgspec, numpy and redis-py count for whoever calls them.
_SHELL: Final = (
    ("stream_app.core.messages.decoding", "decoding"),
    ("stream_app.core.events.schema", "decoding"),
    ("stream_app.core.partition.record_merge", "alignment"),
    ("stream_app.core.customers.codec.states", "encoding states"),
    ("stream_app.core.partition.outbox", "outbox: making records"),
    ("stream_app.core.messages.schema", "outbox: making records"),
    ("stream_app.core.partition.inputs", "decoding"),
    ("stream_app.core.partition.step", "task: the loop and sealing"),
    ("stream_app.core.partition.task", "task: the loop and sealing"),
    ("stream_app.services.runtime.outbox_relay", "outbox: relaying"),
    ("aiokafka.producer", "outbox: producing"),
    ("aiokafka", "Kafka client in the main thread"),
    ("stream_app.adapters.redis", "commit: Redis"),
    ("redis", "commit: Redis"),
    ("stream_app.services.worker.worker_metrics", "metrics"),
    ("prometheus_client", "metrics"),
    ("stream_app.services.worker", "worker: tasks and waiting"),
    ("stream_app.adapters.kafka.faust_transport", "transport in the main thread"),
    ("faust", "Faust"),
    ("mode", "Faust"),
)


class Samples(msgspec.Struct):
    """What the profiler heard: CPU seconds of the main thread."""

    parts: dict[str, float]
    functions: dict[str, float]  # of ours, with all that they call outside of ours


def worker_part(frame: FrameType | None) -> str:
    """The part of the worker that a stack of frames, innermost first, is at work in."""
    innermost = frame
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        for prefix, name in _SHELL:
            if module == prefix or module.startswith((f"{prefix}.", f"{prefix}_")):
                return name
        if module.startswith("stream_app.core"):
            return part_of(frame)
        frame = frame.f_back
    return "event loop" if innermost is not None else "other"


def profile_worker(live: LiveSystem, fed: Fed, taught: Taught) -> tuple[list[Part], dict[str, float]]:
    """A worker's parts, and the CPU of its threads in µs a record, over all that is in the topics."""
    with anew(live, "profile", VARIANTS["worker"]) as part:
        put_model(part, taught, fed.moment)
        out = part.folder / "profile.json"
        worker = part.start("worker", program=profiled(out))
        part.wait("a lane is opened", lambda: "lane opened" in worker.said(), RUN_SECONDS, every=0.01)
        before = thread_seconds(worker.pid)
        course = watch(part, [worker], RUN_SECONDS)
        threads = thread_seconds(worker.pid)
        worker.stop()
        samples = read_samples(out)
    micros = {name: (used - before[name]) / course.records * 1e6 for name, used in threads.items()}
    return parts_of(samples, course.records), micros


def profiled(out: Path) -> list[str]:
    """The program to start instead of the command; its samples go to `out`."""
    begin = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from benchmarks.live.profile import run"
    return [sys.executable, "-c", f"{begin}; run({str(out)!r})"]


def read_samples(out: Path) -> Samples:
    """What was heard, after the process has ended."""
    return msgspec.json.decode(out.read_bytes(), type=Samples)


def parts_of(samples: Samples, records: int) -> list[Part]:
    """The parts, dearest first.

    >>> parts_of(Samples({"a": 1.0, "b": 3.0}, {}), 1_000_000)[0]
    Part(name='b', share=0.75, micros_an_event=3.0)
    """
    total = sum(samples.parts.values()) or 1.0
    ordered = sorted(samples.parts.items(), key=lambda item: -item[1])
    return [Part(name, seconds / total, seconds / records * 1e6) for name, seconds in ordered]


def _own_function(frame: FrameType | None) -> str:
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(("stream_app", "redis", "faust", "aiokafka", "mode")):
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "other"


def _listen(out: Path) -> None:
    parts, functions = Counter[str](), Counter[str]()
    last = time.thread_time()

    begun = False  # by the first work of a lane: imports and start are not told

    def note(_number: int, frame: FrameType | None) -> None:
        nonlocal last, begun
        now, function = time.thread_time(), _own_function(frame)
        begun = begun or function.startswith("stream_app.core.")
        if not begun:
            last = now
            return
        parts[worker_part(frame)] += now - last  # type: ignore[assignment] # seconds, not a count
        functions[function] += now - last  # type: ignore[assignment]
        last = now

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        out.write_bytes(msgspec.json.encode(Samples(dict(parts), dict(functions.most_common(60)))))

    signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)
    atexit.register(write)


def run(out: str) -> None:
    """Listen, and be the real command."""
    from stream_app.cli import main  # noqa: PLC0415

    _listen(Path(out))
    main()
