"""A Bytewax dataflow that does a small part of a worker's job: the rival of the live system, in a process of its own.

It decodes each event, keeps a few numbers per customer, scores them with one logistic model of twelve features, and
writes each score to Kafka, with recovery on. It does not merge topics in order of time, wait for lagging topics,
recognize duplicates, follow ticks, make or label decisions, watch alerts, or commit states with positions: after a
crash, Bytewax writes the scores since its last snapshot again.

Bytewax is no dependency of the project. Install it with `pip install bytewax` to include it in a run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from math import exp, log1p
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.live.results import OtherRun
from benchmarks.rounds import in_own_process
from stream_app.config import SHOP_TOPICS
from tests.harness.processes import LiveSystem

_HALF_LIVES: Final = (7.0, 30.0, 90.0)  # days
_KINDS: Final = ("browsing", "cart", "order")  # of events; a decayed count of each for each half-life
_COUNTS: Final = len(_KINDS) * len(_HALF_LIVES)
_WEIGHTS: Final = tuple(0.05 * (place - 6) for place in range(_COUNTS + 3))  # any: their values take no time
_DAY_SECONDS: Final = 86_400.0


class _Event(msgspec.Struct):
    type: str
    customer_id: str
    occurred_at: datetime


def is_installed() -> bool:
    """Return whether Bytewax can be imported."""
    return find_spec("bytewax") is not None


def bytewax_run(live: LiveSystem) -> OtherRun:
    """Run the dataflow over the event topics of a live system, from their beginning to their end."""
    kafka = live.config.kafka
    events = list(kafka.topics.of(*SHOP_TOPICS).values())
    return in_own_process(measure, kafka.bootstrap, events, kafka.topics.scores)


def measure(bootstrap: str, topics: Sequence[str], topic: str) -> OtherRun:
    """Run the dataflow in this process, which must have been started for it."""
    from bytewax.recovery import RecoveryConfig, init_db_dir  # noqa: PLC0415 - optional
    from bytewax.testing import run_main  # noqa: PLC0415

    job = _Job()
    with tempfile.TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        run_main(_flow(bootstrap, topics, topic, job), recovery_config=RecoveryConfig(folder))
    return OtherRun(job.events / (time.monotonic() - job.started), job.events / (time.process_time() - job.cpu_started))


def _flow(bootstrap: str, topics: Sequence[str], topic: str, job: _Job) -> Any:
    from bytewax import operators as op  # noqa: PLC0415 - optional
    from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource  # noqa: PLC0415
    from bytewax.dataflow import Dataflow  # noqa: PLC0415

    def message(scored: tuple[str, float]) -> Any:
        return KafkaSinkMessage(scored[0].encode(), msgspec.json.encode(scored))

    flow = Dataflow("scores")
    records = op.input("records", flow, KafkaSource([bootstrap], topics, tail=False))
    events = op.map("events", records, job.event)
    scores = op.stateful_map("scores", events, scored)
    op.output("written", op.map("messages", scores, message), KafkaSink([bootstrap], topic))
    return flow


class _Job:
    """Decodes the events of a run, and counts them from the first one on."""

    def __init__(self) -> None:
        self.events = 0
        self.started = self.cpu_started = 0.0
        self._decode = msgspec.json.Decoder(_Event).decode

    def event(self, record: Any) -> tuple[str, tuple[str, float]]:
        if not self.events:
            self.started, self.cpu_started = time.monotonic(), time.process_time()
        self.events += 1
        event = self._decode(record.value)
        return event.customer_id, (event.type, event.occurred_at.timestamp() / _DAY_SECONDS)


def scored(known: list[float] | None, event: tuple[str, float]) -> tuple[list[float], float]:
    """Update the numbers of a customer, and return them with the customer's score.

    Args:
        known: days of the first and last event, and the decayed counts; None: a new customer.
        event: its type, and its day.

    >>> numbers, score = scored(None, ("order", 3.0))
    >>> numbers, 0.0 < score < 1.0
    ([3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0], True)
    """
    kind, day = event
    first, last, *counts = known or [day, day, *[0.0] * _COUNTS]
    silent = max(day - last, 0.0)
    counts = [count * 0.5 ** (silent / _HALF_LIVES[place % len(_HALF_LIVES)]) for place, count in enumerate(counts)]
    if kind in _KINDS:
        start = _KINDS.index(kind) * len(_HALF_LIVES)
        for place in range(start, start + len(_HALF_LIVES)):
            counts[place] += 1.0
    features = [log1p(silent), log1p(max(day - first, 0.0)), log1p(sum(counts)), *map(log1p, counts)]
    log_odds = sum(weight * feature for weight, feature in zip(_WEIGHTS, features, strict=True))
    return [first, max(day, last), *counts], 1.0 / (1.0 + exp(-log_odds))
