"""The replay against the floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.replay.floor import Floor
from benchmarks.replay.whole_replay import Run, replay
from benchmarks.results import Against
from benchmarks.rounds import take_turns
from stream_app.core.settings import Settings

OnRound = Callable[[int], None]


def events_against_floor(log: Path, settings: Settings, rounds: int, on_round: OnRound) -> Against:
    """Events a second of a whole replay, both readings of the file and all learning included, against the floor's."""
    runs: list[Run] = []

    def product() -> float:
        runs.append(replay(log, settings))
        return runs[-1].events / runs[-1].seconds

    pairs = take_turns(_floor_rate(log), product, rounds, on_round)
    return Against(
        what=f"browsing-heavy log, {runs[0].events / runs[0].decisions:.0f} events a decision",
        unit="events",
        floor=pairs.floor,
        product=pairs.product,
        ratio=pairs.ratio,
        wanted=0.30,
        done_at=0.12,
        notes=_notes(runs[0]),
    )


@dataclass(frozen=True)
class ManyDecisions:
    """A log with many decisions an event: its name, file, format and settings."""

    name: str
    file: Path
    form: str
    settings: Settings


def decisions_against_floor(log: ManyDecisions, floor_log: Path, rounds: int, on_round: OnRound) -> Against:
    """Decisions a second with all experts, labels and learning, against the floor's predictions.

    Args:
        log: that is replayed.
        floor_log: a log in the wire format, which the floor reads.
        rounds: of the replay.
        on_round: told of every round that is finished.
    """
    runs: list[Run] = []

    def product() -> float:
        runs.append(replay(log.file, log.settings, log.form))
        return runs[-1].decisions / runs[-1].seconds

    pairs = take_turns(_floor_rate(floor_log), product, rounds, on_round)
    return Against(
        what=f"{log.name}, {runs[0].decisions / runs[0].events:.0f} decisions an event",
        unit="decisions",
        floor=pairs.floor,
        product=pairs.product,
        ratio=pairs.ratio,
        wanted=0.05,
        done_at=0.01,
        notes=_notes(runs[0]),
    )


def _floor_rate(log: Path) -> Callable[[], float]:
    floor = Floor()

    def rate() -> float:
        events, seconds = floor.run(log)
        return events / seconds

    return rate


def _notes(run: Run) -> dict[str, float]:
    return {
        "events": run.events,
        "decisions": run.decisions,
        "labels": run.labels,
        "scored": run.scored,
        "scan_seconds": run.scan_seconds,
        "replay_seconds": run.replay_seconds,
        "wall_seconds": run.wall_seconds,
    }
