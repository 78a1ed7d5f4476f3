"""How the time of a replay grows with events, decisions and partitions, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.replay.whole_replay import SHORT, Run, replay
from benchmarks.results import Growth, Spread
from stream_app.core.units import DAY_US

VISITS: Final = ((0.6, 1.0), (4.0, 3.0), (16.0, 9.0))  # of the simulated shop: visits without an order, pages of each
EVERY_DAYS: Final = (14, 7, 2)
PARTITIONS: Final = (1, 4, 16)
_ROUNDS: Final = 2
RUNS: Final = _ROUNDS * (len(VISITS) + len(EVERY_DAYS) + len(PARTITIONS))


def by_events(logs: dict[str, Path], on_run: Callable[[], None]) -> list[Growth]:
    """The same customers, orders and decisions with more and more visits."""
    runs = {value: _runs(log, on_run=on_run) for value, log in logs.items()}
    return _series("events", runs, lambda run: run.events, "an event")


def by_decisions(log: Path, on_run: Callable[[], None]) -> list[Growth]:
    """The same log, decided on more and more often."""
    runs = {f"every {days} d": _runs(log, every_days=days, on_run=on_run) for days in EVERY_DAYS}
    return _series("decisions", runs, lambda run: run.decisions, "a decision")


def by_partitions(log: Path, on_run: Callable[[], None]) -> list[Growth]:
    """The same log over more and more partitions, in one process."""
    runs = {str(count): _runs(log, partitions=count, on_run=on_run) for count in PARTITIONS}
    return _series("partitions", runs, None, "")


def _runs(log: Path, *, every_days: int = 14, partitions: int = 1, on_run: Callable[[], None]) -> list[Run]:
    settings = msgspec.structs.replace(SHORT, decide_every=every_days * DAY_US)
    runs = []
    for _ in range(_ROUNDS):
        runs.append(replay(log, settings, partitions=partitions))
        on_run()
    return runs


def _series(what: str, series: dict[str, list[Run]], count: Callable[[Run], int] | None, one: str) -> list[Growth]:
    rows: list[Growth] = []
    base: tuple[Run, float] | None = None
    for value, runs in series.items():
        seconds = Spread.of([run.replay_seconds for run in runs])
        run = runs[0]
        marginal = ""
        if base is not None and count is None:
            marginal = f"{seconds.median / base[1] - 1.0:+.0%}"
        elif base is not None and count is not None:
            more = count(run) - count(base[0])
            marginal = f"{(seconds.median - base[1]) / more * 1e6:.1f} µs {one}"
        rows.append(Growth(what, value, run.events, run.decisions, seconds, marginal))
        base = base or (run, seconds.median)
    return rows
