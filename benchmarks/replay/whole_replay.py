"""The product: a whole replay, measured as the command line runs it, up to where it would write its files."""

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

# Of the simulated logs: labels come soon enough for a log of a few weeks, and everything is learned.
SHORT: Final = Settings(horizon=14 * DAY_US, active_window=45 * DAY_US, decide_every=14 * DAY_US)
WEEKLY: Final = Settings(horizon=60 * DAY_US, active_window=180 * DAY_US, decide_every=7 * DAY_US)
DAILY: Final = Settings(horizon=30 * DAY_US, active_window=180 * DAY_US, decide_every=DAY_US)
CDNOW: Final = Settings(horizon=90 * DAY_US, active_window=180 * DAY_US, decide_every=7 * DAY_US)

OnEvents = Callable[[float], None]  # share of the events that were replayed


@dataclass(frozen=True)
class Run:
    """One replay."""

    events: int
    scored: int
    decisions: int
    labels: int
    customers: int
    waiting: int  # decisions without a label at the end
    scan_seconds: float  # CPU time of the first reading: counting, checking, sorting
    replay_seconds: float  # CPU time of the second reading and everything else
    wall_seconds: float  # of both, on the wall
    replay_bytes: int  # resident memory at its peak, less what was there before the replay

    @property
    def seconds(self) -> float:
        """CPU time of all of it."""
        return self.scan_seconds + self.replay_seconds


def replay(
    log: Path,
    settings: Settings,
    form: str = "jsonl",
    partitions: int = 1,
    on_events: OnEvents = lambda _: None,
    keep: Callable[[Replay], None] = lambda _: None,
) -> Run:
    """Replay a log: every event applied and scored, every decision made, labelled and learned from.

    Args:
        log: the file.
        settings: of the shop.
        form: of the file: jsonl or the name of a mapping.
        partitions: how many the customers are spread over.
        on_events: told of the share that is done.
        keep: given the finished replay, before its memory is released.
    """
    with tempfile.TemporaryDirectory() as folder, open_log([log], LogFormat(form), Path(folder)) as opened:
        wall, started = time.perf_counter(), time.process_time()
        events = opened.scan().events
        scanned, before = time.process_time(), resident()
        replayed = Replay(settings, partitions, lambda done, _: on_events(done / events))
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
        waiting=sum(len(partition.waiting) for partition in replayed.partitions),
        scan_seconds=scanned - started,
        replay_seconds=ended - scanned,
        wall_seconds=wall,
        replay_bytes=max(resident_peak() - before, 0),
    )
