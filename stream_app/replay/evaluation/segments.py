"""Customers by RFM segment and by lifecycle stage: number, revenue at risk, and calibration.

RFM as used by shops in China: recency, frequency and money, each above or below the median of the active customers,
give eight segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Ints
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.intervals import share_interval
from stream_app.replay.evaluation.worth import newest_decisions
from stream_app.replay.results import STAGES

# (recent, frequent, high spending) -> key, in report order
RFM: Final[dict[tuple[bool, bool, bool], str]] = {
    (True, True, True): "champions",
    (False, True, True): "must_keep",
    (True, False, True): "must_grow",
    (False, False, True): "must_win_back",
    (True, True, False): "regulars",
    (False, True, False): "fading_regulars",
    (True, False, False): "newcomers",
    (False, False, False): "fading",
}


@dataclass(frozen=True)
class Medians:
    """Medians of the active customers, which separate high from low values."""

    recency_days: float
    order_days: float
    money: float


def medians_of(evaluation: Evaluation, rows: Ints) -> Medians:
    """Return the medians of the given decisions."""
    d = evaluation.results.decisions
    if not len(rows):
        return Medians(0.0, 0.0, 0.0)
    return Medians(*(float(np.nanmedian(column[rows])) for column in (d.recency_days, d.order_days, d.money)))


def rfm_of(evaluation: Evaluation, rows: Ints, medians: Medians) -> Ints:
    """Return the segment of each decision as an index into RFM."""
    d = evaluation.results.decisions
    recent = d.recency_days[rows] <= medians.recency_days
    frequent = d.order_days[rows] > medians.order_days
    spends = d.money[rows] > medians.money
    code = recent * 4 + frequent * 2 + spends
    place = {4 * r + 2 * f + m: i for i, (r, f, m) in enumerate(RFM)}
    return np.array([place[i] for i in range(8)], np.int64)[code]


def segment_tables(evaluation: Evaluation) -> dict[str, object]:
    """Return the tables by RFM segment and lifecycle stage, in a fixed order and without empty segments."""
    now, past = newest_decisions(evaluation), evaluation.rows[evaluation.counted]
    medians, stage = medians_of(evaluation, now), evaluation.results.decisions.stage
    rfm = table(evaluation, list(RFM.values()), rfm_of(evaluation, now, medians), rfm_of(evaluation, past, medians))
    lifecycle = table(evaluation, list(STAGES), stage[now].astype(np.int64), stage[past].astype(np.int64))
    thresholds = {"recency_days": medians.recency_days, "order_days": medians.order_days, "money": medians.money}
    return {"rfm_thresholds": thresholds, "rfm": rfm, "lifecycle": lifecycle}


def table(evaluation: Evaluation, names: list[str], now: Ints, past: Ints) -> list[dict[str, object]]:
    """Return one entry per segment, with its active customers and the calibration of its evaluated decisions."""
    entries = []
    for i, name in enumerate(names):
        if (now == i).any() or (past == i).any():
            entries.append({"segment": name, **today(evaluation, now == i), **measured(evaluation, past == i)})
    return entries


def today(evaluation: Evaluation, mine: Bools) -> dict[str, object]:
    """Return the statistics of a segment's active customers at the end of the log."""
    d, rows = evaluation.results.decisions, newest_decisions(evaluation)[mine]
    worth, p = np.nan_to_num(d.monthly_worth[rows]), d.probability[rows]
    return {
        "customers": len(rows),
        "share": mine.mean() if len(mine) else None,
        "risk": p.mean() if len(rows) else None,
        "monthly_worth": worth.sum(),
        "monthly_worth_at_risk": (worth * p).sum(),
    }


def measured(evaluation: Evaluation, mine: Bools) -> dict[str, object]:
    """Return the predicted and observed churn of a segment's evaluated decisions."""
    churned, p = evaluation.outcome[mine], evaluation.product.probability[mine]
    low, high = share_interval(churned, evaluation.customer[mine])
    return {
        "decisions": len(churned),
        "promised": p.mean() if len(p) else None,
        "churned": churned.mean() if len(p) else None,
        "churned_low": low,
        "churned_high": high,
    }
