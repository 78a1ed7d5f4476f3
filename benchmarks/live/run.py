"""All benchmarks of the live system."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.progress import Progress

from benchmarks.bench import Bench
from benchmarks.live.bytewax_flow import is_installed
from benchmarks.live.feed import TrainedModel, feed
from benchmarks.live.latency import latency
from benchmarks.live.metrics_scrape import measure as measure_scrape
from benchmarks.live.monitored_worker import cost_of_monitoring
from benchmarks.live.publishing import publishing
from benchmarks.live.redis_memory import redis_memory
from benchmarks.live.results import LiveReport
from benchmarks.live.throughput import against_bytewax, throughput
from benchmarks.live.two_workers import cost_of_two
from benchmarks.live.worker_profile import profile_worker
from benchmarks.machine import Conditions
from benchmarks.rounds import in_own_process
from benchmarks.simulated_logs import browsing_heavy
from stream_app.simulate import ShopSettings
from tests.harness.processes import LiveSystem

PARTITIONS: Final = 4
LIGHT_LOAD: Final = 2_000.0  # events/s
SCRAPED: Final = {"partitions": 8, "shops": 50, "alerts": 1_500}


@dataclass(frozen=True)
class Plan:
    """Sizes of a run."""

    customers: int  # of the browsing-heavy shop
    events: int  # of its log, at most
    rounds: int
    stock_seconds: float
    latency_seconds: float
    history: int  # events that the worker has processed before latency is measured
    year_customers: int  # of the shop whose customers are stored
    stored_customers: int


FULL: Final = Plan(2_000, 1_000_000, 3, 20.0, 60.0, 150_000, 5_000, 1_000_000)
QUICK: Final = Plan(300, 60_000, 1, 5.0, 10.0, 10_000, 300, 20_000)


class LiveBench(Bench):
    """A run of all benchmarks of the live system.

    Args:
        logs: folder of the simulated logs.
        progress: where progress is shown.
        plan: sizes of the run.
    """

    def __init__(self, logs: Path, progress: Progress, plan: Plan = FULL) -> None:
        super().__init__(logs, progress)
        self._plan = plan

    def run(self) -> LiveReport:
        """Run all benchmarks. Raise `Missing` if a Kafka or Redis program is not installed."""
        plan, conditions = self._plan, Conditions()
        log = self._log("browsing-heavy", browsing_heavy(plan.customers))
        year = self._log("year", ShopSettings(customers=plan.year_customers, days=365))
        with self._step("Redis memory"):
            memory = redis_memory(year, plan.stored_customers)
        with self._step("A scrape"):
            scrape = in_own_process(measure_scrape, plan.stored_customers, **SCRAPED)
        with self._step("Training a model"):
            model = TrainedModel.from_log(log)
        with LiveSystem({"kafka.partitions": str(PARTITIONS)}) as live:
            with self._step("Filling the topics"):
                live.run("topics", "create")
                fed = feed(live.config, log, plan.events)
            rounds = self._rounds("One worker against stock Faust", plan.rounds)
            rows = throughput(live, fed, model, rounds, plan.stock_seconds)
            bytewax = None
            if is_installed():
                rounds = self._rounds("One worker against Bytewax", plan.rounds)
                bytewax = against_bytewax(live, fed, model, rounds)
            two_workers = cost_of_two(live, fed, model, self._rounds("Two workers", plan.rounds))
            monitored = cost_of_monitoring(live, fed, model, self._rounds("A monitored worker", plan.rounds))
            with self._step("Where the time of a worker goes"):
                parts, threads = profile_worker(live, fed, model)
            published = publishing(live, log, self._rounds("Publishing", plan.rounds))
            at_rate = partial(latency, live, log, model, history=plan.history, seconds=plan.latency_seconds)
            with self._step("From append to score"):
                half = at_rate(rate=min(row.rates.product.median for row in rows) / 2)
            with self._step("Light load"):
                light = at_rate(rate=LIGHT_LOAD)
        conditions.end()
        return LiveReport(
            conditions,
            rows,
            bytewax,
            half,
            light,
            two_workers,
            monitored,
            scrape,
            published,
            memory,
            parts=parts,
            threads=threads,
        )
