"""What it costs a worker to be watched: scraped every few seconds, beside a deliverer that has alerts to deliver."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Event, Thread
from typing import Final

from confluent_kafka import Producer

from benchmarks.live.progress import Course, watch
from benchmarks.live.feed import Fed, Taught, anew, put_model
from benchmarks.live.results import Observed
from benchmarks.live.throughput import RUN_SECONDS, VARIANTS
from benchmarks.results import Spread
from benchmarks.rounds import take_turns
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import confluent_options
from stream_app.config.parts import PORT_OFFSETS
from stream_app.core.messages.schema import encode_message
from stream_app.demo.secrets import new_secret
from tests.harness.processes import LiveSystem, Process
from tests.harness.alerts import urgent_alert
from tests.harness.processes.receiver import Receiver
from tests.harness.servers.process import free_port

SCRAPE_SECONDS: Final = 5.0
ALERTS_A_SECOND: Final = 10.0  # more than any staff could call: 36,000 an hour
_READY_SECONDS: Final = 60.0


class Repeated(Thread):
    """Does something again and again until it is stopped, and counts how often it was done."""

    def __init__(self, every: float, act: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._every, self._act, self._end = every, act, Event()
        self.done = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Until `stop`, or until it fails."""
        try:
            while not self._end.wait(self._every):
                self._act()
                self.done += 1
        except Exception as error:  # noqa: BLE001 - told by `stop`, in the thread that waits
            self.error = error

    def stop(self) -> None:
        """End it; raises what it failed with."""
        self._end.set()
        self.join()
        if self.error is not None:
            raise self.error


@dataclass
class _Watching:
    """How it is watched, and how often that was done."""

    scrape_seconds: float
    scrapes: int = 0
    deliveries: int = 0


def cost_of_watching(
    live: LiveSystem,
    fed: Fed,
    taught: Taught,
    rounds: int,
    on_run: Callable[[], None],
    scrape_seconds: float = SCRAPE_SECONDS,
) -> Observed:
    """Measure a worker alone, watched, alone, ...: each watched run against those before and after it."""
    alone: list[Course] = []
    watched: list[Course] = []
    watching = _Watching(scrape_seconds)

    def rate(runs: list[Course], *, observe: bool) -> float:
        name = f"observed-{int(observe)}-{len(runs)}"
        runs.append(_run(live, fed, taught, name, watching if observe else None))
        on_run()
        return runs[-1].rate

    pairs = take_turns(lambda: rate(alone, observe=False), lambda: rate(watched, observe=True), rounds)
    by_cpu = _turns_again([1 / run.cpu_micros for run in alone], [1 / run.cpu_micros for run in watched])
    return Observed(
        alone=pairs.floor,
        watched=pairs.product,
        ratio=pairs.ratio,
        cpu_ratio=by_cpu,
        seconds=sum(run.looks[-1].at - run.looks[0].at for run in watched),
        scrapes=watching.scrapes,
        deliveries=watching.deliveries,
    )


def _turns_again(alone: Sequence[float], watched: Sequence[float]) -> Spread:
    """The ratios of another figure of the same runs."""
    return take_turns(iter(alone).__next__, iter(watched).__next__, len(watched)).ratio


def _run(live: LiveSystem, fed: Fed, taught: Taught, name: str, watching: _Watching | None) -> Course:
    with anew(live, name, VARIANTS["worker"]) as part:
        put_model(part, taught, fed.moment)
        if watching is None:
            worker, _ = _started(part, "worker")
            return watch(part, [worker], RUN_SECONDS)
        with _delivering(part, watching) as deliver_port:
            worker, worker_port = _started(part, "worker")
            part.wait("the worker can be scraped", lambda: _answers(worker_port), _READY_SECONDS, every=0.02)
            scraping = Repeated(watching.scrape_seconds, lambda: _scrape(worker_port, deliver_port))
            scraping.start()
            course = watch(part, [worker], RUN_SECONDS)
            scraping.stop()
            watching.scrapes += scraping.done
            return course


def _started(part: LiveSystem, name: str) -> tuple[Process, int]:
    """A service whose metrics are told, and their port."""
    port = free_port()
    part.settings["health.port"] = str(port - PORT_OFFSETS[name])
    return part.start(name), port


@contextmanager
def _delivering(part: LiveSystem, watching: _Watching) -> Iterator[int]:
    """A deliverer at work: alerts come, and a webhook takes them. Yields the port of its metrics."""
    secret, channels = part.folder / "secret", part.folder / "channels.yml"
    secret.write_text(new_secret("webhook"), encoding="utf-8")
    producer = Producer({**confluent_options(part.config.kafka), "linger.ms": 0})
    with Receiver() as receiver:
        team = {"kind": "webhook", "url": receiver.url("team"), "secret": f"file:{secret}", "allow_private": True}
        channels.write_text(json.dumps({"mode": "live", "channels": {"team": team}}), encoding="utf-8")
        part.settings["delivery.config"] = str(channels)
        deliverer, port = _started(part, "deliver")
        alerts = Repeated(1.0 / ALERTS_A_SECOND, _sending(producer, part))
        alerts.start()
        try:
            part.wait("the first alert is delivered", lambda: receiver.taken > 0, _READY_SECONDS)
            before = receiver.taken
            yield port
            watching.deliveries += receiver.taken - before
        finally:  # whatever goes wrong: no run that follows is measured beside these alerts
            alerts.stop()
            producer.flush()
            deliverer.close()


def _sending(producer: Producer, part: LiveSystem) -> Callable[[], None]:
    """What sends one urgent alert, which waits for no digest, every time that it is called."""
    topic, partitions, numbers = part.config.kafka.topics.alerts, part.partitions, count()

    def send() -> None:
        one = urgent_alert(next(numbers))
        producer.produce(
            topic, encode_message(one), one.customer_id.encode(), partition_of(one.customer_id, partitions)
        )
        producer.poll(0)

    return send


def _scrape(*ports: int) -> None:
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS) as answer:
            answer.read()


def _answers(port: int) -> bool:
    try:
        _scrape(port)
    except OSError:
        return False
    return True
