"""One publication of a log, from its files to the topics."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

from stream_app.config import LiveConfig
from stream_app.core.events import EPOCH, MICROSECOND, Event
from stream_app.core.messages import Tick
from stream_app.errors import NotDelivered
from stream_app.publish.ends import End, Partition, places, read_ends, read_offsets
from stream_app.publish.identity import log_id
from stream_app.publish.pace import Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import ROLES, Sender
from stream_app.replay.readers import Log, LogFormat, LogSummary, Progress, open_log
from stream_app.replay.readers.bounds import TOLERATED_SKEW


@dataclass(frozen=True)
class Request:
    """What is to be published, and how."""

    logs: tuple[str, ...]
    form: LogFormat
    speed: float  # times the log's own; pace.FLAT_OUT: as fast as it goes
    open_end: bool = False  # more will follow: no last tick
    after_other_logs: bool = False  # append behind what another log has left
    rejected: Path | None = None  # where lines that cannot be read are kept; None: they are counted only


@dataclass
class Summary:
    """How far a publication has come."""

    events: int = 0  # of the log, passed so far
    ticks: int = 0  # moments passed so far; each is a record in every partition
    sent: int = 0  # records
    skipped: int = 0  # records that an earlier run had sent
    seconds: float = 0.0  # of publishing; reading the log for the first time is not in it
    rejected: int = 0  # lines that could not be read, or lie in the future
    total: int = 0  # events of the log
    until: datetime | None = None  # the log's time
    finished: bool = False

    @property
    def place(self) -> int:
        """Events and ticks so far: the place of the last record in the stream."""
        return self.events + self.ticks


class Watcher:
    """Told of how a publication goes on; this one says nothing."""

    def reading(self, progress: Progress) -> None:
        """The log is being read for the first time."""

    def publishing(self, summary: Summary) -> None:
        """Records are being sent."""


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
        done = places(ends, identity, after_other_logs=request.after_other_logs)
        scanned = log.scan(watcher.reading)
        sender = Sender(config, identity, done, flat_out=Pace(request.speed, stop).flat_out)
        run = _Run(config, request, sender, watcher, stop)
        try:
            run.go(log, scanned)
        except BaseException:
            sender.abandon()
            raise
        _check_alone(config, ends, sender)
    return run.summary


class _Run:
    """The loop over a log's events and ticks."""

    def __init__(self, config: LiveConfig, request: Request, sender: Sender, watcher: Watcher, stop: Flag) -> None:
        self.summary = Summary()
        self._shop, self._partitions = config.shop.settings(), config.kafka.partitions
        self._request, self._sender, self._watcher, self._stop = request, sender, watcher, stop
        self._pace = Pace(request.speed, stop)

    def go(self, log: Log, scanned: LogSummary) -> None:
        """Send everything, or as much as there is time for."""
        summary, started = self.summary, time.monotonic()
        summary.total, summary.rejected = scanned.events, scanned.rejected
        for step in steps(log.batches(), self._shop, complete=not self._request.open_end):
            if self._stop.is_set():
                break
            if isinstance(step, Tick):
                self._tick(step)
            elif self._pace.flat_out or summary.place + len(step) <= self._sender.resumes_after:
                self._events(step)
            else:
                self._paced(step)
            summary.seconds = time.monotonic() - started
            self._watcher.publishing(summary)
        self._sender.flush()
        summary.finished = not self._stop.is_set()
        summary.seconds = time.monotonic() - started
        summary.sent = sum(self._sender.counts().values())
        summary.skipped = summary.events + summary.ticks * self._partitions - summary.sent

    def _events(self, events: Sequence[Event]) -> None:
        self._sender.events(events, self.summary.place + 1)
        self.summary.events += len(events)
        self.summary.until = events[-1].occurred_at

    def _paced(self, events: Sequence[Event]) -> None:
        """Each event when its time has come."""
        for event in events:
            if self.summary.place >= self._sender.resumes_after:
                self._pace.wait(event.at, self._sender.serve)
            if self._stop.is_set():
                return
            self._events([event])

    def _tick(self, tick: Tick) -> None:
        if not self._pace.flat_out and self.summary.place >= self._sender.resumes_after:
            self._pace.wait((tick.occurred_at - EPOCH) // MICROSECOND, self._sender.serve)
            if self._stop.is_set():
                return
            # A reader at the head of the topics must not hear that time has passed before it could read what happened.
            self._sender.flush()
        self._sender.tick(tick, self.summary.place + 1)
        self.summary.ticks += 1
        self.summary.until = tick.occurred_at


def _check_alone(config: LiveConfig, ends: dict[Partition, End], sender: Sender) -> None:
    """Two publishers at once double events, and nothing else would tell."""
    counts = sender.counts()
    for (topic, number), offset in read_offsets(config, counts).items():
        more = offset - ends[topic, number].offset - counts[topic, number]
        if more:
            problem = f"partition {number} has {more:+,} records beside the {counts[topic, number]:,} of this publisher"
            remedy = "Something else wrote there meanwhile: if it was another publisher, publish to fresh topics."
            raise NotDelivered(topic=topic, problem=problem, remedy=remedy)
