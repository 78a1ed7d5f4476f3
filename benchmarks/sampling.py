"""Where the time goes: a sampling profiler that asks, every few milliseconds of CPU time, which part is at work.

A tracing profiler makes small functions look dear; this one costs nothing that would be seen.
Time in libraries counts for the part that called them.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Final

from benchmarks.results import Part

_INTERVAL_SECONDS: Final = 0.004
_PACKAGE: Final = "stream_app."
# The innermost frame whose module is named here says which part is at work; the rest is looked up further out.
_PARTS: Final = {
    "stream_app.ingest": "reading and decoding",
    "stream_app.core.events.schema": "time stamps",
    "stream_app.core.state.update": "state: applying events",
    "stream_app.core.state.vector": "state: applying events",
    "stream_app.core.state.complaints": "state: applying events",
    "stream_app.core.customers.customer": "recognising duplicates",
    "stream_app.core.state.frame": "features",
    "stream_app.core.model.features": "features",
    "stream_app.core.model.bg_nbd": "features",
    "stream_app.core.partition.timers": "timers, labels and routing",
    "stream_app.core.model.labels": "timers, labels and routing",
    "stream_app.core.partition.processor": "timers, labels and routing",
    "stream_app.core.partition.score_batch": "gathering states to score",
    "stream_app.core.alerts.lifecycle": "ranking and alerts",
    "stream_app.core.partition.alert_tracker": "ranking and alerts",
    "stream_app.core.partition.candidates": "ranking and alerts",
    "stream_app.core.model.nowcast": "nowcast, mixture and drift",
    "stream_app.core.model.ensemble": "nowcast, mixture and drift",
    "stream_app.core.model.drift": "nowcast, mixture and drift",
    "stream_app.replay.columns": "keeping results",
    "stream_app.core.segments.lifecycle_stage": "keeping results",
    "stream_app.replay": "the replay's loop",
}
_EXPERTS: Final = "stream_app.core.model.experts."
_OTHER: Final = "other"


def part_of(frame: FrameType | None) -> str:
    """The part of the product that a stack of frames, innermost first, is at work in."""
    learning = False
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith(_EXPERTS):
            learning = learning or function.startswith("learn")
            expert = module.removeprefix(_EXPERTS)
            if function in {"learn", "log_odds"} and expert != "recursive":
                return f"experts: {'learning' if learning else 'scoring'} ({_expert(frame)})"
        elif (part := _named(module)) is not None:
            return part
        frame = frame.f_back
    return _OTHER


def profile(work: Callable[[], int]) -> list[Part]:
    """Do the work, which returns its number of events, and say which share of the CPU time each part took."""
    seen: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        seen[part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)
    try:
        events = work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
    total = max(seen.total(), 1)
    micros = total * _INTERVAL_SECONDS * 1e6 / max(events, 1)
    return [Part(name, count / total, micros * count / total) for name, count in seen.most_common()]


def _expert(frame: FrameType) -> str:
    owner = frame.f_locals.get("self")
    return str(getattr(type(owner), "name", "?"))


def _named(module: str) -> str | None:
    while module.startswith(_PACKAGE):
        if module in _PARTS:
            return _PARTS[module]
        module = module.rpartition(".")[0]
    return None
