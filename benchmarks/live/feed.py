"""Input of a live benchmark: a simulated log with plain ticks, and a model trained on it.

The log is sent with the sender of `stream-app publish`, but its ticks request neither training nor allocation, so only
the worker is measured. Only the first tick waits: for a model that the benchmark stores to start the measurement.
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
from stream_app.core.units import MICROSECOND, micros
from stream_app.ingest import LogFormat, open_log
from stream_app.ports import ModelVersion, Outcome
from stream_app.publish.schedule import steps
from stream_app.publish.sender import Sender
from stream_app.services.runtime.stores import opened_stores
from tests.harness.processes import LiveSystem

_LOG_ID: Final = b"benchmark"
_BEFORE: Final = MICROSECOND  # from the waiting tick to the first event


@dataclass(frozen=True)
class Feed:
    """Content of the topics."""

    events: int
    ticks: int  # per partition
    moment: int  # of the waiting tick, microseconds


@dataclass(frozen=True)
class TrainedModel:
    """A trained model in its stored form."""

    version: int
    snapshot: bytes
    fingerprint: str

    @classmethod
    def from_log(cls, log: Path) -> TrainedModel:
        """Train a model by replaying a log."""
        kept: list[ChurnModel] = []
        replay(log, WEEKLY, keep=lambda replayed: kept.append(replayed.churn_model))
        (churn_model,) = kept
        return cls(max(churn_model.version, 1), snapshot(churn_model), fingerprint(churn_model))


def feed(config: LiveConfig, log: Path, limit: int, until: datetime | None = None) -> Feed:
    """Send the first events of a log with plain ticks, as fast as possible.

    Args:
        config: settings that contain the names of the topics, which must be empty.
        log: a log in the wire format.
        limit: maximum number of events.
        until: if given, all events are shifted so that the last one happens at this time.
    """
    topics = config.kafka.topics
    names = [*topics.of(*SHOP_TOPICS).values(), topics.ticks]
    places = {(name, number): 0 for name in names for number in range(config.kafka.partitions)}
    sender = Sender(config, _LOG_ID, places, flat_out=True)
    events = ticks = moment = 0
    for step in steps(_batches(log, limit, until), config.shop.settings(), complete=False):
        if not ticks:
            first = step.occurred_at if isinstance(step, Tick) else step[0].occurred_at
            moment = micros(first - _BEFORE)
            sender.tick(Tick(first - _BEFORE, learns=True, waits=True), 1)
            ticks = 1
        place = ticks + events + 1
        if isinstance(step, Tick):
            sender.tick(Tick(step.occurred_at), place)
            ticks += 1
        else:
            sender.events(step, place)
            events += len(step)
    sender.flush()
    return Feed(events, ticks, moment)


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
def fresh_system(live: LiveSystem, name: str, settings: Mapping[str, str] | None = None) -> Iterator[LiveSystem]:
    """Provide a system on the same servers and input topics, with its own Redis prefix, group and output topics.

    On exit, its processes end and its keys in Redis are removed.

    Args:
        live: the system whose servers and settings are used.
        name: unique name on these servers.
        settings: settings that differ from those of `live`.
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


def input_topics(name: str) -> dict[str, str]:
    """Return the settings for separate input topics."""
    return {f"kafka.topics.{role}": f"{name}.{role}" for role in INPUTS}


def store_model(live: LiveSystem, model: TrainedModel, moment: int) -> None:
    """Store a model that has learned up to a moment. If one is stored already, only advance its moment.

    Partitions that wait for this moment then continue.

    Args:
        live: the system.
        model: the model.
        moment: microseconds.
    """
    asyncio.run(_store_model(live.config, model, moment))


async def _store_model(config: LiveConfig, model: TrainedModel, moment: int) -> None:
    async with opened_stores(config) as stores:
        await stores.models.claim("benchmark")
        latest = await stores.models.latest()
        number = latest[0] if latest else 0
        version = ModelVersion(
            model.version, moment, model.fingerprint, 0, len(model.snapshot), {}, time.time_ns() // 1_000
        )
        outcome = await stores.models.checkpoint(
            base=number,
            number=number + 1,
            checkpoint=b"benchmark",
            through=moment,
            version=None if latest else version,
            snapshot=None if latest else model.snapshot,
        )
        if outcome is not Outcome.DONE:
            raise RuntimeError(f"the model was not stored: {outcome}")
