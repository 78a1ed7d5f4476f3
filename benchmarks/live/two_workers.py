"""Cost of a record with two workers compared with one, which reveals work done twice."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from benchmarks.live.feed import Feed, TrainedModel, fresh_system, store_model
from benchmarks.live.progress import WorkerRun, watch
from benchmarks.live.results import TwoWorkers
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS
from benchmarks.results import Spread
from benchmarks.rounds import take_turns
from tests.harness.processes import LiveSystem, Process

_READY_SECONDS: Final = 60.0
_STABLE_SECONDS: Final = 1.0
_EARLIER: Final = 1  # microseconds before the moment that partitions wait for


def cost_of_two(live: LiveSystem, feed: Feed, model: TrainedModel, rounds: Iterable[int]) -> TwoWorkers:
    """Measure one worker, two, one, ...: each pair is compared with the single workers around it.

    No rebalance is measured: the workers first share the partitions, which wait at the first tick, and then continue.
    """
    runs: dict[int, list[WorkerRun]] = {1: [], 2: []}

    def cost(workers: int) -> float:
        name = f"workers-{workers}-{len(runs[workers])}"
        runs[workers].append(_run(live, feed, model, workers, name))
        return runs[workers][-1].cpu_micros

    micros = take_turns(lambda: cost(1), lambda: cost(2), rounds)
    return TwoWorkers(micros, *(Spread.of([run.rate for run in every]) for every in runs.values()))


def _run(live: LiveSystem, feed: Feed, model: TrainedModel, count: int, name: str) -> WorkerRun:
    with fresh_system(live, name, VARIANTS["worker"]) as system:
        store_model(system, model, feed.moment - _EARLIER)
        workers = [system.start("worker") for _ in range(count)]
        _wait_until_shared(system, workers)
        return watch(system, workers, RUN_SECONDS, begin=lambda: store_model(system, model, feed.moment))


def _wait_until_shared(live: LiveSystem, workers: list[Process]) -> None:
    """Wait until every worker has its share of the partitions, and all partitions wait."""
    since = time.monotonic()

    def is_shared() -> bool:
        nonlocal since
        shares = [len(worker.partitions()) for worker in workers]
        hold = all(live.hold(number) for number in range(live.partitions))
        if sum(shares) != live.partitions or max(shares) - min(shares) > 1 or not hold:
            since = time.monotonic()
        return time.monotonic() - since > _STABLE_SECONDS

    live.wait(f"{len(workers)} workers share the partitions, which wait", is_shared, _READY_SECONDS)
