"""What an event costs two workers, against one: everything that is done twice shows here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from benchmarks.live.progress import Course, watch
from benchmarks.live.feed import Fed, Taught, anew, put_model
from benchmarks.live.results import Workers
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS
from benchmarks.results import Spread
from benchmarks.rounds import take_turns
from tests.harness.processes import LiveSystem, Process

_READY_SECONDS: Final = 60.0
_STABLE_SECONDS: Final = 1.0
_EARLIER: Final = 1  # microseconds: the model is learned up to just before the moment that lanes hold for


def cost_of_two(live: LiveSystem, fed: Fed, taught: Taught, rounds: int, on_run: Callable[[], None]) -> Workers:
    """Measure one, two, one, ...: each pair against the single ones before and after.

    All workers first take their lanes and hold at the first tick, then are let go: no rebalance is measured.
    """
    ones: list[Course] = []
    twos: list[Course] = []

    def cost(runs: list[Course], workers: int) -> float:
        runs.append(_run(live, fed, taught, workers, f"workers-{workers}-{len(runs)}"))
        on_run()
        return runs[-1].cpu_micros

    pairs = take_turns(lambda: cost(ones, 1), lambda: cost(twos, 2), rounds)
    one_rate, two_rate = (Spread.of([run.rate for run in runs]) for runs in (ones, twos))
    return Workers(pairs.floor, pairs.product, pairs.ratio, one_rate, two_rate)


def _run(live: LiveSystem, fed: Fed, taught: Taught, count: int, name: str) -> Course:
    with anew(live, name, VARIANTS["worker"]) as part:
        put_model(part, taught, fed.moment - _EARLIER)
        workers = [part.start("worker") for _ in range(count)]
        _wait_until_ready(part, workers)
        put_model(part, taught, fed.moment)
        return watch(part, workers, RUN_SECONDS)


def _wait_until_ready(live: LiveSystem, workers: list[Process]) -> None:
    """Every worker has its share of the lanes, and all lanes hold."""
    since = time.monotonic()

    def ready() -> bool:
        nonlocal since
        shares = [_lanes_of(worker) for worker in workers]
        hold = all(live.hold(number) for number in range(live.partitions))
        if sum(shares) != live.partitions or max(shares) - min(shares) > 1 or not hold:
            since = time.monotonic()
        return time.monotonic() - since > _STABLE_SECONDS

    live.wait(f"{len(workers)} workers share the lanes, which hold", ready, _READY_SECONDS)


def _lanes_of(worker: Process) -> int:
    """How many lanes a worker has, by what its log says."""
    log = worker.log.read_text(encoding="utf-8", errors="replace")
    return log.count("lane opened") - log.count("lane given up")
