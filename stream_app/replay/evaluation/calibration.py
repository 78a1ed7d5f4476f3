"""Calibration of the probabilities, and lift by decile of the ranking."""

from __future__ import annotations

from stream_app.core.arrays import Ints
from stream_app.core.model.evaluation_metrics import bins_of
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.intervals import share_interval


def reliability(evaluation: Evaluation) -> list[dict[str, object]]:
    """Return predicted and observed churn in ten bins of equal size, with intervals, in ascending order."""
    return [{"n": len(rows), **observed(evaluation, rows)} for rows in bins_of(evaluation.product)]


def observed(evaluation: Evaluation, rows: Ints) -> dict[str, object]:
    """Return the predicted and observed churn of some of the counted rows."""
    churned, p = evaluation.outcome[rows], evaluation.product.probability[rows]
    low, high = share_interval(churned, evaluation.customer[rows])
    return {
        "promised": p.mean() if len(p) else None,
        "churned": churned.mean() if len(p) else None,
        "churned_low": low,
        "churned_high": high,
    }


def deciles(evaluation: Evaluation) -> list[dict[str, object]]:
    """Return the lift of each decile of the ranking, highest scores first."""
    if evaluation.product.one_sided:
        return []
    base = float(evaluation.outcome.mean())
    entries: list[dict[str, object]] = []
    for tenth, rows in enumerate(reversed(bins_of(evaluation.product)), start=1):
        churned = evaluation.outcome[rows]
        low, high = share_interval(churned, evaluation.customer[rows])
        entries.append(
            {
                "tenth": tenth,
                "n": len(rows),
                "lift": churned.mean() / base,
                "lift_low": low / base,
                "lift_high": high / base,
            }
        )
    return entries
