"""A whole replay, measured as the command line runs it, without writing its files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.replay.memory import resident, resident_peak
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.ingest import LogFormat, open_log
from stream_app.replay.runner import Replay
from stream_app.replay.session import collector_off

# For simulated logs of a few weeks: labels come early enough for all models to learn.
SHORT: Final = Settings(horizon=14 * DAY_US, active_window=45 * DAY_US, decide_every=14 * DAY_US)
WEEKLY: Final = Settings(horizon=60 * DAY_US, active_window=180 * DAY_US, decide_every=7 * DAY_US)
DAILY: Final = Settings(horizon=30 * DAY_US, active_window=180 * DAY_US, decide_every=DAY_US)
CDNOW: Final = Settings(horizon=90 * DAY_US, active_window=180 * DAY_US, decide_every=7 * DAY_US)


@dataclass(frozen=True)
class Run:
    """Counts and times of a replay."""

    events: int
    scored: int
    decisions: int
    labels: int
    customers: int
    waiting: int  # decisions without a label
    scan_seconds: float  # CPU time of the first pass: counting, checking, sorting
    replay_seconds: float  # CPU time of the second pass and everything else
    wall_seconds: float  # wall time of both passes
    replay_bytes: int  # peak of the resident set, less its size before the replay

    @property
    def seconds(self) -> float:
        """CPU time of both passes."""
        return self.scan_seconds + self.replay_seconds


def replay(
    log: Path,
    settings: Settings,
    form: str = "jsonl",
    partitions: int = 1,
    keep: Callable[[Replay], None] = lambda _: None,
) -> Run:
    """Replay a log: apply every event, score its customer, make, label and learn from every decision.

    Args:
        log: the file.
        settings: the shop's settings.
        form: jsonl or the name of a mapping.
        partitions: number of partitions.
        keep: called with the finished replay, before its memory is released.
    """
    with tempfile.TemporaryDirectory() as folder, open_log([log], LogFormat(form), Path(folder)) as opened:
        wall, started = time.perf_counter(), time.process_time()
        events = opened.scan().events
        scanned, before = time.process_time(), resident()
        replayed = Replay(settings, partitions, lambda _done, _total: None)
        with collector_off():
            outcome = replayed.run(opened.batches())
        ended, wall = time.process_time(), time.perf_counter() - wall
    keep(replayed)
    return Run(
        events=events,
        scored=replayed.counts.scored,
        decisions=len(outcome.columns),
        labels=replayed.churn_model.examples,
        customers=outcome.customers,
        waiting=sum(len(partition.decisions.waiting) for partition in replayed.partitions),
        scan_seconds=scanned - started,
        replay_seconds=ended - scanned,
        wall_seconds=wall,
        replay_bytes=max(resident_peak() - before, 0),
    )
