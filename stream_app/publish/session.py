"""Publishes a log, from its files to the topics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Final

import msgspec
import xxhash

from stream_app.adapters.kafka.admin import Partition
from stream_app.adapters.kafka.control import ControlProducer
from stream_app.config import LiveConfig
from stream_app.core.events.bounds import TOLERATED_SKEW
from stream_app.core.messages.schema import PolicyRecord
from stream_app.core.schedule import settings_by_time
from stream_app.core.settings import Settings
from stream_app.core.units import micros
from stream_app.errors import NotDelivered
from stream_app.ingest import Log, LogFormat, Progress, open_log
from stream_app.publish.feed import Feed, Summary
from stream_app.publish.pace import Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES, Sender
from stream_app.publish.watermarks import CLOCK_REMEDY, next_offsets, places, read_ends
from stream_app.services.runtime.stores import Stores, with_stores

HEAD_BYTES: Final = 65_536  # of each file, which identify a log
_VERSION: Final = 2  # version of the rules that turn a log into records
_CHECK_SECONDS: Final = 1.0  # between two checks for ticks from other producers


@dataclass(frozen=True)
class Request:
    """Publication options."""

    logs: tuple[str, ...]
    form: LogFormat
    speed: float  # multiple of real time, or pace.FLAT_OUT
    open_end: bool = False  # the log will continue, so there is no final tick
    after_other_logs: bool = False  # append to the records of another log
    rejected: Path | None = None  # file for unreadable lines; None: only count them


def publish_log(
    config: LiveConfig,
    request: Request,
    stop: Flag,
    on_read: Callable[[Progress], None],
    on_step: Callable[[Summary], object],
) -> Summary:
    """Publish a log to the shop's topics and the ticks topic, until the log ends or `stop` is set.

    If a run was stopped or killed, another call resumes it without gaps or duplicates.

    Args:
        config: Kafka settings and the shop's settings.
        request: options of the publication.
        stop: flag that stops publishing in an orderly way.
        on_read: called with the progress of the first pass over the log.
        on_step: called with the progress after each batch of events and each tick.

    Returns:
        Summary of the run.

    Raises:
        UnusableLog, BadMapping: the log cannot be read; nothing was sent.
        UnusablePolicy, ContradictorySettings: a contact policy in the log cannot be used; nothing was sent.
        StoreUnavailable: the log has contact policies, and Redis does not answer.
        OtherLog: a topic ends with records of another origin.
        NoBroker, NotDelivered: Kafka does not answer or rejects a record.
    """
    topics = config.kafka.topics
    names = [*topics.of(*ROLES.values()).values(), topics.ticks]
    # Workers reject events from the future. Reject them here, and report them to the user.
    not_after = datetime.now(UTC) - TOLERATED_SKEW
    with (
        tempfile.TemporaryDirectory(prefix="stream-app-publish-") as workdir,
        open_log(request.logs, request.form, Path(workdir), not_after=not_after, rejected=request.rejected) as log,
    ):
        identity = log_id(log, config.shop.settings(), config.kafka.partitions)
        ends = read_ends(config, names)
        done = places(ends, identity, ticks=topics.ticks, after_other_logs=request.after_other_logs)
        scanned = log.scan(on_read)
        pace = Pace(request.speed, stop)
        begins = {one: end.offset for one, end in ends.items()}
        sender = Sender(config, identity, done, flat_out=pace.flat_out, begins=begins)
        ticks = [one for one in begins if one[0] == topics.ticks]
        foreign = _ForeignRecords(config, begins, sender, next_offsets(config, ticks))
        feed = Feed(sender, pace, config.kafka.partitions, on_step, stop, foreign.poll)
        feed.summary.total, feed.summary.rejected = scanned.events, scanned.rejected
        feed.summary.unknown_words = scanned.unknown_words
        _publish_policies(config, log.policies, is_first_run=not sender.resumes_after)
        feed.go(
            steps(
                log.batches(),
                config.shop.settings(),
                complete=not request.open_end,
                opening=True,
                policies=log.policies,
            )
        )
        foreign.check(next_offsets(config, begins)())
    return feed.summary


def _publish_policies(config: LiveConfig, policies: Sequence[PolicyRecord], *, is_first_run: bool) -> None:
    """Store the policies of a log, since partitions read those that ticks name from Redis, and write their records."""
    if not policies:
        return
    settings_by_time(config.shop.settings(), policies)  # raises an error before anything is sent

    async def store(stores: Stores) -> None:
        for one in policies:
            await stores.policies.publish(one.version, bytes(one.policy), micros(one.occurred_at))

    with_stores(config, store)
    if is_first_run:
        producer = ControlProducer(config)
        for one in policies:
            producer.send(one)


def log_id(log: Log, settings: Settings, partitions: int) -> bytes:
    """Return the id of a log, 16 hexadecimal digits.

    The id covers the name, size and beginning of each file, and the settings that shape the stream: the mapping of
    lines to events, the times of allocation rounds, and the number of partitions. The location of the files does not
    matter.
    """
    digest = xxhash.xxh3_64()
    for source in log.sources:
        digest.update(msgspec.json.encode([Path(source.name).name, source.size]))
        with source.path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
    shaping = [_VERSION, log.mapping, settings.zone, settings.working_days, settings.nomination_hour, partitions]
    digest.update(msgspec.json.encode(shaping))
    return digest.hexdigest().encode("ascii")


class _ForeignRecords:
    """Detects other producers: a second publisher duplicates events, and a worker's ticks advance event time too far.

    Args:
        config: settings that contain the topic names.
        begins: offset at which each partition began for this publisher.
        sender: counts the records sent.
        offsets: returns the next offset of each partition of the ticks.
    """

    def __init__(
        self,
        config: LiveConfig,
        begins: Mapping[Partition, int],
        sender: Sender,
        offsets: Callable[[], Mapping[Partition, int]],
    ) -> None:
        self._config, self._begins, self._sender, self._offsets = config, begins, sender, offsets
        self._checked = time.monotonic()

    def poll(self) -> None:
        """Check at intervals for ticks from other producers. Raises NotDelivered."""
        if time.monotonic() - self._checked >= _CHECK_SECONDS:
            self.check(self._offsets(), arrived=False)
            self._checked = time.monotonic()

    def check(self, offsets: Mapping[Partition, int], *, arrived: bool = True) -> None:
        """Compare the offsets in Kafka with the number of records sent.

        Args:
            offsets: next offset of each partition.
            arrived: whether all sent records are acknowledged.

        Raises:
            NotDelivered: there are records from other producers.
        """
        config, counts = self._config, self._sender.counts()
        for (topic, number), offset in offsets.items():
            more = offset - self._begins[topic, number] - counts[topic, number]
            if more == 0 or (more < 0 and not arrived):
                continue
            problem = (
                f"partition {number} has {more:+,} records besides the {counts[topic, number]:,} of this publisher"
            )
            remedy = "Another producer wrote there meanwhile. If it was another publisher, publish to new topics."
            if topic == config.kafka.topics.ticks:
                remedy = f"Check for a worker on the wall clock. {CLOCK_REMEDY}"
            raise NotDelivered(topic=topic, problem=problem, remedy=remedy)
