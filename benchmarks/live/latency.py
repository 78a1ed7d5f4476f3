"""From an event's append in Kafka to its score in Redis, seen from outside, at a steady rate.

A process of its own sends events that happen now; of some it notes what the broker says: offset and time of append.
Meanwhile this process looks at Redis every few milliseconds and notes the committed positions. States, scores and
positions are stored by one call, so an event's score is visible as soon as the position is past its offset.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.live.course import cpu_seconds
from benchmarks.live.feed import Taught, anew, feed, put_model, topics_of
from benchmarks.live.results import Latency
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import SHOP_TOPICS, confluent_options, load_config
from stream_app.core.alerts.lifecycle import Ranking
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.events.schema import Event, decode, encode
from stream_app.core.partition.progress import Position
from stream_app.publish.sender import ROLES
from tests.harness.live import LiveSystem

_SLICE_SECONDS: Final = 0.002  # events of so long are sent at once
_SAMPLE_EVERY: Final = 16  # events
# Before the append, hence in no figure. With 2 ms the broker used three quarters of a core, with 20 ms 0.6 of one.
_LINGER_MS: Final = 20
_LOOK_SECONDS: Final = 0.002  # between two looks at Redis
_WARM_UP_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 3.0  # before the feeder starts, and after it has ended
_CATCH_UP_SECONDS: Final = 300.0
_CHECKED: Final = 50  # customers whose scores are looked for


@dataclass(frozen=True)
class Sent:
    """An event that was noted."""

    customer: str
    role: str
    partition: int
    offset: int
    appended_ms: int  # by the broker's clock, which is ours


@dataclass(frozen=True)
class Seen:
    """A change of a partition's position."""

    at: float  # seconds of the wall clock
    partition: int
    position: bytes


@dataclass(frozen=True)
class Load:
    """What the feeder is to send."""

    log: Path
    limit: int  # events of the log that it takes in turn
    rate: float  # events a second
    seconds: float


def latency(  # noqa: PLR0913 - what is measured, and how
    live: LiveSystem,
    log: Path,
    taught: Taught,
    *,
    history: int,
    rate: float,
    seconds: float,
    settings: Mapping[str, str] | None = None,
    program: Sequence[str] | None = None,
) -> Latency:
    """Measure it on a worker that knows its customers' histories, at the head of the topics, on the wall clock.

    Args:
        live: servers.
        log: whose first events, shifted so that they end now, are the history, and which is then sent again and again.
        taught: the model in force.
        history: events.
        rate: events a second.
        seconds: to measure, after some seconds of warming up.
        settings: of the worker, to try what they change.
        program: instead of the command, to profile it.
    """
    name = f"latency-{time.time_ns()}"
    with anew(live, name, {**topics_of(name), "ticks.clock": "wall", **(settings or {})}) as part:
        part.run("topics", "create")
        fed = feed(part.config, log, history, datetime.now(UTC))
        put_model(part, taught, fed.moment)
        worker = part.start("worker", program=program)
        part.wait("the history is worked off", lambda: _at_the_end(part), _CATCH_UP_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        before = cpu_seconds(worker.pid)
        sent, seen, gaps = _send_and_look(part, Load(log, history, rate, _WARM_UP_SECONDS + seconds))
        busy = (cpu_seconds(worker.pid) - before) / (_WARM_UP_SECONDS + seconds)
        worker.stop()
        _check_scores(part, sent)
    begun = min(one.appended_ms for one in sent) + _WARM_UP_SECONDS * 1e3
    measured = [one for one in sent if one.appended_ms >= begun]
    span = seen[-1].at - seen[0].at
    return Latency.of(
        latencies_ms(measured, seen),
        rate=_rate_of(sent),
        seconds=seconds,
        look_ms=float(np.mean(gaps)) * 1e3,
        look_p99_ms=float(np.percentile(gaps, 99)) * 1e3,
        commits=len(seen) / span,
        busy=busy,
    )


def latencies_ms(sent: Sequence[Sent], seen: Sequence[Seen]) -> list[float]:
    """How long after its append each event was seen to be committed. Raises ValueError if one never was.

    >>> at = Position({"orders": 7}, (0, 0)), Position({"orders": 9}, (0, 1))
    >>> seen = [Seen(second, 0, msgspec.json.encode(one)) for second, one in zip([1.0, 1.5], at)]
    >>> latencies_ms([Sent("ann", "orders", 0, 7, 1_460)], seen)
    [40.0]
    """
    times, offsets = defaultdict[tuple[str, int], list[float]](list), defaultdict[tuple[str, int], list[int]](list)
    for one in seen:
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


def _send_and_look(live: LiveSystem, load: Load) -> tuple[list[Sent], list[Seen], list[float]]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        sending = pool.submit(send, live.environ, load)
        seen, gaps = _look(live, sending)
        return sending.result(), seen, gaps


def _look(live: LiveSystem, sending: Future[list[Sent]]) -> tuple[list[Seen], list[float]]:
    """The changes of positions until the feeder has ended and all is committed; and the seconds between the looks."""
    prefix, last = live.config.redis.prefix, dict[int, bytes]()
    keys = [f"{prefix}:{{p{number}}}:meta" for number in range(live.partitions)]
    seen: list[Seen] = []
    gaps: list[float] = []
    before = time.time()
    until: float | None = None
    while until is None or time.monotonic() < until:
        if until is None and sending.done():
            until = time.monotonic() + _SETTLE_SECONDS
        pipeline = live.redis.pipeline(transaction=False)
        for key in keys:
            pipeline.hget(key, "position")
        positions, at = pipeline.execute(), time.time()
        gaps.append(at - before)
        before = at
        for number, position in enumerate(positions):
            if position is not None and position != last.get(number):
                last[number] = position
                seen.append(Seen(at, number, position))
        time.sleep(_LOOK_SECONDS)
    return seen, gaps


def send(environ: Mapping[str, str], load: Load) -> list[Sent]:
    """The feeder: send events that happen now at a steady rate; returns those that were noted."""
    config = load_config(environ=environ)
    names = config.kafka.topics.of(*SHOP_TOPICS)
    producer = Producer(confluent_options(config.kafka) | {"acks": "all", "linger.ms": _LINGER_MS})
    sent: list[Sent] = []
    failures: list[KafkaError] = []
    events = cycle(_events(load))
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter() - began) < load.seconds:
        while count < now * load.rate:
            _send_one(producer, next(events), count, names, config.kafka.partitions, _noting(count, sent, failures))
            count += 1
        producer.poll(0)
        time.sleep(_SLICE_SECONDS)
    producer.flush()
    if failures:
        raise RuntimeError(f"not delivered: {failures[0]}")
    return sent


def _send_one(
    producer: Producer,
    event: Event,
    number: int,
    names: Mapping[str, str],
    partitions: int,
    on_delivery: Callable[[KafkaError | None, Message, str, str], None] | None,
) -> None:
    customer, role = event.customer_id, ROLES[type(event)]
    fresh = msgspec.structs.replace(event, event_id=f"now-{number}", occurred_at=datetime.now(UTC))
    partition = partition_of(customer, partitions)
    options = {}
    if on_delivery is not None:
        options["on_delivery"] = lambda error, message: on_delivery(error, message, customer, role)
    producer.produce(names[role], encode(fresh), customer.encode(), partition, **options)  # type: ignore[arg-type]


def _noting(
    number: int, sent: list[Sent], failures: list[KafkaError]
) -> Callable[[KafkaError | None, Message, str, str], None] | None:
    if number % _SAMPLE_EVERY:
        return None

    def note(error: KafkaError | None, message: Message, customer: str, role: str) -> None:
        if error is not None:
            failures.append(error)
            return
        appended_ms = message.timestamp()[1]
        sent.append(Sent(customer, role, message.partition() or 0, message.offset() or 0, appended_ms))

    return note


def _events(load: Load) -> list[Event]:
    with load.log.open("rb") as lines:
        read = [decode(line) for line in islice(lines, load.limit)]
    return [event for event in read if isinstance(event, Event)]


def _rate_of(sent: Sequence[Sent]) -> float:
    """Events a second that really were appended."""
    appended = [one.appended_ms for one in sent]
    return len(sent) * _SAMPLE_EVERY / (max(appended) - min(appended)) * 1e3


def _at_the_end(live: LiveSystem) -> bool:
    positions, ends = live.positions(), live.ends()
    return all(
        offsets is not None and all(offsets[role] >= end for (role, at), end in ends.items() if at == number)
        for number, offsets in enumerate(positions)
    )


def _check_scores(live: LiveSystem, sent: Sequence[Sent]) -> None:
    """What was measured is a score: customers of whom an event was noted have one, unless they never ordered."""
    prefix, settings = live.config.redis.prefix, live.config.shop.settings()
    newest = {one.customer: one.partition for one in sent[-_CHECKED:]}
    stored = []
    for customer, partition in newest.items():
        state = live.redis.hget(f"{prefix}:{{p{partition}}}:states", customer)
        if not isinstance(state, bytes):
            raise TypeError(f"no state of {customer} is stored")
        stored.append((customer, state))
    restored = decode_customers(stored, settings.horizon)
    ranking = Ranking(settings.agreement)
    ranking.reserve(len(restored.customers))
    for index, customer_state in enumerate(restored.customers):
        customer_state.index = index
    restored.rank(ranking)
    scores = [ranking.latest(one.index) for one in restored.customers]
    if not any(0.0 < score < 1.0 for score in scores):
        raise RuntimeError("no customer has a score")
