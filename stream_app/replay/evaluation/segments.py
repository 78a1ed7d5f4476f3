"""Customers by RFM and by lifecycle stage: how many, how much at risk, and how well the promise held in each.

RFM as shops in China use it: recency, frequency and money each above or below the middle of the active customers,
which makes eight segments. Worth is judged on all three, never on money alone.
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

# (recent, frequent, spends much) -> key; the order is that of the report.
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
class Middle:
    """What separates high from low, taken from the active customers of today."""

    recency_days: float
    order_days: float
    money: float


def middle_of(evaluation: Evaluation, rows: Ints) -> Middle:
    """Medians of the given decisions."""
    d = evaluation.results.decisions
    if not len(rows):
        return Middle(0.0, 0.0, 0.0)
    return Middle(*(float(np.nanmedian(column[rows])) for column in (d.recency_days, d.order_days, d.money)))


def rfm_of(evaluation: Evaluation, rows: Ints, middle: Middle) -> Ints:
    """The segment of each decision, as its place in RFM."""
    d = evaluation.results.decisions
    recent = d.recency_days[rows] <= middle.recency_days
    frequent = d.order_days[rows] > middle.order_days
    spends = d.money[rows] > middle.money
    code = recent * 4 + frequent * 2 + spends
    place = {4 * r + 2 * f + m: i for i, (r, f, m) in enumerate(RFM)}
    return np.array([place[i] for i in range(8)], np.int64)[code]


def segment_tables(evaluation: Evaluation) -> dict[str, object]:
    """The tables of both ways to cut, segments in a fixed order, empty ones left out."""
    now, past = newest_decisions(evaluation), evaluation.rows[evaluation.counted]
    middle, stage = middle_of(evaluation, now), evaluation.results.decisions.stage
    rfm = table(evaluation, list(RFM.values()), rfm_of(evaluation, now, middle), rfm_of(evaluation, past, middle))
    lifecycle = table(evaluation, list(STAGES), stage[now].astype(np.int64), stage[past].astype(np.int64))
    thresholds = {"recency_days": middle.recency_days, "order_days": middle.order_days, "money": middle.money}
    return {"rfm_thresholds": thresholds, "rfm": rfm, "lifecycle": lifecycle}


def table(evaluation: Evaluation, names: list[str], now: Ints, past: Ints) -> list[dict[str, object]]:
    """One entry a segment: today's customers, and the evaluated decisions' promise against what came."""
    entries = []
    for i, name in enumerate(names):
        if (now == i).any() or (past == i).any():
            entries.append({"segment": name, **today(evaluation, now == i), **measured(evaluation, past == i)})
    return entries


def today(evaluation: Evaluation, mine: Bools) -> dict[str, object]:
    """A segment's active customers at the log's end."""
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
    """What was promised to a segment's evaluated decisions, and what came."""
    churned, p = evaluation.outcome[mine], evaluation.product.probability[mine]
    low, high = share_interval(churned, evaluation.customer[mine])
    return {
        "decisions": len(churned),
        "promised": p.mean() if len(p) else None,
        "churned": churned.mean() if len(p) else None,
        "churned_low": low,
        "churned_high": high,
    }
