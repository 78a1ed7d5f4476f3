"""Time of a replay by number of events, decisions and partitions, one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.replay.results import Growth
from benchmarks.replay.whole_replay import SHORT, replay
from benchmarks.results import Spread
from stream_app.core.units import DAY_US

VISITS: Final = ((0.6, 1.0), (4.0, 3.0), (16.0, 9.0))  # of a shop: visits without an order, pages per visit
_ROUNDS: Final = 2


@dataclass(frozen=True)
class Case:
    """A value of a parameter."""

    parameter: str
    value: str
    log: Path
    every_days: int = 14
    partitions: int = 1


def cases(visits: dict[str, Path]) -> list[Case]:
    """Return all cases.

    Args:
        visits: logs of the same customers and orders with more and more visits, by description. The first one also
            serves for the other parameters.
    """
    base = next(iter(visits.values()))
    return [
        *(Case("events", value, log) for value, log in visits.items()),
        *(Case("decisions", f"every {days} d", base, every_days=days) for days in (14, 7, 2)),
        *(Case("partitions", str(count), base, partitions=count) for count in (1, 4, 16)),
    ]


def measure(every: Iterable[Case]) -> list[Growth]:
    """Measure all cases, each parameter's first value first."""
    rows: list[Growth] = []
    for case in every:
        settings = msgspec.structs.replace(SHORT, decide_every=case.every_days * DAY_US)
        runs = [replay(case.log, settings, partitions=case.partitions) for _ in range(_ROUNDS)]
        seconds = Spread.of([run.replay_seconds for run in runs])
        base = next((row for row in rows if row.parameter == case.parameter), None)
        row = Growth(case.parameter, case.value, runs[0].events, runs[0].decisions, seconds, "–")
        rows.append(replace(row, marginal=marginal(base, row)) if base else row)
    return rows


def marginal(base: Growth, row: Growth) -> str:
    """Return the cost of one more event or decision, or the relative extra cost of more partitions."""
    if row.parameter == "partitions":
        return f"{row.seconds.median / base.seconds.median - 1.0:+.0%}"
    more = getattr(row, row.parameter) - getattr(base, row.parameter)
    return f"{(row.seconds.median - base.seconds.median) / more * 1e6:.1f} µs per {row.parameter.removesuffix('s')}"
