"""One publication of a log, from its files to the topics."""

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

_LOOK_SECONDS: Final = 1.0  # between two looks for ticks of others


@dataclass(frozen=True)
class Request:
    """What is to be published, and how."""

    logs: tuple[str, ...]
    form: LogFormat
    speed: float  # times the log's own; pace.FLAT_OUT: as fast as it goes
    open_end: bool = False  # more will follow: no last tick
    after_other_logs: bool = False  # append behind what another log has left
    rejected: Path | None = None  # where lines that cannot be read are kept; None: they are counted only


class Watcher(Listener):
    """Told of how a publication goes on; this one says nothing."""

    def reading(self, progress: Progress) -> None:
        """The log is being read for the first time."""


def publish_log(config: LiveConfig, request: Request, watcher: Watcher, stop: Flag) -> Summary:
    """Publish a log into the topics of the shop and of the ticks; ends early, and in order, when `stop` is set.

    A run that was stopped or killed is taken up again by the same call: nothing is missing, nothing doubled.

    Raises:
        UnusableLog, BadMapping: before anything is sent.
        OtherLog: something else stands at the end of a topic.
        NoBroker, NotDelivered: Kafka does not answer, or refuses.
    """
    topics = config.kafka.topics
    names = [*topics.of(*ROLES.values()).values(), topics.ticks]
    # Workers refuse what lies in their future, so it is rejected here, where it is told.
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
        alone = _Alone(config, begins, sender, next_offsets(config, ticks))
        feed = Feed(sender, pace, config.kafka.partitions, watcher, stop, alone.look)
        feed.summary.total, feed.summary.rejected = scanned.events, scanned.rejected
        feed.summary.unknown_words = scanned.unknown_words
        feed.go(steps(log.batches(), config.shop.settings(), complete=not request.open_end, opening=True))
        alone.check(next_offsets(config, begins)())
    return feed.summary


class _Alone:
    """Notices other writers: two publishers double events, and a worker on the wall clock ends the log's time.

    Args:
        config: for the names of the topics.
        begins: the offset at which each partition began for this publisher.
        sender: counts what it has sent.
        offsets: the next offset of each partition of the ticks.
    """

    def __init__(
        self,
        config: LiveConfig,
        begins: Mapping[Partition, int],
        sender: Sender,
        offsets: Callable[[], Mapping[Partition, int]],
    ) -> None:
        self._config, self._begins, self._sender, self._offsets = config, begins, sender, offsets
        self._looked = time.monotonic()

    def look(self) -> None:
        """Look for ticks of others, now and then, while records are on their way. Raises NotDelivered."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self.check(self._offsets(), arrived=False)
            self._looked = time.monotonic()

    def check(self, offsets: Mapping[Partition, int], *, arrived: bool = True) -> None:
        """Compare what there is with what was sent.

        Args:
            offsets: the next offset of each partition.
            arrived: whether all that was sent is there.

        Raises NotDelivered for records of others.
        """
        config, counts = self._config, self._sender.counts()
        for (topic, number), offset in offsets.items():
            more = offset - self._begins[topic, number] - counts[topic, number]
            if more == 0 or (more < 0 and not arrived):
                continue
            problem = f"partition {number} has {more:+,} records beside the {counts[topic, number]:,} of this publisher"
            remedy = "Something else wrote there meanwhile: if it was another publisher, publish to fresh topics."
            if topic == config.kafka.topics.ticks:
                remedy = f"Was it a worker on the wall clock? {CLOCK_REMEDY}"
            raise NotDelivered(topic=topic, problem=problem, remedy=remedy)
