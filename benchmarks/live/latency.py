"""Time from an event's append in Kafka to its score in Redis, seen from outside, at a steady rate.

A process of its own sends events that happen now; of some it records the broker's offset and time of append. Meanwhile
this process polls the committed positions in Redis every few milliseconds. States, scores and positions are stored by
one call, so the score of an event is visible once the position is past its offset.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.live.feed import TrainedModel, feed, fresh_system, input_topics, store_model
from benchmarks.live.progress import cpu_seconds
from benchmarks.live.results import Latency
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import SHOP_TOPICS, confluent_options, load_config
from stream_app.core.events.schema import Event, decode, encode
from stream_app.core.partition.progress import Position
from stream_app.publish.sender import ROLES
from tests.harness.processes import LiveSystem
from tests.harness.processes.outcome import ranked_customers, scores_of

_SLICE_SECONDS: Final = 0.002  # whose events are sent at once
_SAMPLE_EVERY: Final = 16  # events
# Precedes the append, so it is in no figure. With 2 ms the broker used 0.75 of a core, with 20 ms 0.6.
_LINGER_MS: Final = 20
_POLL_SECONDS: Final = 0.002  # between two polls of Redis
_WARM_UP_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 3.0  # before the sender starts, and after it has ended
_CATCH_UP_SECONDS: Final = 300.0
_CHECKED: Final = 50  # customers whose scores are checked


@dataclass(frozen=True)
class Sent:
    """A sampled event."""

    customer: str
    role: str
    partition: int
    offset: int
    appended_ms: int  # by the clock of the broker, which runs on this machine


@dataclass(frozen=True)
class Committed:
    """A change of a partition's committed position."""

    at: float  # wall clock, seconds
    partition: int
    position: bytes


def latency(live: LiveSystem, log: Path, model: TrainedModel, *, history: int, rate: float, seconds: float) -> Latency:
    """Measure a worker with warm customer histories, at the head of the topics, on the wall clock.

    Args:
        live: servers.
        log: its first events, shifted to end now, are the history, and are then sent repeatedly.
        model: the current model.
        history: number of events.
        rate: events per second.
        seconds: duration of the measurement, after some seconds of warming up.
    """
    name, sent_seconds = f"latency-{time.time_ns()}", _WARM_UP_SECONDS + seconds
    with fresh_system(live, name, {**input_topics(name), "ticks.clock": "wall"}) as system:
        system.run("topics", "create")
        fed = feed(system.config, log, history, datetime.now(UTC))
        store_model(system, model, fed.moment)
        worker = system.start("worker")
        system.wait("the history is processed", lambda: _at_the_end(system), _CATCH_UP_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        before = cpu_seconds(worker.pid)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            sending = pool.submit(send, system.environ, log, history, rate, sent_seconds)
            committed, gaps = _poll(system, sending)
            sent = sending.result()
        busy = (cpu_seconds(worker.pid) - before) / sent_seconds
        worker.stop()
        _check_scores(system, sent)
    appended = [one.appended_ms for one in sent]
    warm_ms = min(appended) + _WARM_UP_SECONDS * 1e3
    return Latency.of(
        latencies_ms([one for one in sent if one.appended_ms >= warm_ms], committed),
        rate=len(sent) * _SAMPLE_EVERY / (max(appended) - min(appended)) * 1e3,
        seconds=seconds,
        poll_ms=float(np.mean(gaps)) * 1e3,
        poll_p99_ms=float(np.percentile(gaps, 99)) * 1e3,
        commits=len(committed) / (committed[-1].at - committed[0].at),
        busy=busy,
    )


def latencies_ms(sent: Sequence[Sent], committed: Sequence[Committed]) -> list[float]:
    """Return the time from each event's append to its observed commit, ms.

    Raises:
        ValueError: an event was never committed.

    >>> positions = Position({"orders": 7}, (0, 0)), Position({"orders": 9}, (0, 1))
    >>> encoded = map(msgspec.json.encode, positions)
    >>> committed = [Committed(second, 0, one) for second, one in zip([1.0, 1.5], encoded)]
    >>> latencies_ms([Sent("ann", "orders", 0, 7, 1_460)], committed)
    [40.0]
    """
    times, offsets = defaultdict[tuple[str, int], list[float]](list), defaultdict[tuple[str, int], list[int]](list)
    for one in committed:
        for role, offset in msgspec.json.decode(one.position, type=Position).offsets.items():
            times[role, one.partition].append(one.at)
            offsets[role, one.partition].append(offset)
    found: list[float] = []
    for event in sent:
        key = event.role, event.partition
        place = int(np.searchsorted(offsets[key], event.offset, side="right"))
        if place == len(offsets[key]):
            raise ValueError(f"{event} was never committed: the worker has fallen behind")
        found.append(round(times[key][place] * 1e3 - event.appended_ms, 3))
    return found


def _poll(live: LiveSystem, sending: Future[list[Sent]]) -> tuple[list[Committed], list[float]]:
    """Poll until the sender has ended and all is committed. Return the changes of positions and the poll intervals."""
    prefix, last = live.config.redis.prefix, dict[int, bytes]()
    committed: list[Committed] = []
    times = [time.time()]
    until = float("inf")
    while time.monotonic() < until:
        if sending.done():
            until = min(until, time.monotonic() + _SETTLE_SECONDS)
        pipeline = live.redis.pipeline(transaction=False)
        for number in range(live.partitions):
            pipeline.hget(f"{prefix}:{{p{number}}}:meta", "position")
        positions = pipeline.execute()
        times.append(time.time())
        for number, position in enumerate(positions):
            if position is not None and position != last.get(number):
                last[number] = position
                committed.append(Committed(times[-1], number, position))
        time.sleep(_POLL_SECONDS)
    return committed, np.diff(times).tolist()


def send(environ: Mapping[str, str], log: Path, limit: int, rate: float, seconds: float) -> list[Sent]:
    """Send the first events of a log repeatedly, as if they happened now. Return the sampled ones.

    Args:
        environ: the system's settings.
        log: a log in the wire format.
        limit: number of events of the log to use.
        rate: events per second.
        seconds: duration.
    """
    config = load_config(environ=environ)
    producer = Producer(confluent_options(config.kafka) | {"acks": "all", "linger.ms": _LINGER_MS})
    sender = _Sender(producer, config.kafka.topics.of(*SHOP_TOPICS), config.kafka.partitions)
    with log.open("rb") as lines:
        events = cycle([event for event in map(decode, islice(lines, limit)) if isinstance(event, Event)])
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        while sender.count < now * rate:
            sender.send(next(events))
        producer.poll(0)
        time.sleep(_SLICE_SECONDS)
    producer.flush()
    if sender.failures:
        raise RuntimeError(f"not delivered: {sender.failures[0]}")
    return sender.sent


class _Sender:
    """Sends events with the current time, and samples every 16th."""

    def __init__(self, producer: Producer, topics: Mapping[str, str], partitions: int) -> None:
        self._producer, self._topics, self._partitions = producer, topics, partitions
        self.count = 0
        self.sent: list[Sent] = []
        self.failures: list[KafkaError] = []

    def send(self, event: Event) -> None:
        customer, role = event.customer_id, ROLES[type(event)]
        fresh = msgspec.structs.replace(event, event_id=f"now-{self.count}", occurred_at=datetime.now(UTC))
        partition = partition_of(customer, self._partitions)
        options = {} if self.count % _SAMPLE_EVERY else {"on_delivery": partial(self._record, customer, role)}
        self._producer.produce(self._topics[role], encode(fresh), customer.encode(), partition, **options)  # type: ignore[arg-type]
        self.count += 1

    def _record(self, customer: str, role: str, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(error)
            return
        partition, offset, appended_ms = message.partition() or 0, message.offset() or 0, message.timestamp()[1]
        self.sent.append(Sent(customer, role, partition, offset, appended_ms))


def _at_the_end(live: LiveSystem) -> bool:
    positions = live.positions()
    return all((positions[number] or {}).get(role, -1) >= end for (role, number), end in live.ends().items())


def _check_scores(live: LiveSystem, sent: Sequence[Sent]) -> None:
    """Raise RuntimeError unless a customer of the last sampled events has a score."""
    newest = {one.customer: one.partition for one in sent[-_CHECKED:]}
    prefix = live.config.redis.prefix
    states = {name: live.redis.hget(f"{prefix}:{{p{number}}}:states", name) for name, number in newest.items()}
    stored = [(name, state) for name, state in states.items() if isinstance(state, bytes)]
    scores = scores_of(*ranked_customers(stored, live.config.shop.settings()))
    if not any(0.0 < score < 1.0 for score in scores.values()):
        raise RuntimeError("none of the last customers has a score")
