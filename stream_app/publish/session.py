"""One publication of a log, from its files to the topics."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

from stream_app.config import LiveConfig
from stream_app.core.bounds import TOLERATED_SKEW
from stream_app.errors import NotDelivered
from stream_app.publish.ends import CLOCK_REMEDY, End, Partition, places, read_ends, read_offsets
from stream_app.publish.feed import Feed, Listener, Summary
from stream_app.publish.identity import log_id
from stream_app.publish.pace import Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES, Sender
from stream_app.replay.readers import LogFormat, Progress, open_log


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
        sender = Sender(config, identity, done, flat_out=pace.flat_out)
        feed = Feed(sender, pace, config.kafka.partitions, watcher, stop)
        feed.summary.total, feed.summary.rejected = scanned.events, scanned.rejected
        feed.summary.unknown_words = scanned.unknown_words
        feed.go(steps(log.batches(), config.shop.settings(), complete=not request.open_end))
        _check_alone(config, ends, sender)
    return feed.summary


def _check_alone(config: LiveConfig, ends: dict[Partition, End], sender: Sender) -> None:
    """Two publishers at once double events, and nothing else would tell."""
    counts = sender.counts()
    for (topic, number), offset in read_offsets(config, counts).items():
        more = offset - ends[topic, number].offset - counts[topic, number]
        if more:
            problem = f"partition {number} has {more:+,} records beside the {counts[topic, number]:,} of this publisher"
            remedy = "Something else wrote there meanwhile: if it was another publisher, publish to fresh topics."
            if topic == config.kafka.topics.ticks:
                remedy = f"Was it a worker on the wall clock? {CLOCK_REMEDY}"
            raise NotDelivered(topic=topic, problem=problem, remedy=remedy)
