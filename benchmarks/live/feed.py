"""What a live system is fed with: a simulated log with plain ticks, and a model that was taught by it.

The log is sent by the parts of `stream-app publish`, but its ticks ask for nothing: no trainer and no desk takes part,
so that what is measured is the worker. Only the first tick waits, for a model that is put into the store: whoever
measures says when it comes.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.replay.whole_replay import WEEKLY, replay
from stream_app.adapters.kafka.topics import create_topics
from stream_app.config import INPUTS, OUTPUTS, SHOP_TOPICS, LiveConfig
from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint, snapshot
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.ingest import LogFormat, open_log
from stream_app.ports import ModelVersion, Outcome
from stream_app.publish.schedule import steps
from stream_app.publish.sender import Sender
from stream_app.services.runtime.stores import open_stores
from tests.harness.processes import LiveSystem

_LOG_ID: Final = b"benchmark"
_BEFORE: Final = MICROSECOND  # of the first event


@dataclass(frozen=True)
class Fed:
    """What is in the topics now."""

    events: int
    ticks: int  # a partition
    moment: int  # of the tick that waits, microseconds
    customers: int


@dataclass(frozen=True)
class Taught:
    """A model that has learned."""

    version: int
    stored: bytes
    said: str  # fingerprint

    @classmethod
    def by(cls, log: Path) -> Taught:
        """As it is after a replay of a log."""
        kept: list[ChurnModel] = []
        replay(log, WEEKLY, keep=lambda replayed: kept.append(replayed.churn_model))
        (churn_model,) = kept
        return cls(max(churn_model.version, 1), snapshot(churn_model), fingerprint(churn_model))


def feed(config: LiveConfig, log: Path, limit: int, until: datetime | None = None) -> Fed:
    """Send the first events of a log, flat out, with plain ticks.

    Args:
        config: the topics, which are empty.
        log: in the wire format.
        limit: so many events at most.
        until: let the last event happen at this moment, and the others as long before as they were; None: as they are.
    """
    topics = config.kafka.topics
    names = [*topics.of(*SHOP_TOPICS).values(), topics.ticks]
    places = {(name, number): 0 for name in names for number in range(config.kafka.partitions)}
    sender = Sender(config, _LOG_ID, places, flat_out=True)
    place = ticks = events = 0
    customers: set[str] = set()
    moment = 0
    for step in steps(_batches(log, limit, until), config.shop.settings(), complete=False):
        if not place:
            first = step.occurred_at if isinstance(step, Tick) else step[0].occurred_at
            moment = (first - _BEFORE - EPOCH) // MICROSECOND
            sender.tick(Tick(first - _BEFORE, learns=True, waits=True), 1)
            place, ticks = 1, 1
        if isinstance(step, Tick):
            sender.tick(Tick(step.occurred_at), place + 1)
            place, ticks = place + 1, ticks + 1
        else:
            sender.events(step, place + 1)
            place, events = place + len(step), events + len(step)
            customers.update(event.customer_id for event in step)
    sender.flush()
    return Fed(events, ticks, moment, len(customers))


def _batches(log: Path, limit: int, until: datetime | None) -> Iterator[Sequence[Event]]:
    with tempfile.TemporaryDirectory() as folder, open_log([log], LogFormat("jsonl"), Path(folder)) as opened:
        opened.scan()
        events = list(islice((event for batch in opened.batches() for event in batch), limit))
    if until is None:
        yield events
        return
    shift: timedelta = until - events[-1].occurred_at
    yield [msgspec.structs.replace(event, occurred_at=(event.occurred_at + shift).astimezone(UTC)) for event in events]


@contextmanager
def anew(live: LiveSystem, name: str, settings: Mapping[str, str] | None = None) -> Iterator[LiveSystem]:
    """A system on the same servers that begins anew: with a part of Redis, a group and output topics of its own.

    Its processes end with the block, and what they left in Redis is removed.

    Args:
        live: whose servers and settings it has.
        name: that no other had on these servers.
        settings: that differ.
    """
    servers = live.config.kafka.bootstrap, live.config.redis.url
    own = {"redis.prefix": name, "kafka.group": name}
    own |= {f"kafka.topics.{role}": f"{name}.{role}" for role in OUTPUTS}
    with LiveSystem({**live.settings, **own, **(settings or {})}, *servers) as part:
        create_topics(part.config)
        yield part
        for process in part.processes:
            process.close()
        for key in part.redis.scan_iter(match=f"{name}:*"):
            part.redis.delete(key)


def topics_of(name: str) -> dict[str, str]:
    """Settings by which a system has input topics of its own."""
    return {f"kafka.topics.{role}": f"{name}.{role}" for role in INPUTS}


def put_model(live: LiveSystem, taught: Taught, moment: int) -> None:
    """Put the model into the store; it was learned up to `moment`, microseconds. Again with a later one: go on."""
    asyncio.run(_put_model(live.config, taught, moment))


async def _put_model(config: LiveConfig, taught: Taught, moment: int) -> None:
    stores = open_stores(config)
    try:
        await stores.models.claim("benchmark")
        latest = await stores.models.latest()
        number = latest[0] if latest else 0
        version = ModelVersion(taught.version, moment, taught.said, 0, len(taught.stored), {}, time.time_ns() // 1_000)
        outcome = await stores.models.checkpoint(
            base=number,
            number=number + 1,
            checkpoint=b"benchmark",
            through=moment,
            version=None if latest else version,
            snapshot=None if latest else taught.stored,
        )
        if outcome is not Outcome.DONE:
            raise RuntimeError(f"the model was not stored: {outcome}")
    finally:
        await stores.close()
