"""Every Prometheus name of the product. What each of them means: docs/metrics.md, made from this file.

One prefix, base units, no customer and nothing else without a bound as a label. Each process makes one registry and, on
it, the classes of what runs in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from stream_app import __version__
from stream_app.core.alerts.lifecycle import CLOSE_REASONS
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.delivery.records import REASONS, STATES
from stream_app.core.delivery.routing import Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.events.schema import KINDS
from stream_app.core.kpis.event_counts import AMOUNTS, CATEGORIES, CHECKOUT_LOSSES, FUNNEL, ORDER_KINDS
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.messages.unknown_words import MAX_WORDS, MORE, UNREADABLE
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.training.quality import PRODUCT, WINDOWS

if TYPE_CHECKING:  # it brings the models with it, which the deliverer and its commands do without
    from stream_app.core.partition.processor import Counts

PREFIX: Final = "churn_"
OUTCOMES: Final = ("done", "already_done", "fenced", "wrong_base")  # of a commit
EPISODE_OUTCOMES: Final = ("retained", "lost", "unreachable", "no_action", "other")  # as the staff says
HOLDS: Final = ("trainer", "allocator")  # processes that a partition waits for at a tick
NO_FIELD: Final = "none"  # the whole record is to blame: it is not JSON
OTHER_FIELD: Final = "other"
# What an event may be rejected for: a field of ours. A made-up field name in bad input must not become a label.
FIELDS: Final = frozenset({"type", *(name for kind in KINDS.values() for name in kind.__struct_fields__)})

ATTEMPTS: Final = ("delivered", "retry", "refused", "gone")  # what comes of a request to a receiver
MONTHS: Final = ("current", "previous")  # of the shop's calendar
SUPPRESSIONS: Final = ("campaign", "capacity")  # why a customer at risk got no episode: the calendar; better ones first
# Combinations of shop, cause and segment that a worker tells of; beyond them the segment is `unknown`. With one shop
# there are 152, with fifty there could be 7,752, and each takes microseconds of every scrape.
MAX_EPISODE_KINDS: Final = 1_000
NOUGHT_SECONDS: Final = 30.0  # for which a new series is told as nought; two scrapes of any usual Prometheus
# What a label may say, where the words are ours. Of `shop` there are MAX_SHOPS and `other`; `partition` is a
# number; the file of channels holds at most 20 names for `channel`.
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "band": BANDS,
    "category": CATEGORIES,
    "cause": (*CAUSES, FAMILY, "unknown"),
    "kind": ORDER_KINDS,
    "month": MONTHS,
    "outcome": (*OUTCOMES, *EPISODE_OUTCOMES, *STATES[1:], *ATTEMPTS),
    "reason": (*HOLDS, *CHECKOUT_LOSSES, *CLOSE_REASONS, *SUPPRESSIONS, *REASONS),
    "scorer": (PRODUCT, "mixture", "linear", "cells", "prior", "tree", "recency", "plain"),
    "segment": (*SEGMENTS, "unknown"),
    "side": ("before", "after", "now"),
    "stage": STAGES,
    "step": tuple(dict.fromkeys((*FUNNEL, *AMOUNTS))),
    "tenth": tuple(str(tenth) for tenth in range(1, 11)),
    "window": WINDOWS,
}

# Seconds. The promised figures lie on edges: 50 ms and 150 ms from append to score.
_FRESHNESS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DURATION: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ATTEMPT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # events


class Description(NamedTuple):
    """What a metric is, for those who read docs/metrics.md."""

    name: str  # as it is scraped
    kind: str
    labels: tuple[str, ...]
    meaning: str


class GaugeTable(Collector):
    """A gauge whose series are all replaced at once: a scrape sees the old ones or the new, and none that has gone.

    >>> registry = CollectorRegistry()
    >>> table = GaugeTable("churn_risk_customers", "Customers by band.", ("shop", "band"), registry)
    >>> table.replace({("s1", "low"): 3.0})
    >>> table.replace({("s2", "low"): 4.0})
    >>> registry.get_sample_value("churn_risk_customers", {"shop": "s1", "band": "low"})
    >>> registry.get_sample_value("churn_risk_customers", {"shop": "s2", "band": "low"})
    4.0
    """

    def __init__(self, name: str, meaning: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._meaning, self.labels = name, meaning, tuple(labels)
        self._numbers: Mapping[tuple[str, ...], float] = {}
        registry.register(self)

    def replace(self, numbers: Mapping[tuple[str, ...], float]) -> None:
        """Tell these from now on, and no others; the keys are values of the labels, in their order."""
        self._numbers = dict(numbers)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """What it is called."""
        return [GaugeMetricFamily(self._name, self._meaning, labels=self.labels)]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All of its numbers, as of one moment."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=self.labels)
        for labels, number in self._numbers.items():
            family.add_metric(labels, number)
        return [family]


class CounterTable(Collector):
    """A counter whose series come into being with what they count, where far more could be than ever will.

    Prometheus sees a growth only from one scrape to the next. A new series is therefore told as nought for
    NOUGHT_SECONDS, to all who ask, and then with what it has counted.

    Args:
        name: of the counter, without `_total`.
        meaning: its help text.
        labels: their names.
        registry: that tells it.
        clock: seconds that never go back.

    >>> registry, now = CollectorRegistry(), [0.0]
    >>> table = CounterTable("opened", "Episodes opened.", ("shop", "cause"), registry, clock=lambda: now[0])
    >>> table.add(("s1", "price"), 2)
    >>> told = lambda: registry.get_sample_value("opened_total", {"shop": "s1", "cause": "price"})
    >>> first = told()
    >>> now[0] = NOUGHT_SECONDS
    >>> first, told()
    (0.0, 2.0)
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._meaning, self.labels = name, meaning, tuple(labels)
        self._clock = clock
        self._counts: dict[tuple[str, ...], float] = {}
        self._first_told: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def add(self, labels: tuple[str, ...], count: float = 1) -> None:
        """Count; the values of the labels stand in their order."""
        self._counts[labels] = self._counts.get(labels, 0.0) + count

    def describe(self) -> Iterable[CounterMetricFamily]:
        """What it is called."""
        return [CounterMetricFamily(self._name, self._meaning, labels=self.labels)]

    def collect(self) -> Iterable[CounterMetricFamily]:
        """All of its numbers."""
        family, now = CounterMetricFamily(self._name, self._meaning, labels=self.labels), self._clock()
        for labels, count in list(self._counts.items()):  # a scrape comes while another thread counts
            since = self._first_told.setdefault(labels, now)
            family.add_metric(labels, count if now - since >= NOUGHT_SECONDS else 0.0)
        return [family]


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

    def _table(self, name: str, meaning: str, *labels: str) -> GaugeTable:
        """A gauge whose series are replaced all at once."""
        self.described.append(Description(PREFIX + name, "gauge", labels, meaning))
        return GaugeTable(PREFIX + name, meaning, labels, self.registry)

    def _counter_table(self, name: str, meaning: str, *labels: str) -> CounterTable:
        """A counter with many possible series."""
        self.described.append(Description(f"{PREFIX}{name}_total", "counter", labels, meaning))
        return CounterTable(PREFIX + name, meaning, labels, self.registry)

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
        self.unknown_words = self._counter(
            "unknown_words",
            f"Words of an enumeration that are not understood and count as `other`, by field; {MAX_WORDS} words at most"
            f" ({MORE}: all others; {UNREADABLE}: not a word).",
            "field",
            "word",
        )
        self.duplicates = self._counter("events_duplicate", "Events recognised by their id as sent twice.")
        self.late = self._counter("events_late", "Events behind stream time, within the lateness: they count in full.")
        self.too_late = self._counter(
            "events_too_late", "Events further behind: they count only where order does not matter."
        )
        self.excluded = self._counter("events_excluded", "Events of fake, staff and test buyers, left out.")
        self.misplaced = self._counter(
            "records_misplaced", "Records in another partition than their customer's, by role of the topic.", "topic"
        )
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
        self.tasks = self._gauge("lanes_owned", "Partition numbers that this worker works on.")
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


class KpiMetrics(Metrics):
    """Of the shop and its customers, as far as a worker's own partitions know them: sum over all workers.

    What each of them means, and how rates are made of them: docs/adr/0015-business-metrics.md.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._about_customers()
        self._about_months()
        self._about_visits()
        self._about_orders()
        self._about_episodes()

    def _about_customers(self) -> None:
        self.by_band = self._table(
            "risk_customers",
            "Customers with a score, by the band of their latest probability of churn"
            " (low: below 0.25; medium: below 0.5; high: below 0.75; very_high).",
            "shop",
            "segment",
            "band",
        )
        self.by_segment = self._table(
            "segment_customers", "Buyers, by the segment that a measure must fit.", "shop", "segment"
        )
        self.by_stage = self._table("stage_customers", "Buyers, by stage of their life with the shop.", "shop", "stage")
        self.buyers = self._table("buyers", "Customers with one order that counts, or more.", "shop")
        self.repeat_buyers = self._table(
            "repeat_buyers", "Customers with two orders that count, or more; of buyers: the repurchase rate.", "shop"
        )
        self.inactive_buyers = self._table(
            "inactive_buyers", "Buyers without an order for lost_after; of buyers: the inactive share.", "shop"
        )

    def _about_months(self) -> None:
        self.month_start = self._table(
            "month_start_timestamp_seconds",
            "First moment of the calendar month on the shop's clock; take the largest of all workers.",
            "month",
        )
        self.month_customers = self._table(
            "month_start_customers", "Buyers who were not lost when the calendar month began.", "shop", "month"
        )
        self.month_lost = self._table(
            "month_lost_customers",
            "Of those, buyers whom lost_after called lost in the month; of month_start_customers: the churn rate.",
            "shop",
            "month",
        )
        self.month_returned = self._table(
            "month_returned_customers", "Lost buyers who ordered again in the month.", "shop", "month"
        )

    def _about_visits(self) -> None:
        self.page_views = self._counter("page_views", "Page views.", "shop")
        self.visits = self._counter(
            "visits", "Visits: page views with no other of the customer in the 30 minutes before.", "shop"
        )
        self.visits_continued = self._counter(
            "visits_continued", "Visits with a second page view; what lacks of visits are bounces.", "shop"
        )
        self.visitors = self._counter("visitors", "Distinct visitors of each day, summed over the days.", "shop")
        self.funnel = self._counter(
            "funnel_steps",
            "Steps of the funnel that were taken: visits, favourites, goods into the cart, checkouts, orders placed,"
            " paid, delivered, and complaints, reviews and returns about orders.",
            "shop",
            "step",
        )
        self.amounts = self._counter(
            "funnel_amount", "Money at the steps of the funnel, in the shop's currency.", "shop", "step"
        )
        self.checkout_losses = self._counter(
            "checkout_losses", "Checkouts that were abandoned, or whose payment failed.", "shop", "reason"
        )

    def _about_orders(self) -> None:
        self.orders = self._counter(
            "orders", "Orders that count, by whether they are the customer's first.", "shop", "kind"
        )
        self.revenue = self._counter("revenue_amount", "Money of orders that count, in the shop's currency.", "shop")
        self.daily_buyers = self._counter(
            "daily_buyers", "Distinct buyers of each day, summed over the days; of visitors: the conversion.", "shop"
        )
        self.complaints = self._counter(
            "complaints", "Complaints, low reviews, return reasons and unsubscribes, by category.", "shop", "category"
        )

    def _about_episodes(self) -> None:
        self.open_episodes = self._table(
            "open_episodes",
            "Open episodes, by their likeliest cause and the customer's segment when they were opened"
            f" (unknown: opened by an older version, or beyond {MAX_EPISODE_KINDS:,} combinations in one worker).",
            "shop",
            "cause",
            "segment",
        )
        self.opened = self._counter_table(
            "episodes_opened", "Episodes opened, by their likeliest cause and by segment.", "shop", "cause", "segment"
        )
        self.closed = self._counter_table(
            "episodes_closed", "Episodes closed, by reason and by segment.", "shop", "reason", "segment"
        )
        self.outcomes = self._counter_table(
            "episode_outcomes",
            "Episodes that the staff has resolved, by what came of them, the cause that it found, and segment.",
            "outcome",
            "cause",
            "segment",
        )
        self.suppressed = self._counter(
            "nominations_suppressed", "Customers at risk for whom no episode was opened, by reason.", "reason"
        )
        self.suppressed.labels("campaign")


class InputMetrics(Metrics):
    """Of whoever consumes from Kafka: all four services."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.unreadable = self._counter(
            "unreadable_batches",
            "Record batches that could not be read (a wrong checksum, a broken record, too large once unpacked) and"
            " were skipped; the log names each one. More than 100 within 10 minutes end the process.",
        )


class RelayMetrics(Metrics):
    """Of the relay from the outbox to Kafka, in whatever process it runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.outbox = self._gauge("outbox_records", "Records committed and not yet on their topic.")
        self.relayed = self._counter("relayed_records", "Records put on their topic, by its role.", "topic")
        self.relayed.labels("dead_letters")
        self.dropped = self._counter(
            "dropped_records", "Records that the broker refused for good, by role of their topic.", "topic"
        )
        for role in ("alerts", "dead_letters", "scores"):
            self.dropped.labels(role)


class SkippedMetrics(Metrics):
    """Of a service that reads a topic of ours: what it could not use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.records = self._counter(
            "records_skipped",
            "Records of an internal topic that could not be used and went to the dead letters.",
            "topic",
        )


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


class QualityMetrics(Metrics):
    """How good the model has been, on decisions whose label is known: told by the trainer.

    The product's probability as it was given, each expert, their mixture, and the plain baselines, by `scorer`;
    of the last 28 days of decisions and of all of them, by `window`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._about_figures()
        self._about_calibration()
        self._about_the_model()

    def _about_figures(self) -> None:
        both = ("scorer", "window")
        self.auc = self._table(
            "quality_auc_ratio", "ROC-AUC: how often one who left was scored above one who stayed.", *both
        )
        self.log_loss = self._table("quality_log_loss_nats", "Mean log-loss.", *both)
        self.brier = self._table("quality_brier_ratio", "Brier score: mean squared error of the probability.", *both)
        self.calibration_error = self._table(
            "quality_calibration_error_ratio", "Expected calibration error over ten equally filled bins.", *both
        )
        self.lift = self._table("quality_lift_ratio", "How many times more of the top tenth left than of all.", *both)
        self.precision = self._table(
            "quality_precision_ratio", "Share that left among each day's `capacity` highest scores.", *both
        )
        self.base_rate = self._table("quality_base_rate_ratio", "Share of all that left.", "window")
        self.examples = self._table("quality_examples", "Decisions with a label.", "window")

    def _about_calibration(self) -> None:
        self.promised = self._table(
            "quality_promised_ratio",
            "Mean probability in each tenth of the decisions, 1 the lowest.",
            "tenth",
            "window",
        )
        self.measured = self._table(
            "quality_measured_ratio", "Share that left in each tenth of the decisions, 1 the lowest.", "tenth", "window"
        )

    def _about_the_model(self) -> None:
        self.shares = self._table("model_expert_share_ratio", "Each expert's share in the mixture.", "scorer")
        self.shift = self._gauge(
            "model_level_log_odds", "What the shop's present level adds to every customer's log-odds of churn."
        )
        self.drifts = self._gauge("model_drift_changes", "Changes of the daily log-loss that chance does not explain.")
        self.drifted = self._table("model_drift_timestamp_seconds", "Moment of the latest of them, in event time.")
        self.drift_window = self._gauge(
            "model_drift_window_seconds", "Length of the days that the search for changes (ADWIN) holds for one regime."
        )
        self.drift_loss = self._table(
            "model_drift_log_loss_nats",
            "Mean daily log-loss over these days (now), and on either side of the latest change once there is one.",
            "side",
        )


class AllocatorMetrics(Metrics):
    """Of the desk."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.moments = self._counter("desk_moments", "Moments at which the desk chose among all nominations.")
        self.nominations = self._counter("desk_nominations", "Customers nominated by the partitions.")
        self.alerts = self._counter("desk_episodes", "Episodes opened: customers handed to the staff.")
        self.suppressed = self._counter(
            "nominations_suppressed", "Customers at risk for whom no episode was opened, by reason.", "reason"
        )
        self.suppressed.labels("capacity")
        self.lacking = self._gauge(
            "desk_lacking_partitions", "Partitions that have not nominated for the next moment yet."
        )
        self.through = self._gauge("desk_through_timestamp_seconds", "The latest moment that was decided.")


class StoreMetrics(Metrics):
    """Of the Redis that holds everything; the desk tells of it, since there is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.used = self._gauge("redis_used_memory_bytes", "Memory that Redis uses; of a cluster, its fullest node.")
        self.limit = self._gauge("redis_max_memory_bytes", "Memory that Redis may use (maxmemory); 0: no limit.")


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

    def note(self, scheduler: DeliveryScheduler, now: int) -> None:
        """Tell how the book is, and what has ended in it since the last time; `now` is microseconds."""
        for (channel, state, reason), count in scheduler.outcomes.items():
            self.deliveries.labels(channel, state).inc(count)
            if reason:
                self.suppressed.labels(reason).inc(count)
        scheduler.outcomes.clear()
        pending, oldest = scheduler.pending(), scheduler.oldest()
        for name in self._names:
            self.pending.labels(name).set(pending[name])
            self.oldest.labels(name).set(max(now - oldest.get(name, now), 0) / 1e6)
            self.closed.labels(name).set(bool(scheduler.channels[name].gone_at))
        self.dead.set(scheduler.dead)


SERVICES: Final[dict[str, tuple[type[Metrics], ...]]] = {
    "worker": (WorkerMetrics, KpiMetrics, CommitMetrics, InputMetrics, RelayMetrics),
    "trainer": (TrainerMetrics, QualityMetrics, CommitMetrics, InputMetrics, SkippedMetrics),
    "desk": (AllocatorMetrics, CommitMetrics, InputMetrics, RelayMetrics, SkippedMetrics, StoreMetrics),
    "deliver": (DeliveryMetrics, CommitMetrics, InputMetrics, SkippedMetrics),
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
