"""Quality over time, in windows of 28 days and cumulatively since the warm-up."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.model.evaluation_metrics import CLIP, Scored, ece, enough, log_loss, roc_auc
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.evaluation import Evaluation

WINDOW_DAYS: Final = 28


def windows(evaluation: Evaluation) -> list[dict[str, object]]:
    """Return one entry per window, oldest first. Windows within the warm-up are marked `warm_up`."""
    decided = evaluation.results.decisions.decided_at[evaluation.rows]
    number = (decided - evaluation.warm_at) // (WINDOW_DAYS * DAY_US)
    if not len(number):
        return []
    span = range(int(number.min()), int(number.max()) + 1)
    courses = {name: cumulative(evaluation, column, number) for name, column in columns(evaluation).items()}
    return [
        window_entry(evaluation, window, np.flatnonzero(number == window))
        | {"cumulative": {name: course[window] for name, course in courses.items()} if window >= 0 else None}
        for window in span
    ]


def columns(evaluation: Evaluation) -> dict[str, Floats]:
    """Return the probabilities of the model in use and of each expert, in alphabetical order."""
    decisions = evaluation.results.decisions
    return {"product": decisions.probability, **dict(sorted(decisions.experts.items()))}


def window_entry(evaluation: Evaluation, window: int, rows: Ints) -> dict[str, object]:
    """Return the base rate, AUC, log-loss and calibration error of one window."""
    start = evaluation.warm_at + window * WINDOW_DAYS * DAY_US
    zone, churned = evaluation.protocol.zone, evaluation.churned[rows]
    scores: dict[str, object] = {}
    for name, column in columns(evaluation).items():
        scored = Scored(churned, column[evaluation.rows[rows]])
        auc, error = (roc_auc(scored), ece(scored)) if enough(scored) else (None, None)
        scores[name] = {"auc": auc, "log_loss": log_loss(scored), "ece": error}
    silent = Scored(churned, evaluation.results.decisions.recency_days[evaluation.rows[rows]])
    scores["longest_silence_first"] = {
        "auc": roc_auc(silent) if enough(silent) else None,
        "log_loss": None,
        "ece": None,
    }
    return {
        "from": iso_day(start, zone),
        "to": iso_day(start + WINDOW_DAYS * DAY_US - 1, zone),
        "warm_up": window < 0,
        "n": len(rows),
        "base_rate": churned.mean() if len(rows) else None,
        "scores": scores,
    }


def cumulative(evaluation: Evaluation, column: Floats, number: Ints) -> list[dict[str, object]]:
    """Return the AUC and log-loss of all decisions from the warm-up to the end of each window."""
    counted = number >= 0
    number, p, churned = number[counted], column[evaluation.rows[counted]], evaluation.churned[counted]
    order = np.argsort(p, kind="stable")  # sorted once for all windows
    clipped = np.clip(p, CLIP, 1 - CLIP)
    losses = -np.log(np.where(churned, clipped, 1 - clipped))
    course: list[dict[str, object]] = []
    for window in range(int(number.max()) + 1) if len(number) else ():
        until = number <= window
        known = Scored(churned[until], p[until], presorted=compress(order, until))
        auc = roc_auc(known) if enough(known) else None
        course.append({"auc": auc, "log_loss": losses[until].mean() if until.any() else None})
    return course


def compress(order: Ints, keep: Bools) -> Ints:
    """Return the sort order of the kept rows, given the sort order of all rows.

    >>> compress(np.array([2, 0, 1]), np.array([True, False, True])).tolist()
    [1, 0]
    """
    place = np.cumsum(keep) - 1
    return place[order[keep[order]]].astype(np.int64)
