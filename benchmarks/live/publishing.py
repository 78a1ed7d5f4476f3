"""How fast `stream-app publish` sends a log, flat out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.live.feed import anew, topics_of
from benchmarks.live.results import Publishing
from benchmarks.results import Spread
from tests.harness.processes import LiveSystem

# What the command says at its end: "300,000 of 300,000 events and 3,600 ticks in 5.1 s (58,824 events/s): ...".
_TOLD: Final = re.compile(r"([\d,]+) of ([\d,]+) events and ([\d,]+) ticks in ([\d,.]+) s \(([\d,]+) events/s\)")


def publishing(live: LiveSystem, log: Path, rounds: int, on_run: Callable[[], None]) -> Publishing:
    """Publish a log again and again, each time to topics of their own."""
    told: list[tuple[int, int, float]] = []
    seconds: list[float] = []
    for number in range(rounds):
        with anew(live, f"publish-{number}", topics_of(f"publish-{number}")) as part:
            part.run("topics", "create")
            started = time.monotonic()
            told.append(read_told(part.run("publish", str(log))))
            seconds.append(time.monotonic() - started)
        on_run()
    events, ticks, _ = told[0]
    rates = Spread.of([rate for _, _, rate in told])
    return Publishing(events, ticks, rates, Spread.of([events / one for one in seconds]))


def read_told(said: str) -> tuple[int, int, float]:
    """Events, ticks and events a second. Raises ValueError if not all was published.

    >>> read_told("6 of 6 events and 1,200 ticks in 2.0 s (3 events/s): 12 records sent.")
    (6, 1200, 3.0)
    """
    found = _TOLD.search(" ".join(said.split()))  # the console breaks lines
    if found is None or found[1] != found[2]:
        raise ValueError(f"the log was not published: {said[-1000:]}")
    events, _, ticks, _, rate = (float(one.replace(",", "")) for one in found.groups())
    return int(events), int(ticks), rate
