"""Whether a promise holds: promised against measured churn, and how the top of the ranking stands out."""

from __future__ import annotations

from stream_app.core.arrays import Ints
from stream_app.core.model.evaluation_metrics import bins_of
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.intervals import share_interval


def reliability(evaluation: Evaluation) -> list[dict[str, object]]:
    """Promised against measured churn in ten equally filled bins, with intervals; the lowest first."""
    return [bin_entry(evaluation, rows) for rows in bins_of(evaluation.product)]


def bin_entry(evaluation: Evaluation, rows: Ints) -> dict[str, object]:
    """One bin of decisions: what was promised and what came."""
    churned, p = evaluation.outcome[rows], evaluation.product.probability[rows]
    low, high = share_interval(churned, evaluation.customer[rows])
    return {
        "n": len(rows),
        "promised": p.mean(),
        "churned": churned.mean(),
        "churned_low": low,
        "churned_high": high,
    }


def deciles(evaluation: Evaluation) -> list[dict[str, object]]:
    """How many times more than average left in each tenth of the ranking, the highest scores first."""
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
