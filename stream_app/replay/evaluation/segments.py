"""Customers by RFM segment and by lifecycle stage: number, worth, and calibration.

RFM as used by shops in China: recency, frequency and money, each above or below the median of the active customers,
give eight segments.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.replay.evaluation.calibration import observed
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.worth import newest_decisions, worth_today
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


def medians_of(evaluation: Evaluation, rows: Ints) -> dict[str, float]:
    """Return the medians of recency, frequency and money over the given decisions; 0 if there are none."""
    d = evaluation.results.decisions
    columns = {"recency_days": d.recency_days, "order_days": d.order_days, "money": d.money}
    return {name: float(np.nanmedian(column[rows])) if len(rows) else 0.0 for name, column in columns.items()}


def rfm_of(evaluation: Evaluation, rows: Ints, medians: dict[str, float]) -> Ints:
    """Return the segment of each decision as an index into RFM."""
    d = evaluation.results.decisions
    recent = d.recency_days[rows] <= medians["recency_days"]
    frequent = d.order_days[rows] > medians["order_days"]
    spends = d.money[rows] > medians["money"]
    code = recent * 4 + frequent * 2 + spends
    place = {4 * r + 2 * f + m: i for i, (r, f, m) in enumerate(RFM)}
    return np.array([place[i] for i in range(8)], np.int64)[code]


def segment_tables(evaluation: Evaluation) -> dict[str, object]:
    """Return the tables by RFM segment and lifecycle stage, in a fixed order and without empty segments."""
    now, past = newest_decisions(evaluation), evaluation.rows[evaluation.counted]
    medians, stage = medians_of(evaluation, now), evaluation.results.decisions.stage
    rfm = table(evaluation, list(RFM.values()), rfm_of(evaluation, now, medians), rfm_of(evaluation, past, medians))
    lifecycle = table(evaluation, list(STAGES), stage[now].astype(np.int64), stage[past].astype(np.int64))
    return {"rfm_thresholds": medians, "rfm": rfm, "lifecycle": lifecycle}


def table(evaluation: Evaluation, names: list[str], now: Ints, past: Ints) -> list[dict[str, object]]:
    """Return one entry per segment, with its active customers and the calibration of its evaluated decisions."""
    worth = worth_today(evaluation, evaluation.results.decisions.customer[newest_decisions(evaluation)])
    return [
        {"segment": name, **today(evaluation, now == i, worth), **measured(evaluation, np.flatnonzero(past == i))}
        for i, name in enumerate(names)
        if i in now or i in past
    ]


def today(evaluation: Evaluation, mine: Bools, worth: Floats) -> dict[str, object]:
    """Return the statistics of a segment's active customers at the end of the log.

    Args:
        evaluation: of the replay.
        mine: which of the active customers belong to the segment.
        worth: monthly worth of all active customers.
    """
    d, rows = evaluation.results.decisions, newest_decisions(evaluation)[mine]
    worth, p = worth[mine], d.probability[rows]
    lost = None if d.lost_probability is None else d.lost_probability[rows]
    return {
        "customers": len(rows),
        "share": mine.mean() if len(mine) else None,
        "risk": p.mean() if len(rows) else None,
        "lost_probability": lost.mean() if lost is not None and len(rows) else None,
        "monthly_worth": worth.sum(),
        "monthly_worth_expected_lost": None if lost is None else (worth * lost).sum(),
    }


def measured(evaluation: Evaluation, rows: Ints) -> dict[str, object]:
    """Return the predicted and observed churn of a segment's evaluated decisions."""
    return {"decisions": len(rows), **observed(evaluation, rows)}
