"""The content of metrics.json: keys in a fixed order, floats rounded, NaN as null.

Replays of the same log with the same seed and settings give identical metrics, except for `run` (time, memory).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

import numpy as np

import stream_app
from stream_app.core.arrays import Floats
from stream_app.core.model.evaluation_metrics import Scored, brier, ece, lift, log_loss, pr_auc, roc_auc
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.alerts import alert_figures
from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.calibration import deciles, reliability
from stream_app.replay.evaluation.call_figures import call_figures, silences_of
from stream_app.replay.evaluation.cohorts import churn_by_month, cohort_retention, repurchase
from stream_app.replay.evaluation.evaluation import Evaluation, evaluate
from stream_app.replay.evaluation.intervals import auc_difference, auc_interval
from stream_app.replay.evaluation.models import model_figures
from stream_app.replay.evaluation.readiness import readiness
from stream_app.replay.evaluation.reasons import next_list_figures, reason_figures, sample_alerts
from stream_app.replay.evaluation.segments import segment_tables
from stream_app.replay.evaluation.support import support_figures
from stream_app.replay.evaluation.windows import windows
from stream_app.replay.evaluation.worth import money_figures
from stream_app.replay.results import OPEN, SOURCES, Results

SCHEMA: Final = 2
DIGITS: Final = 6


def metrics(results: Results) -> dict[str, object]:
    """Return all metrics of a replay."""
    evaluation = evaluate(results)
    calls = call_figures(evaluation)
    figures = {
        "schema": SCHEMA,
        "protocol": protocol_figures(evaluation),
        "decisions": decision_counts(evaluation),
        "product": score_figures(evaluation, results.decisions.probability),
        "experts": {name: score_figures(evaluation, p) for name, p in sorted(results.decisions.experts.items())},
        "longest_silence_first": silence_figures(evaluation),
        "calibration": reliability(evaluation),
        "deciles": deciles(evaluation),
        "windows": windows(evaluation),
        "calls": calls,
        "reasons": reason_figures(evaluation, silences_of(evaluation)),
        "samples": sample_alerts(evaluation),
        "next_list": next_list_figures(evaluation),
        "alerts": alert_figures(evaluation),
        "money": money_figures(evaluation),
        "segments": segment_tables(evaluation),
        "repurchase": repurchase(evaluation),
        "cohorts": cohort_retention(evaluation),
        "monthly_churn": churn_by_month(evaluation),
        "readiness": readiness(evaluation, calls),
        "models": model_figures(evaluation),
        "log": log_figures(evaluation),
        "support": support_figures(results.log),
        "settings": settings_figures(results),
        "run": run_figures(results),
    }
    return {name: plain(value) for name, value in figures.items()}


def plain(value: object) -> object:
    """Convert a value for JSON: numpy scalars to Python numbers, floats rounded, NaN and infinities to None.

    >>> plain({"a": np.float64(1 / 3), "b": [np.int64(2), float("nan")]})
    {'a': 0.333333, 'b': [2, None]}
    """
    match value.item() if isinstance(value, np.generic) else value:
        case Mapping() as entries:
            return {str(name): plain(entry) for name, entry in entries.items()}
        case list() | tuple() as items:
            return [plain(item) for item in items]
        case float() as number:
            return round(number, DIGITS) if math.isfinite(number) else None
        case other:
            return other


def protocol_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the evaluation protocol and the period evaluated."""
    p = evaluation.protocol

    def day(at: int) -> str:
        return iso_day(at, p.zone)

    return {
        "horizon_days": p.horizon_days,
        "active_days": p.active_days,
        "every_days": p.every_days,
        "lost_after_days": p.lost_after_days,
        "capacity": p.capacity,
        "rank_by": p.rank_by,
        "act_before_days": p.act_before_days,
        "zone": str(p.zone),
        "first_event": day(evaluation.results.log.first_at),
        "last_event": day(evaluation.end_at),
        "first_order": day(evaluation.first_order_at),
        "counted_from": day(evaluation.warm_at),
        "counted_until": day(evaluation.end_at - round(p.horizon_days * DAY_US)),
    }


def decision_counts(evaluation: Evaluation) -> dict[str, object]:
    """Return the number of decisions in each state."""
    d = evaluation.results.decisions
    sources = d.source[evaluation.rows[evaluation.counted]]
    return {
        "total": len(d.label),
        "matured": len(evaluation.rows),
        "open": int((d.label == OPEN).sum()),
        "counted": int(evaluation.counted.sum()),
        "customers_counted": len(np.unique(evaluation.customer)),
        "base_rate": evaluation.outcome.mean() if evaluation.counted.any() else None,
        "by_source": {name: int((sources == i).sum()) for i, name in enumerate(SOURCES)},
    }


def score_figures(evaluation: Evaluation, column: Floats) -> dict[str, object]:
    """Return the metrics of a column of probabilities, or None if the column is incomplete."""
    scored = evaluation.scored(column)
    if not len(scored.churned) or not np.isfinite(scored.probability).all():
        names = ("auc", "auc_low", "auc_high", "pr_auc", "lift10")
        return dict.fromkeys((*names, "log_loss", "brier", "ece", "mean_probability"))
    return {
        **ranking_figures(evaluation, scored),
        "log_loss": log_loss(scored),
        "brier": brier(scored),
        "ece": ece(scored),
        "mean_probability": scored.probability.mean(),
    }


def ranking_figures(evaluation: Evaluation, scored: Scored) -> dict[str, object]:
    """Return the ranking metrics of a score."""
    low, high = auc_interval(scored, evaluation.customer)
    return {
        "auc": roc_auc(scored),
        "auc_low": low,
        "auc_high": high,
        "pr_auc": pr_auc(scored),
        "lift10": lift(scored),
    }


def silence_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the ranking metrics of recency alone, and the difference from the model's AUC."""
    scored, customer = evaluation.recency, evaluation.customer
    difference, difference_low, difference_high = auc_difference(evaluation.product, scored, customer)
    return {
        **ranking_figures(evaluation, scored),
        "product_above": difference,
        "product_above_low": difference_low,
        "product_above_high": difference_high,
    }


def log_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the statistics of the log."""
    log = evaluation.results.log
    return {
        "files": [PurePath(f).name for f in log.files],
        "events": log.events,
        "rejected": log.rejected,
        "rejected_share": log.rejected / max(log.lines or log.events + log.rejected, 1),
        "skipped": log.skipped,
        "duplicates": log.duplicates,
        "late": log.late,
        "kinds": dict(sorted(log.kinds.items())),
        "fields": {kind: sorted(fields) for kind, fields in sorted(log.fields.items())},
        "customers": log.customers,
        "buyers": log.buyers,
        "unknown_words": log.unknown_words,
    }


def settings_figures(results: Results) -> dict[str, object]:
    """Return all settings by name. For excluded buyers, return only their count, since ids are personal data."""
    settings = dict(sorted(results.settings.items()))
    if "excluded" in settings:
        settings["excluded"] = len(settings["excluded"])
    return settings


def run_figures(results: Results) -> dict[str, object]:
    """Return the run's duration, memory and package versions, the only part that differs between runs."""
    return {
        "seed": results.seed,
        "command": results.command,
        "events": results.log.events,
        "seconds": round(results.seconds, 3),
        "events_per_second": round(results.events_per_second, 1),
        "peak_rss_bytes": results.peak_rss_bytes,
        "versions": {"stream-app": stream_app.__version__, **dict(sorted(results.versions_of.items()))},
    }
