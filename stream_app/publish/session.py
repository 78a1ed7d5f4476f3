"""Publication of a log, from its files to the topics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag
from typing import Final

from stream_app.adapters.kafka.offsets import Partition
from stream_app.config import LiveConfig
from stream_app.core.events.bounds import TOLERATED_SKEW
from stream_app.errors import NotDelivered
from stream_app.ingest import LogFormat, Progress, open_log
from stream_app.publish.feed import Feed, Listener, Summary
from stream_app.publish.identity import log_id
from stream_app.publish.pace import Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES, Sender
from stream_app.publish.watermarks import CLOCK_REMEDY, next_offsets, places, read_ends

_CHECK_SECONDS: Final = 1.0  # interval between checks for other writers


@dataclass(frozen=True)
class Request:
    """Logs to publish, and how."""

    logs: tuple[str, ...]
    form: LogFormat
    speed: float  # multiple of real time; pace.FLAT_OUT: as fast as possible
    open_end: bool = False  # more events will follow: no final tick
    after_other_logs: bool = False  # append to topics that contain other logs
    rejected: Path | None = None  # output file for rejected lines; None: they are only counted


class Watcher(Listener):
    """Observer of a publication; this one does nothing."""

    def reading(self, progress: Progress) -> None:
        """Handle progress of the first pass over the log."""


def publish_log(config: LiveConfig, request: Request, watcher: Watcher, stop: Flag) -> Summary:
    """Publish a log with its ticks, until its end or until `stop` is set, and return a summary.

    The same call resumes a stopped or killed run without gaps or duplicates.

    Raises:
        UnusableLog, BadMapping: the log cannot be read; nothing was sent.
        OtherLog: a topic ends with something else.
        NoBroker, NotDelivered: Kafka does not answer or refuses a record.
    """
    topics = config.kafka.topics
    names = [*topics.of(*ROLES.values()).values(), topics.ticks]
    # Workers reject events in their future; reject them here, where the count is shown.
    not_after = datetime.now(UTC) - TOLERATED_SKEW
    with (
        tempfile.TemporaryDirectory(prefix="stream-app-publish-") as workdir,
        open_log(request.logs, request.form, Path(workdir), not_after=not_after, rejected=request.rejected) as log,
    ):
        identity = log_id(log, config.shop.settings(), config.kafka.partitions)
        ends = read_ends(config, names)
        done = places(ends, identity, ticks=topics.ticks, after_other_logs=request.after_other_logs)
        scanned = log.scan(watcher.reading)
        pace = Pace(request.speed, stop)
        begins = {one: end.offset for one, end in ends.items()}
        sender = Sender(config, identity, done, flat_out=pace.flat_out, begins=begins)
        ticks = [one for one in begins if one[0] == topics.ticks]
        others = _OtherWriters(config, begins, sender, next_offsets(config, ticks))
        feed = Feed(sender, pace, config.kafka.partitions, watcher, stop, others.look)
        feed.summary.total, feed.summary.rejected = scanned.events, scanned.rejected
        feed.summary.unknown_words = scanned.unknown_words
        feed.go(steps(log.batches(), config.shop.settings(), complete=not request.open_end, opening=True))
        others.check(next_offsets(config, begins)())
    return feed.summary


class _OtherWriters:
    """Detector of other writers: two publishers duplicate events, and a worker with ticks.clock = wall ends log time.

    Args:
        config: settings, for the names of the topics.
        begins: first offset of this publisher by partition.
        sender: sender, which counts its records.
        offsets: function that returns the next offset of each tick partition.
    """

    def __init__(
        self,
        config: LiveConfig,
        begins: Mapping[Partition, int],
        sender: Sender,
        offsets: Callable[[], Mapping[Partition, int]],
    ) -> None:
        self._config, self._begins, self._sender, self._offsets = config, begins, sender, offsets
        self._checked_at = time.monotonic()

    def look(self) -> None:
        """Check for ticks of others at intervals, while records are in flight. Raises NotDelivered."""
        if time.monotonic() - self._checked_at >= _CHECK_SECONDS:
            self.check(self._offsets(), arrived=False)
            self._checked_at = time.monotonic()

    def check(self, offsets: Mapping[Partition, int], *, arrived: bool = True) -> None:
        """Compare offsets with the records sent. Raises NotDelivered for records of other writers.

        Args:
            offsets: next offset of each partition.
            arrived: whether all sent records have been acknowledged.
        """
        config, counts = self._config, self._sender.counts()
        for (topic, number), offset in offsets.items():
            more = offset - self._begins[topic, number] - counts[topic, number]
            if more == 0 or (more < 0 and not arrived):
                continue
            problem = (
                f"partition {number} has {more:+,} records in addition to {counts[topic, number]:,} of this publisher"
            )
            remedy = "Something else wrote to it meanwhile. If it was another publisher, publish to new topics."
            if topic == config.kafka.topics.ticks:
                remedy = f"A worker with ticks.clock = wall may have written ticks. {CLOCK_REMEDY}"
            raise NotDelivered(topic=topic, problem=problem, remedy=remedy)
