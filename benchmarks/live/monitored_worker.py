"""Cost of monitoring a worker: it is scraped every few seconds, while a notifier delivers alerts."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread
from typing import Final

from confluent_kafka import Producer

from benchmarks.live.feed import Feed, TrainedModel, fresh_system, store_model
from benchmarks.live.progress import WorkerRun, watch
from benchmarks.live.results import Monitored
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS, worker_run
from benchmarks.rounds import Pairs, take_turns
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import confluent_options
from stream_app.core.messages.schema import encode_message
from tests.harness.alerts import urgent_alert
from tests.harness.processes import LiveSystem
from tests.harness.receivers import AlertReceiver
from tests.harness.servers.process import answers

SCRAPE_SECONDS: Final = 5.0
ALERT_SECONDS: Final = 0.1  # between two alerts: 36,000 per hour, more than any staff can call
_READY_SECONDS: Final = 60.0


class Repeated(Thread):
    """Thread that calls a function at an interval and counts the calls."""

    def __init__(self, every: float, act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._every, self._act, self._end = every, act, Event()
        self.done = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Call the function until `stop` is called or the function fails."""
        try:
            while not self._end.wait(self._every):
                self._act()
                self.done += 1
        except Exception as error:  # noqa: BLE001 - raised by `stop`, in the thread that waits
            self.error = error

    def stop(self) -> int:
        """Stop the thread. Return the number of calls, or raise the exception of the function."""
        self._end.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.done


def cost_of_monitoring(
    live: LiveSystem, feed: Feed, model: TrainedModel, rounds: Iterable[int], scrape_seconds: float = SCRAPE_SECONDS
) -> Monitored:
    """Measure a worker alone, monitored, alone, ...: each monitored run is compared with the runs around it."""
    alone: list[WorkerRun] = []
    monitored: list[WorkerRun] = []
    scrapes: list[int] = []
    deliveries: list[int] = []

    def rate_alone() -> float:
        alone.append(worker_run(live, feed, model, f"alone-{len(alone)}"))
        return alone[-1].rate

    def rate_monitored() -> float:
        with fresh_system(live, f"monitored-{len(monitored)}", VARIANTS["worker"]) as system:
            store_model(system, model, feed.moment)
            with _delivering(system, deliveries) as notifier_port:
                worker, port = system.start_with_metrics("worker")
                system.wait("the worker can be scraped", lambda: answers(port, "/metrics"), _READY_SECONDS, every=0.02)
                scraping = Repeated(scrape_seconds, lambda: _scrape(port, notifier_port))
                scraping.start()
                monitored.append(watch(system, [worker], RUN_SECONDS))
                scrapes.append(scraping.stop())
        return monitored[-1].rate

    rates = take_turns(rate_alone, rate_monitored, rounds)
    return Monitored(
        rates=rates,
        cpu_ratio=Pairs.of([1 / run.cpu_micros for run in alone], [1 / run.cpu_micros for run in monitored]).ratio,
        seconds=sum(run.seconds for run in monitored),
        scrapes=sum(scrapes),
        deliveries=sum(deliveries),
    )


@contextmanager
def _delivering(system: LiveSystem, deliveries: list[int]) -> Iterator[int]:
    """Run a notifier that delivers alerts to a webhook. Yield the port of its metrics."""
    with AlertReceiver() as receiver:
        system.write_channels(team={"url": receiver.url("team")})
        notifier, port = system.start_with_metrics("notifier")
        alerts = Repeated(ALERT_SECONDS, _alert_sender(system))
        alerts.start()
        try:
            system.wait("the first alert is delivered", lambda: receiver.accepted > 0, _READY_SECONDS)
            before = receiver.accepted
            yield port
            deliveries.append(receiver.accepted - before)
        finally:  # also after a failure: no later run is measured beside these alerts
            alerts.stop()
            notifier.close()


def _alert_sender(system: LiveSystem) -> Callable[[], None]:
    """Return a function that sends an urgent alert, which waits for no digest."""
    topic, partitions, numbers = system.config.kafka.topics.alerts, system.partitions, count()
    producer = Producer({**confluent_options(system.config.kafka), "linger.ms": 0})

    def send() -> None:
        alert = urgent_alert(next(numbers))
        customer = alert.customer_id
        producer.produce(topic, encode_message(alert), customer.encode(), partition_of(customer, partitions))
        producer.flush()

    return send


def _scrape(*ports: int) -> None:
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS) as response:
            response.read()
