"""Throughput of one worker process, in turns with a stock Faust agent that does nothing, or with Bytewax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from benchmarks.live.bytewax_flow import bytewax_run
from benchmarks.live.feed import Feed, TrainedModel, fresh_system, store_model
from benchmarks.live.progress import WorkerRun, watch
from benchmarks.live.results import OtherRun, Throughput
from benchmarks.live.stock_faust import stock_faust
from benchmarks.results import Spread
from benchmarks.rounds import Pairs
from tests.harness.processes import LiveSystem

RUN_SECONDS: Final = 180.0  # after which a run counts as hung
# Decoding, merging, states, scores after events, commit and outbox are always on.
_SCORED: Final = "worker, scores on shop.scores"
VARIANTS: Final[dict[str, dict[str, str]]] = {
    "worker": {"worker.publish_scores": "false"},
    _SCORED: {"worker.publish_scores": "true"},
}


def worker_run(
    live: LiveSystem, feed: Feed, model: TrainedModel, name: str, settings: Mapping[str, str] = VARIANTS["worker"]
) -> WorkerRun:
    """Run one worker from an empty store through all records in the topics."""
    with fresh_system(live, name, settings) as system:
        store_model(system, model, feed.moment)
        return watch(system, [system.start("worker")], RUN_SECONDS)


def throughput(
    live: LiveSystem, feed: Feed, model: TrainedModel, rounds: Iterable[int], stock_seconds: float
) -> list[Throughput]:
    """Measure agent, worker, worker with scores, agent, ...: each worker is compared with the agents around it.

    Args:
        live: servers with full topics.
        feed: content of the topics.
        model: the current model.
        rounds: rounds of each variant.
        stock_seconds: maximum duration of a run of the agent.
    """
    stock = [stock_faust(live, "stock", stock_seconds)]
    runs: dict[str, list[WorkerRun]] = {variant: [] for variant in VARIANTS}
    for number in rounds:
        for place, (variant, settings) in enumerate(VARIANTS.items()):
            runs[variant].append(worker_run(live, feed, model, f"throughput-{number}-{place}", settings))
        stock.append(stock_faust(live, f"stock-{number}", stock_seconds))
    return [_against(variant, every, stock) for variant, every in runs.items()]


def against_bytewax(live: LiveSystem, feed: Feed, model: TrainedModel, rounds: Iterable[int]) -> Throughput:
    """Measure the dataflow, a worker with scores, the dataflow, ... Bytewax must be installed; see `throughput`."""
    others, runs = [bytewax_run(live)], []
    for number in rounds:
        runs.append(worker_run(live, feed, model, f"bytewax-{number}", VARIANTS[_SCORED]))
        others.append(bytewax_run(live))
    return _against(_SCORED, runs, others)


def _against(variant: str, runs: list[WorkerRun], others: list[OtherRun]) -> Throughput:
    return Throughput(
        variant=variant,
        records=runs[0].records,
        rates=Pairs.of([one.rate for one in others], [run.rate for run in runs]),
        cpu_ratio=Pairs.of([one.cpu_rate for one in others], [1e6 / run.cpu_micros for run in runs]).ratio,
        cpu_micros=Spread.of([run.cpu_micros for run in runs]),
        redis_micros=Spread.of([run.redis_micros for run in runs]),
    )
