"""Runs a complete replay, from reading the log to writing the output files."""

from __future__ import annotations

import gc
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from stream_app.core.model.features import FEATURES
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption, NoOrders, ShortLog, TooManyRejected
from stream_app.ingest import Log, LogSummary, open_log
from stream_app.replay.evaluation import metrics
from stream_app.replay.outputs import alert_lines, alert_records, write_json, write_json_lines, write_predictions
from stream_app.replay.request import Request, Watcher
from stream_app.replay.results import DriftEvent, LogFacts, Results
from stream_app.replay.runner import Outcome, Replay
from stream_app.report.html import write_report

REJECTED: Final = "rejected.jsonl"
_PACKAGES: Final = ("stream-app", "river", "numpy", "msgspec", "duckdb")


def replay_log(request: Request, watcher: Watcher) -> tuple[dict[str, Any], LogSummary]:
    """Replay a log, write the output files, and return the metrics and the summary of the log.

    Raises:
        UnusableLog: the log cannot be replayed.
        BadMapping: the mapping is invalid.
    """
    _make_folder(request.out)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=request.out) as workdir:
        rejected = request.out / REJECTED
        with open_log(request.logs, request.form, Path(workdir), not_after=request.not_after, rejected=rejected) as log:
            summary = log.scan(watcher.reading)
            _check_length(request, summary)
            replay = Replay(
                request.settings,
                request.partitions,
                lambda events, decisions: watcher.replaying(events, summary.events, decisions),
            )
            with collector_off():
                outcome = replay.run(log.batches())
            if not outcome.order_at:
                raise NoOrders(
                    file=", ".join(request.logs),
                    events=summary.events,
                    action=request.settings.order_action,
                    unknown=_unknown_steps(summary.unknown_words.get("order.action", {})),
                )
            results = _results(request, log, summary, replay, outcome, time.perf_counter() - started)
    return write_results(request, results, outcome, watcher), summary


def _unknown_steps(unknown: dict[str, int]) -> str:
    """Return a sentence to append to an error message about unknown order actions; empty if there are none."""
    words = ", ".join(f"{word} ({count:,})" for word, count in unknown.items())
    return (
        f" Unknown values of order.action: {words}. See docs/reference/events.md for the accepted ones."
        if words
        else ""
    )


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOption(
            option="--out", value=str(out), remedy=f"The folder cannot be created: {error.strerror}. Use another one."
        ) from error


def _check_length(request: Request, summary: LogSummary) -> None:
    """Raise ShortLog if the log is not longer than the horizon, in which case no decision could get a label."""
    days = ((summary.last_at or 0) - (summary.first_at or 0)) / DAY_US
    horizon = request.settings.horizon / DAY_US
    if days <= horizon:
        raise ShortLog(file=", ".join(request.logs), days=days, horizon=horizon)


def check_rejected(request: Request, summary: LogSummary) -> None:
    """Raise TooManyRejected if too many lines were rejected. Call this after all files are written."""
    if summary.rejected_share > request.max_rejected:
        raise TooManyRejected(
            rejected=summary.rejected,
            lines=summary.lines,
            limit=request.max_rejected,
            file=request.out / REJECTED,
        )


def write_results(request: Request, results: Results, outcome: Outcome, watcher: Watcher) -> dict[str, Any]:
    """Write the output files and return the content of metrics.json."""
    predictions = request.out / f"predictions.{request.predictions}"
    watcher.writing(predictions.name)
    write_predictions(results.decisions, predictions)
    watcher.writing("alerts.jsonl")
    write_json_lines(
        alert_lines(outcome.opened, outcome.closed, outcome.breaches, outcome.ended), request.out / "alerts.jsonl"
    )
    watcher.writing("metrics.json")
    figures = metrics(results)
    write_json(figures, request.out / "metrics.json")
    watcher.writing("report.html")
    words = {feature.name: (feature.unit, feature.meaning, feature.meaning_zh) for feature in FEATURES}
    write_report(figures, request.out / "report.html", request.lang, words)
    return figures


@contextmanager
def collector_off() -> Iterator[None]:
    """Disable Python's cyclic garbage collector within the context.

    It visits all live objects repeatedly, so its cost per event grows with the number of customers. A replay creates no
    reference cycles.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # collecting the objects of a million customers would take seconds
            gc.enable()


def _results(
    request: Request, log: Log, summary: LogSummary, replay: Replay, outcome: Outcome, seconds: float
) -> Results:
    return Results(
        decisions=outcome.columns.decisions(),
        alerts=alert_records(outcome.opened, outcome.closed),
        drift=[DriftEvent(one.at, "log-loss", one.before, one.after) for one in replay.churn_model.drift],
        versions=outcome.versions,
        log=_log_facts(request.logs, log, summary, replay, outcome),
        orders=(
            np.array(outcome.order_customers, dtype=np.int64),
            np.array(outcome.order_at, dtype=np.int64),
            np.array(outcome.order_amounts, dtype=np.float64),
        ),
        importances=replay.churn_model.importances,
        effects={kind: (count, total / count) for kind, (count, total) in sorted(outcome.effects.items())},
        settings=shown_settings(request),
        seed=request.settings.seed,
        seconds=seconds,
        events_per_second=summary.events / seconds,
        peak_rss_bytes=_peak_rss(),
        versions_of={name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
    )


def _log_facts(names: Sequence[str], log: Log, summary: LogSummary, replay: Replay, outcome: Outcome) -> LogFacts:
    counts = replay.counts
    return LogFacts(
        files=[Path(name).name for name in names],
        events=summary.events,
        rejected=log.rejections.count,
        skipped=summary.skipped,
        duplicates=counts.duplicates,
        late=counts.late + counts.too_late,
        first_at=summary.first_at or 0,
        last_at=summary.last_at or 0,
        kinds=summary.kinds,
        fields={kind: sorted(fields) for kind, fields in sorted(summary.fields.items())},
        customers=outcome.customers,
        buyers=len(set(outcome.order_customers)),
        lines=summary.lines,
        unknown_words=summary.unknown_words,
    )


def shown_settings(request: Request) -> dict[str, object]:
    """Return the settings of a replay as shown in metrics.json and the report, with durations in days."""
    settings = msgspec.to_builtins(request.settings)
    days = (
        *("horizon", "active_window", "decide_every", "lateness", "lost_after"),
        *("alert_lifetime", "agreement", "answer_within", "solve_within"),
    )
    shown: dict[str, object] = {
        "horizon_days": request.settings.horizon / DAY_US,
        "active_days": request.settings.active_window / DAY_US,
        "every_days": request.settings.decide_every / DAY_US,
        "lost_after_days": request.settings.lost_after_or_default / DAY_US,
        "lateness_days": request.settings.lateness / DAY_US,
        "alert_lifetime_days": request.settings.alert_lifetime / DAY_US,
        "agreement_days": request.settings.agreement / DAY_US,
        "answer_within_days": request.settings.answer_within / DAY_US,
        "solve_within_days": request.settings.solve_within / DAY_US,
    }
    shown |= {name: value for name, value in settings.items() if name not in days}
    shown["excluded"] = sorted(request.settings.excluded)
    shown |= {
        "format": request.form.name,
        "partitions": request.partitions,
        "lang": request.lang,
        "max_rejected": request.max_rejected,
        "currency": request.currency,
        "not_after": request.not_after.isoformat() if request.not_after else None,
    }
    return shown


def _peak_rss() -> int:
    """Return the peak resident set size of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
