"""Cost of the metrics of a million customers: counting them, and a scrape. `python -m benchmarks.live.scrape`."""

from __future__ import annotations

import os

# As the command line of the product does, and before numpy is imported: one thread for linear algebra.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Annotated, Final

import numpy as np
import typer

from benchmarks.live.results import Scrape
from stream_app.adapters.http.health import Health, HealthServer
from stream_app.core.alerts.lifecycle import CLOSE_REASONS, Alert, AlertCandidate, Ranks, alert_id
from stream_app.core.causes.catalogue import CAUSES
from stream_app.core.causes.explanation import Cause, Explanation
from stream_app.core.customers.customer import Customer
from stream_app.core.kpis.aggregator import KpiState
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import shop_key
from stream_app.core.state.vector import FIRST_ORDER, LAST_ORDER, NEVER, ORDER_DAYS, ORDERS, RING_END, SHOP, new_vector
from stream_app.core.units import DAY_US
from stream_app.metrics import new_registry
from stream_app.services.worker.worker_metrics import WorkerMonitor

TODAY: Final = 20_000 * DAY_US
SHARE_OF_BUYERS: Final = 0.8
_MS: Final = 1e3


def main(
    customers: Annotated[int, typer.Option(help="How many customers, over all lanes.")] = 1_000_000,
    tasks: Annotated[int, typer.Option(help="How many partition numbers the worker has.")] = 8,
    shops: Annotated[int, typer.Option(help="How many shops.")] = 50,
    alerts: Annotated[int, typer.Option(help="How many episodes are open, of any cause and segment.")] = 1_500,
) -> None:
    """Measure, and print what was seen."""
    cost = measure(customers, tasks, shops, alerts)
    print(f"{customers:,} customers, {tasks} partitions, {shops} shops, {alerts:,} open alerts: {cost.series:,} series")
    print(f"count of all customers: {cost.count:.1f} ms CPU, {cost.hold:.1f} ms the longest chunk")
    wanted = f"wanted within {cost.wanted:.0f} ms, done within {cost.done_at:.0f} ms"
    print(f"one scrape: {cost.wall:.1f} ms, {cost.answer_bytes:,} bytes ({wanted})")
    print(f"its CPU, with the client's: {cost.cpu:.1f} ms")
    print(f"columns of restored customers: {cost.restore:,.0f} ms, {cost.restore / customers * _MS:.2f} µs a customer")


def in_own_process(customers: int, tasks: int, shops: int, alerts: int) -> Scrape:
    """The same in a new process, whose memory goes with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, customers, tasks, shops, alerts).result()


def measure(customers: int, tasks: int, shops: int, alerts: int = 0, scrapes: int = 9) -> Scrape:
    """Build a worker's lanes, count their customers, and scrape them over HTTP."""
    registry = new_registry()
    watch = WorkerMonitor(registry)
    names = [f"shop-{number}" for number in range(shops)]
    owned, restore = {}, 0.0
    for number in range(tasks):
        owned[number], seconds = _lane(number, customers // tasks, names)
        restore += seconds
    watch.owned(owned)
    for task in owned.values():
        _open_episodes(task, watch, alerts // tasks)
    watch.business.count(owned.values())  # so that all series are there
    holds: list[float] = []
    before = time.process_time()
    for _ in _held(watch, owned, holds):
        pass
    count = time.process_time() - before
    server = HealthServer(Health(), registry)
    server.start()
    try:
        times: list[float] = []
        busy: list[float] = []
        answer = b""
        for _ in range(scrapes):
            started, before = time.perf_counter(), time.process_time()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as reply:
                answer = reply.read()
            times.append(time.perf_counter() - started)
            busy.append(time.process_time() - before)
    finally:
        server.stop()
    return Scrape(
        customers=customers,
        shops=shops,
        count=count * _MS,
        hold=max(holds) * _MS,
        wall=float(np.median(times)) * _MS,
        cpu=min(busy) * _MS,
        answer_bytes=len(answer),
        restore=restore * _MS,
        series=sum(not line.startswith(b"#") for line in answer.splitlines()),
    )


def _held(watch: WorkerMonitor, tasks: dict[int, PartitionTask], holds: list[float]) -> Iterator[None]:
    """Count chunk by chunk, noting for how long each of them took the event loop."""
    started = time.thread_time()
    for _ in watch.business.chunks(tasks.values()):
        holds.append(time.thread_time() - started)
        yield
        started = time.thread_time()
    holds.append(time.thread_time() - started)


def _lane(number: int, customers: int, shops: list[str]) -> tuple[PartitionTask, float]:
    """A lane of customers as if they had been restored, and the seconds that their columns took."""
    rng = np.random.default_rng(number)
    task = PartitionTask(number, {}, Settings(), Limits())
    partition = task.processor
    partition.working_set.add([_customer(f"c{number}-{one}", rng, shops) for one in range(customers)])
    partition.ranking.set_rows(np.arange(customers), _ranks(rng, customers))
    partition.stream_time = TODAY
    started = time.process_time()
    partition.aggregator.restore(list(partition.customers.values()), KpiState(shops, []), TODAY)
    return task, time.process_time() - started


def _open_episodes(task: PartitionTask, watch: WorkerMonitor, count: int) -> None:
    """Open episodes of any cause and segment, as a desk would, and tell of them."""
    rng, partition = np.random.default_rng(task.number), task.processor
    buyers = (one for one in partition.customers.values() if one.vector[LAST_ORDER] != NEVER)
    for customer in islice(buyers, count):
        why = Explanation(str(rng.choice(SEGMENTS)), (Cause(str(rng.choice(CAUSES)), 0.5),))
        candidate = AlertCandidate(customer.name, TODAY, 0.9, 0.9, 1.0, 40.0, 30.0, 1, 1, explanation=why)
        partition.alerts.open_alert(
            Alert(alert_id(customer.name, TODAY), customer.name, TODAY, TODAY + DAY_US, 1, 0.9, candidate)
        )
    opened, _ = partition.aggregator.event_counts.take_alerts()
    for (shop, cause, segment), number in opened.items():
        for reason in CLOSE_REASONS:
            watch.business.metrics.closed.add((shop, reason, segment), number)
        watch.business.opened(shop, cause, segment, number)


def _customer(name: str, rng: np.random.Generator, shops: list[str]) -> Customer:
    vector = new_vector()
    draw = rng.random(4)
    if draw[0] < SHARE_OF_BUYERS:
        orders = int(draw[1] * 6) + 1
        last = TODAY / DAY_US - draw[2] * 400
        vector[LAST_ORDER], vector[FIRST_ORDER] = last, last - (orders - 1) * 30
        vector[ORDERS] = vector[ORDER_DAYS] = orders
        vector[RING_END - 1], vector[RING_END - 2] = int(last), int(last) - 30 if orders > 1 else NEVER
        vector[SHOP] = shop_key(shops[int(draw[3] * len(shops))])
    return Customer(name, 0, vector.tobytes())


def _ranks(rng: np.random.Generator, customers: int) -> Ranks:
    ranks = Ranks.none(customers)
    ranks.latest[:] = np.where(rng.random(customers) < SHARE_OF_BUYERS / 2, rng.random(customers), np.nan)
    return ranks


if __name__ == "__main__":
    typer.run(main)
