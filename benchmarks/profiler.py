"""Sampling profiler that attributes CPU time to parts of the program.

A tracing profiler makes small functions look expensive; this one has no measurable cost. Time in libraries counts for
the part that calls them.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final

from benchmarks.results import Part

_INTERVAL_SECONDS: Final = 0.004
# The innermost frame whose module, or a package around it, is named here decides the part.
PARTS: Final = {
    "stream_app.ingest": "reading and decoding",
    "stream_app.core.events.schema": "time stamps",
    "stream_app.core.state.update": "state: applying events",
    "stream_app.core.state.vector": "state: applying events",
    "stream_app.core.state.complaints": "state: applying events",
    "stream_app.core.customers.customer": "recognizing duplicates",
    "stream_app.core.state.frame": "features",
    "stream_app.core.model.features": "features",
    "stream_app.core.model.bg_nbd": "features",
    "stream_app.core.partition.quiet_customers": "timers, labels and routing",
    "stream_app.core.partition.timers": "timers, labels and routing",
    "stream_app.core.model.labels": "timers, labels and routing",
    "stream_app.core.partition.processor": "timers, labels and routing",
    "stream_app.core.partition.score_batch": "gathering states to score",
    "stream_app.core.state.counter_updates": "counters and KPIs",
    "stream_app.core.kpis": "counters and KPIs",
    "stream_app.core.alerts": "ranking and alerts",
    "stream_app.core.partition.candidates": "ranking and alerts",
    "stream_app.core.model.lost_probability": "lost probability",
    "stream_app.core.model.nowcast": "nowcast, ensemble and drift",
    "stream_app.core.model.ensemble": "nowcast, ensemble and drift",
    "stream_app.core.model.drift": "nowcast, ensemble and drift",
    "stream_app.replay.columns": "keeping results",
    "stream_app.core.segments.lifecycle_stage": "keeping results",
    "stream_app.replay": "the replay's loop",
}
_EXPERTS: Final = "stream_app.core.model.experts."


def part_of(frame: FrameType | None, parts: Mapping[str, str] = PARTS, otherwise: str = "other") -> str:
    """Return the part that a stack of frames, innermost first, belongs to.

    Args:
        frame: the innermost frame.
        parts: names of parts by module or package.
        otherwise: the part of a stack that has no frame of these modules.
    """
    learning = False
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith(_EXPERTS):
            learning = learning or function.startswith("learn")
            if function in {"learn", "log_odds"}:
                expert = getattr(type(frame.f_locals.get("self")), "name", "?")
                return f"experts: {'learning' if learning else 'scoring'} ({expert})"
        while module:
            if module in parts:
                return parts[module]
            module = module.rpartition(".")[0]
        frame = frame.f_back
    return otherwise


class Profiler:
    """Collects the CPU time of the main thread by part, between `start` and `stop`.

    Args:
        name_of: returns the part of a stack; an empty name is not counted.
    """

    def __init__(self, name_of: Callable[[FrameType | None], str]) -> None:
        self.seconds: dict[str, float] = Counter()  # type: ignore[assignment] # seconds, not counts
        self._name_of = name_of
        self._sampled_at = 0.0

    def start(self) -> None:
        """Start sampling in this thread, which must be the main thread."""
        self._sampled_at = time.thread_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)

    def stop(self) -> None:
        """Stop sampling."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        if name := self._name_of(frame):
            self.seconds[name] += now - self._sampled_at
        self._sampled_at = now


def profile(work: Callable[[], int]) -> list[Part]:
    """Profile a function that returns its number of events, and return the share of each part."""
    profiler = Profiler(part_of)
    profiler.start()
    try:
        events = work()
    finally:
        profiler.stop()
    return shares(profiler.seconds, events)


def shares(seconds: Mapping[str, float], events: int) -> list[Part]:
    """Return the parts, the most expensive one first.

    >>> shares({"a": 1.0, "b": 3.0}, 1_000_000)[0]
    Part(name='b', share=0.75, micros=3.0)
    """
    total = sum(seconds.values()) or 1.0
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return [Part(name, part / total, part / max(events, 1) * 1e6) for name, part in ordered]
