"""Speed of `stream-app publish` without pacing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.live.feed import fresh_system, input_topics
from benchmarks.live.results import Publishing
from benchmarks.results import Spread
from tests.harness.processes import LiveSystem

# The command's last line: "300,000 of 300,000 events and 3,600 ticks in 5.1 s (58,824 events/s): ...".
_SUMMARY: Final = re.compile(r"([\d,]+) of ([\d,]+) events and ([\d,]+) ticks in ([\d,.]+) s \(([\d,]+) events/s\)")


def publishing(live: LiveSystem, log: Path, rounds: Iterable[int]) -> Publishing:
    """Publish a log several times, each time to new topics."""
    summaries: list[tuple[int, int, float]] = []
    seconds: list[float] = []
    for number in rounds:
        with fresh_system(live, f"publish-{number}", input_topics(f"publish-{number}")) as system:
            system.run("topics", "create")
            started = time.monotonic()
            summaries.append(read_summary(system.run("publish", str(log))))
            seconds.append(time.monotonic() - started)
    events, ticks, _ = summaries[0]
    rates = Spread.of([rate for _, _, rate in summaries])
    return Publishing(events, ticks, rates, Spread.of([events / one for one in seconds]))


def read_summary(output: str) -> tuple[int, int, float]:
    """Return the events, ticks and events per second that the command reports.

    Raises:
        ValueError: the log was not published completely.

    >>> read_summary("6 of 6 events and 1,200 ticks in 2.0 s (3 events/s): 12 records sent.")
    (6, 1200, 3.0)
    """
    found = _SUMMARY.search(" ".join(output.split()))  # the console wraps lines
    if found is None or found[1] != found[2]:
        raise ValueError(f"the log was not published: {output[-1000:]}")
    events, _, ticks, _, rate = (float(one.replace(",", "")) for one in found.groups())
    return int(events), int(ticks), rate
