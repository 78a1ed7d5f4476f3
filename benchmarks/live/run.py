"""The order of the live measurements, and what is shown meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import Progress

from benchmarks import simulated_logs as logs
from benchmarks.live.feed import Fed, Taught, feed
from benchmarks.live.latency import latency
from benchmarks.live.redis_memory import encoded, stored
from benchmarks.live.monitored_worker import cost_of_watching
from benchmarks.live.worker_profile import profile_worker
from benchmarks.live.publishing import publishing
from benchmarks.live.results import LiveReport, Memory, Scrape
from benchmarks.live.metrics_scrape import in_own_process
from benchmarks.live.throughput import runs_of, throughput
from benchmarks.live.two_workers import cost_of_two
from benchmarks.machine import load_average, machine
from stream_app.simulate import ShopSettings
from tests.harness.processes import LiveSystem

PARTITIONS: Final = 4
SCRAPED_LANES: Final = 8
SCRAPED_SHOPS: Final = 50
SCRAPED_EPISODES: Final = 1_500
_YEAR: Final = 365  # days


@dataclass(frozen=True)
class LivePlan:
    """How much is measured."""

    customers: int  # of the browsing-heavy shop
    events: int  # of its log, at most
    rounds: int
    stock_seconds: float
    latency_seconds: float
    history: int  # events that the worker knows before latency is measured
    year_customers: int  # of the shop whose customers are stored
    stored_customers: int


LIVE_FULL: Final = LivePlan(2_000, 1_000_000, 3, 20.0, 60.0, 150_000, 5_000, 1_000_000)
LIVE_QUICK: Final = LivePlan(300, 60_000, 1, 5.0, 10.0, 10_000, 300, 20_000)


class LiveBench:
    """One run of all live benchmarks.

    Args:
        plan: how much is measured.
        folder: where the simulated logs are kept.
        progress: where it is shown how far this has come.
    """

    def __init__(self, plan: LivePlan, folder: Path, progress: Progress) -> None:
        self._plan, self._folder, self._progress = plan, folder, progress

    def run(self, *, quick: bool) -> LiveReport:
        """Measure everything. Raises `Missing` where Kafka or Redis cannot be had."""
        plan, started, load = self._plan, time.perf_counter(), load_average()
        log = self._log("browsing-heavy", logs.browsing_heavy(plan.customers))
        memory, scrape = self._memory(), self._scrape()
        taught = self._taught(log)
        with LiveSystem({"kafka.partitions": str(PARTITIONS)}) as live:
            fed = self._feed(live, log)
            step = self._step("One worker against stock Faust", runs_of(plan.rounds))
            rows = throughput(live, fed, taught, plan.rounds, plan.stock_seconds, step)
            step = self._step("Two workers", 2 * plan.rounds + 1)
            workers = cost_of_two(live, fed, taught, plan.rounds, step)
            step = self._step("A worker that is watched", 2 * plan.rounds + 1)
            observed = cost_of_watching(live, fed, taught, plan.rounds, step)
            step = self._step("Where the time of a worker goes", 1)
            parts, threads = profile_worker(live, fed, taught)
            step()
            step = self._step("Publishing", plan.rounds)
            published = publishing(live, log, plan.rounds, step)
            step = self._step("From append to score", 1)
            half = min(row.product.median for row in rows) / 2
            seen = latency(live, log, taught, history=plan.history, rate=half, seconds=plan.latency_seconds)
            step()
        return LiveReport(
            machine=machine(),
            load_before=load,
            load_after=load_average(),
            seconds=time.perf_counter() - started,
            quick=quick,
            throughput=rows,
            latency=seen,
            workers=workers,
            observed=observed,
            scrape=scrape,
            publishing=published,
            memory=memory,
            parts=parts,
            threads=threads,
        )

    def _memory(self) -> Memory:
        plan = self._plan
        log = self._log("year", ShopSettings(customers=plan.year_customers, days=_YEAR))
        step = self._step("Memory of Redis", 1)
        shop = encoded("simulated shop, a year", log)
        held = stored(shop.values, plan.stored_customers)
        step()
        return Memory(held.customers, held.bytes_a_customer, held.value_bytes / held.customers, shop.waiting)

    def _scrape(self) -> Scrape:
        step = self._step("A scrape", 1)
        cost = in_own_process(self._plan.stored_customers, SCRAPED_LANES, SCRAPED_SHOPS, SCRAPED_EPISODES)
        step()
        return cost

    def _taught(self, log: Path) -> Taught:
        step = self._step("Teaching a model", 1)
        taught = Taught.by(log)
        step()
        return taught

    def _feed(self, live: LiveSystem, log: Path) -> Fed:
        step = self._step("Publishing what is to be worked off", 1)
        live.run("topics", "create")
        fed = feed(live.config, log, self._plan.events)
        step()
        return fed

    def _log(self, name: str, settings: ShopSettings) -> Path:
        step = self._step(f"Simulating {name}, {settings.customers:,} customers", 1)
        path = logs.simulated(self._folder, name, settings, lambda _share: None)
        step()
        return path

    def _step(self, what: str, steps: int) -> Callable[[], None]:
        task = self._progress.add_task(what, total=steps)
        return lambda: self._progress.advance(task)
