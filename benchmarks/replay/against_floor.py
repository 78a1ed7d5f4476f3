"""Throughput of the replay against the floor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.replay.floor import Floor
from benchmarks.replay.results import AgainstFloor
from benchmarks.replay.whole_replay import Run, replay
from benchmarks.rounds import take_turns
from stream_app.core.settings import Settings


@dataclass(frozen=True)
class Workload:
    """A log to replay."""

    name: str
    log: Path
    settings: Settings
    unit: str  # what is counted per second: events or decisions
    form: str = "jsonl"


def against_floor(work: Workload, floor_log: Path, rounds: Iterable[int]) -> AgainstFloor:
    """Measure the replay, both passes over the log and all learning included, against the floor.

    Args:
        work: the log that is replayed.
        floor_log: a log in the wire format, which the floor reads.
        rounds: rounds of the replay.
    """
    floor, runs = Floor(), list[Run]()

    def floor_rate() -> float:
        events, seconds = floor.run(floor_log)
        return events / seconds

    def product_rate() -> float:
        runs.append(replay(work.log, work.settings, work.form))
        return float(getattr(runs[-1], work.unit)) / runs[-1].seconds

    pairs = take_turns(floor_rate, product_rate, rounds)
    return AgainstFloor(work.name, work.unit, pairs, runs[0])
