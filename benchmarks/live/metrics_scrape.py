"""Cost of the metrics of a million customers."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from itertools import islice
from typing import Final

import numpy as np

from benchmarks.live.results import Scrape
from stream_app.adapters.http.health import Health, HealthServer
from stream_app.core.alerts.lifecycle import CLOSE_REASONS, Alert, AlertCandidate, alert_id
from stream_app.core.alerts.ranking import Ranks
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
from stream_app.metrics.base import new_registry
from stream_app.services.worker.worker_metrics import WorkerMonitor

TODAY: Final = 20_000 * DAY_US
SHARE_OF_BUYERS: Final = 0.8
_MS: Final = 1e3


def measure(customers: int, partitions: int, shops: int, alerts: int = 0, scrapes: int = 9) -> Scrape:
    """Fill a worker's partitions, count their customers, and scrape them over HTTP."""
    registry = new_registry()
    monitor = WorkerMonitor(registry)
    names = [f"shop-{number}" for number in range(shops)]
    filled = [_filled(number, customers // partitions, names) for number in range(partitions)]
    tasks = {task.number: task for task, _ in filled}
    monitor.owned(tasks)
    for task in tasks.values():
        _open_alerts(task, monitor, alerts // partitions)
    monitor.business.count(tasks.values())  # so that all series exist
    chunks = [time.thread_time()]
    chunks += [time.thread_time() for _ in monitor.business.chunks(tasks.values())]
    chunks.append(time.thread_time())
    server = HealthServer(Health(), registry)
    server.start()
    try:
        seen = [_scrape(server.port) for _ in range(scrapes)]
    finally:
        server.stop()
    _, _, response = seen[-1]
    return Scrape(
        customers=customers,
        shops=shops,
        series=sum(not line.startswith(b"#") for line in response.splitlines()),
        wall=float(np.median([wall for wall, _, _ in seen])) * _MS,
        cpu=min(cpu for _, cpu, _ in seen) * _MS,
        count=(chunks[-1] - chunks[0]) * _MS,
        longest_chunk=float(np.diff(chunks).max()) * _MS,
        response_bytes=len(response),
        restore=sum(seconds for _, seconds in filled) * _MS,
    )


def _scrape(port: int) -> tuple[float, float, bytes]:
    """Return wall time, CPU time and the response of one scrape."""
    started, before = time.perf_counter(), time.process_time()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        response = reply.read()
    return time.perf_counter() - started, time.process_time() - before, response


def _filled(number: int, customers: int, shops: list[str]) -> tuple[PartitionTask, float]:
    """Return a partition of restored customers, and the CPU seconds of preparing its counts."""
    rng = np.random.default_rng(number)
    task = PartitionTask(number, {}, Settings(), Limits())
    partition = task.processor
    partition.working_set.add([_customer(f"c{number}-{one}", rng, shops) for one in range(customers)])
    ranks = Ranks.none(customers)
    ranks.latest[:] = np.where(rng.random(customers) < SHARE_OF_BUYERS / 2, rng.random(customers), np.nan)
    partition.ranking.set_rows(np.arange(customers), ranks)
    partition.stream_time = TODAY
    started = time.process_time()
    partition.aggregator.restore(list(partition.customers.values()), KpiState(shops, []), TODAY)
    return task, time.process_time() - started


def _open_alerts(task: PartitionTask, monitor: WorkerMonitor, count: int) -> None:
    """Open alerts of any cause and segment, as the allocator does, and count them."""
    rng, partition = np.random.default_rng(task.number), task.processor
    buyers = (one for one in partition.customers.values() if one.vector[LAST_ORDER] != NEVER)
    for customer in islice(buyers, count):
        why = Explanation(str(rng.choice(SEGMENTS)), (Cause(str(rng.choice(CAUSES)), 0.5),))
        candidate = AlertCandidate(customer.name, TODAY, 0.9, 0.9, 1.0, 40.0, 30.0, 1, 1, explanation=why)
        partition.alerts.open_alert(
            Alert(alert_id(customer.name, TODAY), customer.name, TODAY, TODAY + DAY_US, 1, 0.9, candidate)
        )
    counts = partition.aggregator.event_counts
    opened, counts.opened = counts.opened, Counter()
    for (shop, cause, segment), number in opened.items():
        for reason in CLOSE_REASONS:
            monitor.business.metrics.closed.add((shop, reason, segment), number)
        monitor.business.opened(shop, cause, segment, number)


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
    return Customer(name, 0, vector)
