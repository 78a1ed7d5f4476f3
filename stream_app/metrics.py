"""Every Prometheus name of the product. What each of them means: docs/metrics.md, made from this file.

One prefix, base units, no customer and nothing else without a bound as a label. Each process makes one registry and, on
it, the classes of what runs in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from stream_app import __version__
from stream_app.core.delivery.book import Book
from stream_app.core.delivery.records import REASONS, STATES
from stream_app.core.delivery.route import Route
from stream_app.core.events import KINDS

if TYPE_CHECKING:  # it brings the models with it, which the deliverer and its commands do without
    from stream_app.core.process import Counts

PREFIX: Final = "churn_"
OUTCOMES: Final = ("done", "already_done", "fenced", "wrong_base")  # of a commit
HOLDS: Final = ("trainer", "desk")  # for whose answer a lane waits at a tick
NO_FIELD: Final = "none"  # the whole record is to blame: it is not JSON
OTHER_FIELD: Final = "other"
# What an event may be rejected for: a field of ours. A made-up field name in bad input must not become a label.
FIELDS: Final = frozenset({"type", *(name for kind in KINDS.values() for name in kind.__struct_fields__)})

# Seconds. The promised figures lie on edges: 50 ms and 150 ms from append to score.
_FRESHNESS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DURATION: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ATTEMPT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
ATTEMPTS: Final = ("delivered", "retry", "refused", "gone")  # what comes of a request to a receiver
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # events


class Description(NamedTuple):
    """What a metric is, for those who read docs/metrics.md."""

    name: str  # as it is scraped
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """What the classes below share: they make their metrics through it, so that each one is described."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.described: list[Description] = []

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self.described.append(Description(f"{PREFIX}{name}_total", "counter", labels, meaning))
        return Counter(PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self.described.append(Description(PREFIX + name, "gauge", labels, meaning))
        return Gauge(PREFIX + name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        self.described.append(Description(PREFIX + name, "histogram", (), meaning))
        return Histogram(PREFIX + name, meaning, buckets=buckets, registry=self.registry)


class CommitMetrics(Metrics):
    """Of whoever commits to Redis: worker, trainer and desk."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.duration = self._histogram("commit_duration_seconds", "Time that a commit to Redis took.", _DURATION)
        self.outcomes = self._counter("commits", "Commits to Redis, by what came of them.", "outcome")
        self.fence_losses = self._counter(
            "fence_losses", "Commits refused because a newer process has the same instance id; the process ends."
        )
        for outcome in OUTCOMES:  # a rate needs the zero that was before the first one
            self.outcomes.labels(outcome)


class WorkerMetrics(Metrics):
    """Of a worker: events in, customers scored, lanes.

    >>> metrics = WorkerMetrics(new_registry())
    >>> metrics.events.labels("orders").inc(3)
    >>> metrics.registry.get_sample_value("churn_events_total", {"topic": "orders"})
    3.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._about_events()
        self._about_scores()
        self._about_progress()
        self._about_lanes()

    def _about_events(self) -> None:
        self.events = self._counter("events", "Records applied, by role of their topic.", "topic")
        self.rejected = self._counter(
            "events_rejected",
            "Records that could not be applied and went to the dead letters, by the field to blame"
            f" ({NO_FIELD}: not JSON; {OTHER_FIELD}: not a field of an event).",
            "field",
        )
        self.duplicates = self._counter("events_duplicate", "Events recognised by their id as sent twice.")
        self.late = self._counter("events_late", "Events behind stream time, within the lateness: they count in full.")
        self.too_late = self._counter(
            "events_too_late", "Events further behind: they count only where order does not matter."
        )
        self.excluded = self._counter("events_excluded", "Events of fake, staff and test buyers, left out.")
        self.batch = self._histogram("batch_events", "Events in one commit.", _BATCH)

    def _about_scores(self) -> None:
        self.decisions = self._counter("decisions", "Decision points: one for each active customer and period.")
        self.scored = self._counter("events_scored", "Events after which the customer was scored.")
        self.freshness = self._histogram(
            "score_freshness_seconds", "From the broker's append of an event to its score in Redis.", _FRESHNESS
        )
        self.model_version = self._gauge("model_version", "Version of the model in force; the lowest of all lanes.")
        self.model_age = self._gauge(
            "model_age_seconds",
            "Stream time since the model in force was made, in event time; the oldest of all lanes.",
        )

    def _about_progress(self) -> None:
        self.lag = self._gauge("lag_records", "Records that wait in Kafka, over all own partitions.", "topic")
        self.position = self._gauge("position_records", "Next offset, summed over all own partitions.", "topic")
        self.stream_time = self._gauge(
            "stream_time_timestamp_seconds", "Largest event time that was applied.", "partition"
        )
        self.watermark = self._gauge(
            "watermark_timestamp_seconds", "Stream time minus the lateness: what closes labels.", "partition"
        )

    def _about_lanes(self) -> None:
        self.lanes = self._gauge("lanes_owned", "Partition numbers that this worker works on.")
        self.cached = self._gauge("states_cached", "Customers whose state is in memory.")
        self.buffered = self._gauge("buffered_bytes", "Records fetched that wait for their turn.")
        self.held = self._counter(
            "hold_seconds", "Time that lanes waited at a tick, by whose answer they waited for.", "reason"
        )
        self.clock_owner = self._gauge("clock_owner", "1 for the process that writes the ticks, 0 for the others.")
        for reason in HOLDS:
            self.held.labels(reason)

    def note_rejected(self, by_field: Mapping[str, int]) -> None:
        """Count what was rejected, by the field to blame as the decoder named it."""
        for field, count in by_field.items():
            self.rejected.labels(field_label(field)).inc(count)

    def note_counts(self, before: Counts, after: Counts) -> None:
        """Count what became of the events between two states of a partition's counts."""
        old, new = asdict(before), asdict(after)
        self.duplicates.inc(new["duplicates"] - old["duplicates"])
        self.late.inc(new["late"] - old["late"])
        self.too_late.inc(new["too_late"] - old["too_late"])
        self.excluded.inc(new["excluded"] - old["excluded"])
        self.scored.inc(new["scored"] - old["scored"])

    def forget(self, partition: int) -> None:
        """Stop telling of a partition that was taken away: another worker tells of it now."""
        for gauge in (self.stream_time, self.watermark):
            gauge.remove_by_labels({"partition": str(partition)})


class RelayMetrics(Metrics):
    """Of the relay from the outbox to Kafka, in whatever process it runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.outbox = self._gauge("outbox_records", "Records committed and not yet on their topic.")
        self.relayed = self._counter("relayed_records", "Records put on their topic, by its role.", "topic")
        self.relayed.labels("dead_letters")


class TrainerMetrics(Metrics):
    """Of the trainer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.examples = self._counter("trainer_examples", "Labelled examples learned.")
        self.moments = self._counter("trainer_moments", "Moments, one a day, up to which was learned.")
        self.through = self._gauge("trainer_through_timestamp_seconds", "Moment up to which all has been learned.")
        self.lacking = self._gauge("trainer_lacking_partitions", "Partitions that have not told of the next day yet.")
        self.version = self._gauge("trainer_model_version", "Version of the latest snapshot.")
        self.checkpoint_bytes = self._gauge("trainer_checkpoint_bytes", "Size of the latest checkpoint.")
        self.checkpoint_duration = self._histogram(
            "trainer_checkpoint_duration_seconds", "Time to make and store a checkpoint.", _DURATION
        )


class DeskMetrics(Metrics):
    """Of the desk."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.moments = self._counter("desk_moments", "Moments at which the desk chose among all nominations.")
        self.nominations = self._counter("desk_nominations", "Customers nominated by the partitions.")
        self.episodes = self._counter("desk_episodes", "Episodes opened: customers handed to the staff.")
        self.lacking = self._gauge(
            "desk_lacking_partitions", "Partitions that have not nominated for the next moment yet."
        )
        self.through = self._gauge("desk_through_timestamp_seconds", "The latest moment that was decided.")


class DeliveryMetrics(Metrics):
    """Of the deliverer. The names of channels are labels: the configuration bounds their number.

    Args:
        registry: of the process.
        routes: of all channels.
    """

    def __init__(self, registry: CollectorRegistry, routes: Iterable[Route] = ()) -> None:
        super().__init__(registry)
        self.alerts = self._counter("delivery_alerts", "Alerts taken in, opened and closed.")
        self.deliveries = self._counter(
            "deliveries",
            "Deliveries (an alert on a channel) that ended, by how: sent, suppressed, dead.",
            "channel",
            "outcome",
        )
        self.suppressed = self._counter("deliveries_suppressed", "Deliveries that were not sent, by why.", "reason")
        self.attempts = self._counter(
            "delivery_attempts", "Requests to receivers, by what came of them.", "channel", "outcome"
        )
        self.duration = self._histogram("delivery_attempt_duration_seconds", "Time of one request.", _ATTEMPT)
        self.pending = self._gauge("delivery_pending_records", "Deliveries on their way, digests included.", "channel")
        self.dead = self._gauge("delivery_dead_records", "Deliveries that were given up and can be redriven.")
        self.oldest = self._gauge(
            "delivery_oldest_pending_seconds", "Age of the oldest message that has not arrived yet.", "channel"
        )
        self.closed = self._gauge(
            "delivery_closed_ratio",
            "1: the receiver said that it wants nothing more (HTTP 410), 0: it is open.",
            "channel",
        )
        self._names = [route.channel for route in routes]
        for name in self._names:
            for outcome in STATES[1:]:
                self.deliveries.labels(name, outcome)
            for outcome in ATTEMPTS:
                self.attempts.labels(name, outcome)
        for reason in REASONS:
            self.suppressed.labels(reason)

    def note(self, book: Book, now: int) -> None:
        """Tell how the book is, and what has ended in it since the last time; `now` is microseconds."""
        for (channel, state, reason), count in book.outcomes.items():
            self.deliveries.labels(channel, state).inc(count)
            if reason:
                self.suppressed.labels(reason).inc(count)
        book.outcomes.clear()
        pending, oldest = book.pending(), book.oldest()
        for name in self._names:
            self.pending.labels(name).set(pending[name])
            self.oldest.labels(name).set(max(now - oldest.get(name, now), 0) / 1e6)
            self.closed.labels(name).set(bool(book.channels[name].gone_at))
        self.dead.set(book.dead)


SERVICES: Final[dict[str, tuple[type[Metrics], ...]]] = {
    "worker": (WorkerMetrics, CommitMetrics, RelayMetrics),
    "trainer": (TrainerMetrics, CommitMetrics),
    "desk": (DeskMetrics, CommitMetrics, RelayMetrics),
    "deliver": (DeliveryMetrics, CommitMetrics),
}


def new_registry() -> CollectorRegistry:
    """A registry with what every process tells: its version, CPU seconds, memory and open files."""
    # Else there is a second series for each counter and histogram, which nobody reads.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    build = Gauge(
        f"{PREFIX}build_info", "Always 1; the label is the program's version.", ["version"], registry=registry
    )
    build.labels(__version__).set(1)
    return registry


def field_label(field: str) -> str:
    """The label for a field that an event was rejected for; `field` as in `Rejected`.

    >>> field_label("occurred_at"), field_label(""), field_label("made_up[3].by_a_sender")
    ('occurred_at', 'none', 'other')
    """
    if not field:
        return NO_FIELD
    return field if field in FIELDS else OTHER_FIELD
