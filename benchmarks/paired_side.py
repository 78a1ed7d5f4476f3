"""One side of `benchmarks.paired`: a script that runs with the code of the checkout that PYTHONPATH names.

    paired_side.py replay|worker LOG EVENTS [KAFKA REDIS_URL]

It prints the version of the checkout. For each line of standard input it measures once, and prints the CPU time per
event or record, µs. It supports this release and 0.1.1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

# Module of this release -> module of 0.1.1.
MODULES = {
    "benchmarks.replay.whole_replay": "benchmarks.product",
    "benchmarks.live.feed": "benchmarks.live_feed",
    "benchmarks.live.throughput": "benchmarks.live_throughput",
    "tests.harness.processes": "benchmarks.live",
}


def module(name: str) -> ModuleType:
    """Import a module under the name that it has in this checkout."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        return import_module(MODULES[name])


@contextmanager
def replay(log: Path, _events: int) -> Iterator[Callable[[], float]]:
    """Provide the measurement of a whole replay."""
    product = module("benchmarks.replay.whole_replay")

    def measure() -> float:
        run = product.replay(log, product.WEEKLY)
        return float(run.seconds / run.events * 1e6)

    yield measure


@contextmanager
def worker(log: Path, events: int, kafka: str, redis_url: str) -> Iterator[Callable[[], float]]:
    """Provide the measurement of a worker process on dedicated servers."""
    feed, runs = module("benchmarks.live.feed"), module("benchmarks.live.throughput")
    model: Any = feed.TrainedModel.from_log(log) if hasattr(feed, "TrainedModel") else feed.Taught.by(log)
    numbers = count()
    settings = {"kafka.partitions": "4"}
    with module("tests.harness.processes").LiveSystem(settings, kafka=kafka, redis_url=redis_url) as live:
        live.run("topics", "create")
        fed = feed.feed(live.config, log, events)

        def measure() -> float:
            name = f"paired-{next(numbers)}"
            return float(runs.worker_run(live, fed, model, name, {"worker.publish_scores": "true"}).cpu_micros)

        yield measure


def main(what: str, log: str, events: str, *servers: str) -> None:
    """Measure once for each line of standard input."""
    version = import_module("stream_app").__version__
    measurement: Any = {"replay": replay, "worker": worker}[what]
    with measurement(Path(log), int(events), *servers) as measure:
        print(json.dumps(version), flush=True)
        for _ in sys.stdin:
            print(json.dumps(measure()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
