"""*Service*, for engineers: whether everything runs and keeps pace, and what is wrong if not."""

from __future__ import annotations

from typing import Final

from grafana.page import Page, Variable
from grafana.panels import BLUE, COUNT, GREEN, ORANGE, RED, Column, Measure, Names, Style
from grafana.queries import Queries

VARIABLES: Final = (Variable("instance", "label_values(churn_build_info, instance)"),)
_ALL: Final = Queries('instance=~"$instance"')
_WHERE: Final = _ALL.where
_JOBS: Final = "worker|trainer|allocator|notifier"

RATE: Final = Measure("cps")
SECONDS: Final = Measure("s")
BYTES: Final = Measure("bytes")
LAG: Final = Measure("short", GREEN, ((10_000, ORANGE), (100_000, RED)), decimals=0)
FRESH: Final = Measure("s", GREEN, ((1, ORANGE), (10, RED)))
NONE_IS_GOOD: Final = Measure("short", GREEN, ((1, RED),), decimals=0)


def page(lang: str) -> Page:
    """Return the page in a language."""
    made = Page("service", lang, VARIABLES, since="now-1h", refresh="10s")
    for add_section in (_at_a_glance, _flow, _commits, _learning, _delivery, _processes):
        add_section(made)
    return made


def _at_a_glance(page: Page) -> None:
    page.number(
        "up",
        f'sum(up{{job=~"{_JOBS}"}}) / count(up{{job=~"{_JOBS}"}})',
        Measure("percentunit", RED, ((1, GREEN),), decimals=0, highest=1),
    )
    page.number("firing", 'count(ALERTS{alertstate="firing"}) or vector(0)', NONE_IS_GOOD)
    page.number("lag", _ALL.total("churn_lag_records"), LAG)
    page.number("fresh", _ALL.quantile(0.99, "churn_score_freshness_seconds"), FRESH)
    page.number("events", _ALL.rate("churn_events_total"), RATE)
    page.number(
        "dead",
        f'sum(increase(churn_relayed_records_total{{topic="dead_letters",{_WHERE}}}[$__range]))',
        Measure("short", GREEN, ((1, ORANGE), (100, RED)), decimals=0),
    )


def _flow(page: Page) -> None:
    page.row("flow")
    page.trend(
        "events_by_topic",
        {"{{topic}}": _ALL.rate("churn_events_total", "topic")},
        RATE,
        style=Style.STACKED,
        names=Names("topics"),
    )
    page.trend("lag_by_topic", {"{{topic}}": _ALL.total("churn_lag_records", "topic")}, LAG, names=Names("topics"))
    page.trend(
        "freshness",
        {
            name: _ALL.quantile(share, "churn_score_freshness_seconds")
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        FRESH,
    )
    page.trend(
        "decisions",
        {"decided": _ALL.rate("churn_decisions_total"), "scored": _ALL.rate("churn_events_scored_total")},
        RATE,
    )
    page.trend(
        "odd",
        {
            "rejected": f"{_ALL.rate('churn_events_rejected_total')} or vector(0)",  # absent before the first one
            "duplicate": _ALL.rate("churn_events_duplicate_total"),
            "late": _ALL.rate("churn_events_late_total"),
            "too_late": _ALL.rate("churn_events_too_late_total"),
            "excluded": _ALL.rate("churn_events_excluded_total"),
        },
        RATE,
    )
    page.trend("holds", {"{{reason}}": _ALL.rate("churn_hold_seconds_total", "reason")}, SECONDS, names=Names("holds"))


def _commits(page: Page) -> None:
    page.row("commits")
    page.trend(
        "commit_time",
        {name: _ALL.quantile(share, "churn_commit_duration_seconds") for name, share in (("p50", 0.5), ("p99", 0.99))},
        Measure("s", GREEN, ((0.5, ORANGE), (2.5, RED))),
    )
    page.buckets(
        "commit_buckets",
        f"sum by (le) (increase(churn_commit_duration_seconds_bucket{{{_WHERE}}}[$__rate_interval]))",
        SECONDS,
    )
    page.trend("outcomes", {"{{outcome}}": _ALL.rate("churn_commits_total", "outcome")}, RATE, names=Names("outcomes"))
    page.trend(
        "batch",
        {name: _ALL.quantile(share, "churn_batch_events") for name, share in (("p50", 0.5), ("p99", 0.99))},
        COUNT,
    )
    page.trend("outbox", {"waiting": _ALL.total("churn_outbox_records")}, COUNT)
    page.trend("relayed", {"{{topic}}": _ALL.rate("churn_relayed_records_total", "topic")}, RATE, names=Names("topics"))


def _learning(page: Page) -> None:
    page.row("learning")
    page.trend("learned", {"examples": _ALL.rate("churn_trainer_examples_total")}, RATE)
    page.trend(
        "version",
        {
            "trained": f"max(churn_trainer_model_version{{{_WHERE}}})",
            "current": f"min(churn_model_version{{{_WHERE}}})",
        },
        COUNT,
        style=Style.STEPS,
    )
    page.trend(
        "lacking",
        {
            "trainer": _ALL.total("churn_trainer_missing_partitions"),
            "allocator": _ALL.total("churn_allocator_missing_partitions"),
        },
        COUNT,
        style=Style.STEPS,
    )
    page.trend("checkpoint", {"size": _ALL.total("churn_trainer_checkpoint_bytes")}, BYTES, style=Style.STEPS)
    page.trend("checkpoint_time", {"p99": _ALL.quantile(0.99, "churn_trainer_checkpoint_duration_seconds")}, SECONDS)
    page.trend(
        "allocator",
        {
            "nominated": _ALL.rate("churn_allocator_candidates_total"),
            "opened": _ALL.rate("churn_allocator_alerts_total"),
        },
        RATE,
    )


def _delivery(page: Page) -> None:
    page.row("delivery")
    page.trend(
        "attempts",
        {"{{outcome}}": _ALL.rate("churn_delivery_attempts_total", "outcome")},
        RATE,
        names=Names("attempts"),
    )
    page.trend(
        "attempt_time",
        {
            name: _ALL.quantile(share, "churn_delivery_attempt_duration_seconds")
            for name, share in (("p50", 0.5), ("p99", 0.99))
        },
        SECONDS,
    )
    page.trend("on_the_way", {"{{channel}}": _ALL.total("churn_delivery_pending_records", "channel")}, COUNT)


def _processes(page: Page) -> None:
    page.row("processes")
    page.trend(
        "cpu",
        {"{{job}} {{instance}}": _ALL.rate("process_cpu_seconds_total", "job, instance")},
        Measure("percentunit"),
        6,
    )
    memory = {"{{job}} {{instance}}": _ALL.total("process_resident_memory_bytes", "job, instance")}
    page.trend("memory", memory, BYTES, 6)
    page.trend("cached", {"{{instance}}": _ALL.total("churn_states_cached", "instance")}, COUNT, 6)
    redis = {"used": "max(churn_redis_used_memory_bytes)", "limit": "max(churn_redis_max_memory_bytes) > 0"}
    page.trend("redis", redis, BYTES, 6)
    page.table(
        "instances",
        [
            Column("job", name="job", named="jobs"),
            Column("instance", name="instance"),
            Column(
                "up",
                query=f"max by (job, instance) (up{{{_WHERE}}})",
                measure=Measure("short", RED, ((1, GREEN),)),
                named="up",
            ),
            Column("partitions", query=f"max by (job, instance) (churn_partitions_owned{{{_WHERE}}})", measure=COUNT),
            Column("lag", query=_ALL.total("churn_lag_records", "job, instance"), measure=LAG),
            Column("memory", query=_ALL.total("process_resident_memory_bytes", "job, instance"), measure=BYTES),
            Column(
                "started",
                query=f"max by (job, instance) (process_start_time_seconds{{{_WHERE}}}) * 1000",
                measure=Measure("dateTimeAsIso", BLUE),
            ),
        ],
    )
