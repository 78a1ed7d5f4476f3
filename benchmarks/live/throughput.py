"""Throughput of one worker process with everything on, in turns with a stock Faust agent that does nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from benchmarks.live.progress import Course, watch
from benchmarks.live.feed import Fed, Taught, anew, put_model
from benchmarks.live.results import Throughput
from benchmarks.live.stock_faust import Stock, stock_faust
from benchmarks.results import Spread
from tests.harness.processes import LiveSystem

RUN_SECONDS: Final = 180.0  # after which a run counts as hung
# Decode, align, state, every event scored, commit and outbox are always on.
VARIANTS: Final[dict[str, dict[str, str]]] = {
    "worker": {"worker.publish_scores": "false"},
    "worker, scores on shop.scores": {"worker.publish_scores": "true"},
}


def worker_run(live: LiveSystem, fed: Fed, taught: Taught, name: str, settings: Mapping[str, str]) -> Course:
    """One worker from a fresh start through all that is in the topics."""
    with anew(live, name, settings) as part:
        put_model(part, taught, fed.moment)
        return watch(part, [part.start("worker")], RUN_SECONDS)


@dataclass
class _Rounds:
    stock: list[Stock] = field(default_factory=list)
    runs: dict[str, list[Course]] = field(default_factory=lambda: {what: [] for what in VARIANTS})


def throughput(
    live: LiveSystem, fed: Fed, taught: Taught, rounds: int, stock_seconds: float, on_run: Callable[[], None]
) -> list[Throughput]:
    """Measure stock, worker, worker with scores, stock, ...: each worker against the stock runs before and after.

    Args:
        live: servers, and topics that are full.
        fed: what is in them.
        taught: the model in force.
        rounds: of each.
        stock_seconds: how long the stock agent is let run.
        on_run: told of every run that is finished.
    """
    seen = _Rounds()
    seen.stock.append(_stock(live, 0, stock_seconds, on_run))
    for number in range(rounds):
        for place, (what, settings) in enumerate(VARIANTS.items()):
            seen.runs[what].append(worker_run(live, fed, taught, f"throughput-{number}-{place}", settings))
            on_run()
        seen.stock.append(_stock(live, number + 1, stock_seconds, on_run))
    return [_against(what, runs, seen.stock) for what, runs in seen.runs.items()]


def runs_of(rounds: int) -> int:
    """How many runs `throughput` makes."""
    return 1 + rounds * (1 + len(VARIANTS))


def _stock(live: LiveSystem, number: int, seconds: float, on_run: Callable[[], None]) -> Stock:
    result = stock_faust(live, f"stock-{number}", seconds)
    on_run()
    return result


def _against(what: str, runs: list[Course], stock: list[Stock]) -> Throughput:
    rates = [(before.rate + after.rate) / 2 for before, after in pairwise(stock)]
    cpu_rates = [(before.cpu_rate + after.cpu_rate) / 2 for before, after in pairwise(stock)]
    return Throughput(
        what=what,
        records=runs[0].records,
        floor=Spread.of([one.rate for one in stock]),
        product=Spread.of([run.rate for run in runs]),
        ratio=Spread.of([run.rate / rate for run, rate in zip(runs, rates, strict=True)]),
        cpu_ratio=Spread.of([1e6 / run.cpu_micros / rate for run, rate in zip(runs, cpu_rates, strict=True)]),
        cpu_micros=Spread.of([run.cpu_micros for run in runs]),
        redis_micros=Spread.of([run.redis_micros for run in runs]),
    )
