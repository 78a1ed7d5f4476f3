"""Runs a complete replay, from reading the log to writing the output files."""

from __future__ import annotations

import gc
import json
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

from stream_app.core.alerts.call_quotas import DayLimits
from stream_app.core.alerts.contact_history import OPT_OUT
from stream_app.core.expert_spec import DEFAULT
from stream_app.core.model.expert_checks import check_experts
from stream_app.core.model.features import FEATURES
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption, NoOrders, ShortLog, TooManyRejected
from stream_app.ingest import LogSummary, open_log
from stream_app.replay.evaluation import metrics
from stream_app.replay.outputs import alert_lines, alert_records, draw_records, write_json_lines, write_predictions
from stream_app.replay.request import Request, Watcher
from stream_app.replay.results import DriftEvent, LogFacts, Results
from stream_app.replay.runner import Outcome, Replay
from stream_app.replay.unavailable import no_spans, unavailable
from stream_app.replay.uplift import write_uplift
from stream_app.report.call_list import write_call_list
from stream_app.report.html import write_report
from stream_app.report.summary import CALL_LIST

REJECTED: Final = "rejected.jsonl"
_SHOWN_OTHERWISE: Final = (
    *("horizon", "active_window", "decide_every", "lateness", "lost_after", "act_before"),
    *("alert_lifetime", "agreement", "answer_within", "solve_within"),
    "experts",
)
_PACKAGES: Final = ("stream-app", "river", "numpy", "msgspec", "duckdb")


def replay_log(request: Request, watcher: Watcher) -> tuple[dict[str, Any], LogSummary]:
    """Replay a log, write the output files, and return the metrics and the summary of the log.

    Raises:
        UnusableLog: the log cannot be replayed.
        BadMapping: the mapping is invalid.
        ContradictorySettings: an imported model cannot be used.
    """
    watcher.checked(check_experts(request.settings.experts, time.perf_counter))
    _make_folder(request.out)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=request.out) as workdir:
        rejected = request.out / REJECTED
        with open_log(request.logs, request.form, Path(workdir), not_after=request.not_after, rejected=rejected) as log:
            summary = log.scan(watcher.reading)
            check_length(request, summary)
            replay = Replay(
                request.settings,
                request.partitions,
                lambda events, decisions: watcher.replaying(events, summary.events, decisions),
                log.policies,
            )
            with collector_off():
                outcome = replay.run(log.batches())
            check_orders(request, summary, outcome)
            results = results_of(request, summary, replay, outcome, time.perf_counter() - started)
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


def check_length(request: Request, summary: LogSummary) -> None:
    """Raise ShortLog if the log is not longer than the horizon, in which case no decision could get a label."""
    days = (summary.last_at - summary.first_at) / DAY_US
    horizon = request.settings.horizon / DAY_US
    if days <= horizon:
        raise ShortLog(file=", ".join(request.logs), days=days, horizon=horizon)


def check_orders(request: Request, summary: LogSummary, outcome: Outcome) -> None:
    """Raise NoOrders if no event of the log counts as an order."""
    if not len(outcome.money):
        raise NoOrders(
            file=", ".join(request.logs),
            events=summary.events,
            action=request.settings.order_action,
            unknown=_unknown_steps(summary.unknown_words.get("order.action", {})),
        )


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
        alert_lines(outcome.opened, outcome.closed, outcome.breaches, outcome.ended),
        request.out / "alerts.jsonl",
    )
    drawn = {}
    if outcome.measured is not None:
        drawn["uplift"] = msgspec.to_builtins(write_uplift(outcome, outcome.measured, results.log.last_at, request.out))
    watcher.writing(CALL_LIST)
    stopped, zone = request.settings.policy.benefit.stopped, request.settings.clock
    write_call_list(results.next_list, request.out / CALL_LIST, request.lang, results.log.last_at, zone, stopped)
    watcher.writing("metrics.json")
    figures = {**metrics(results), **drawn}
    text = json.dumps(figures, ensure_ascii=False, indent=2) + "\n"
    (request.out / "metrics.json").write_text(text, encoding="utf-8")
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


def results_of(request: Request, summary: LogSummary, replay: Replay, outcome: Outcome, seconds: float) -> Results:
    """Return the results of a replay that took some seconds."""
    decisions = outcome.columns.decisions()
    spans = (
        unavailable(decisions.customers, outcome.opt_outs, outcome.breaches, outcome.ended, request.settings)
        if request.settings.plans_calls
        else no_spans()
    )
    return Results(
        unavailable=spans,
        decisions=decisions,
        alerts=alert_records(outcome.opened, outcome.closed),
        draws=draw_records(outcome.opened, request.settings.holdout.experiment),
        drift=[DriftEvent(one.at, "log-loss", one.before, one.after) for one in replay.churn_model.drift],
        versions=outcome.versions,
        log=_log_facts(request.logs, summary, replay, outcome),
        orders=outcome.money.orders(),
        refunds=outcome.money.refunds(),
        importances=replay.churn_model.importances,
        settings=shown_settings(request),
        seed=request.settings.seed,
        seconds=seconds,
        events_per_second=summary.events / seconds,
        peak_rss_bytes=_peak_rss(),
        next_list=[alert.candidate for alert in outcome.next_list],
        command=request.command,
        suppressed=_suppressed(request, outcome),
        versions_of={name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
    )


def _suppressed(request: Request, outcome: Outcome) -> dict[str, int] | None:
    """Return the customers who were not called, by reason. If calls are not planned, opt-outs alone are a reason."""
    shown = request.settings.plans_calls or outcome.suppressed[OPT_OUT]
    return dict(sorted(outcome.suppressed.items())) if shown else None


def _log_facts(names: Sequence[str], summary: LogSummary, replay: Replay, outcome: Outcome) -> LogFacts:
    counts = replay.counts
    return LogFacts(
        **msgspec.structs.asdict(summary),
        files=[Path(name).name for name in names],
        duplicates=counts.duplicates,
        late=counts.late + counts.too_late,
        customers=outcome.customers,
        buyers=len(np.unique(outcome.money.orders()[0])),
        currencies=dict(outcome.money.currencies),
    )


def shown_settings(request: Request) -> dict[str, object]:
    """Return the settings of a replay as shown in metrics.json and the report, with durations in days."""
    settings = request.settings
    in_days = {
        "horizon_days": settings.horizon,
        "active_days": settings.active_window,
        "every_days": settings.decide_every,
        "lost_after_days": settings.lost_after_or_default,
        "act_before_days": settings.act_before_or_default,
        "lateness_days": settings.lateness,
        "alert_lifetime_days": settings.alert_lifetime,
        "agreement_days": settings.agreement,
        "answer_within_days": settings.answer_within,
        "solve_within_days": settings.solve_within,
    }
    return {
        **{name: value for name, value in msgspec.to_builtins(settings).items() if name not in _SHOWN_OTHERWISE},
        **({} if settings.experts == DEFAULT else {"experts": msgspec.to_builtins(settings.experts)}),
        "policy": settings.policy.version,
        **({"stopped_measures": stopped} if (stopped := list(settings.policy.benefit.stopped)) else {}),
        **(_planning(settings) if settings.plans_calls else {}),
        **{name: value / DAY_US for name, value in in_days.items()},
        "excluded": sorted(settings.excluded),
        "format": request.form.name,
        "partitions": request.partitions,
        "lang": request.lang,
        "max_rejected": request.max_rejected,
        "currency": request.currency,
        "contact_cost": request.contact_cost,
        "not_after": request.not_after.isoformat() if request.not_after else None,
    }


def _planning(settings: Settings) -> dict[str, object]:
    """Return what the policy takes from the planned calls."""
    return {
        "reserve": settings.capacity - settings.planned_capacity,
        "limited_calls": DayLimits.of(settings).has_quotas or settings.policy.benefit.limits_calls,
    }


def _peak_rss() -> int:
    """Return the peak resident set size of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
