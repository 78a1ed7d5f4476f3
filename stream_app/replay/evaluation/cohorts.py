"""Retention of cohorts by month of the first order, and monthly churn rates, in the shop's time zone."""

from __future__ import annotations

import numpy as np

from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import month_starts
from stream_app.replay.evaluation.evaluation import Evaluation


def cohort_retention(evaluation: Evaluation) -> dict[str, object]:
    """Return the share of each month's new buyers who ordered in each later month, excluding the incomplete last month.

    `retention[i][k]` is the share of cohort i with an order k months later. Months without new buyers have size 0 and
    an empty row.
    """
    customer, at, _ = evaluation.results.orders
    starts, names = month_starts(int(at.min()), evaluation.end_at, evaluation.protocol.zone)
    months = len(starts) - 1
    month = np.searchsorted(starts, at, side="right") - 1
    first = np.full(len(evaluation.results.decisions.customers), months)
    np.minimum.at(first, customer, month)
    active = np.zeros((months, months), np.int64)
    pairs = np.unique(np.column_stack((customer, month)), axis=0)
    np.add.at(active, (first[pairs[:, 0]], pairs[:, 1]), 1)
    sizes = np.diag(active).tolist()
    complete = months if starts[-1] - evaluation.end_at <= DAY_US else months - 1
    retention = [[active[i, k] / size for k in range(i, complete)] if size else [] for i, size in enumerate(sizes)]
    return {"months": names[:complete], "sizes": sizes[:complete], "retention": retention[:complete]}


def churn_by_month(evaluation: Evaluation) -> list[dict[str, object]]:
    """Return the churn rate of each complete month: customers lost in the month ÷ customers at its start."""
    orders, lost_after = evaluation.orders, evaluation.protocol.lost_after_us
    starts, names = month_starts(int(orders.at.min()), evaluation.end_at, evaluation.protocol.zone)
    noticed = np.where(orders.silence >= lost_after, orders.at + lost_after, np.iinfo(np.int64).max)
    leaves = np.minimum(noticed, orders.at + orders.silence)
    entries: list[dict[str, object]] = []
    for start, end, name in zip(starts[:-1], starts[1:], names, strict=False):
        if start - lost_after < orders.at.min() or end > evaluation.end_at + DAY_US:
            continue
        customers = int(((orders.at < start) & (leaves >= start)).sum())
        lost = int(((orders.at < start) & (noticed >= start) & (noticed < end)).sum())
        if customers:
            entries.append({"month": name, "customers": customers, "lost": lost, "churn_rate": lost / customers})
    return entries


def repurchase(evaluation: Evaluation) -> dict[str, object]:
    """Return the number of buyers and the share of them with two or more orders."""
    customer, _, _ = evaluation.results.orders
    counts = np.bincount(customer) if len(customer) else np.zeros(0, np.int64)
    buyers = int((counts > 0).sum())
    return {"buyers": buyers, "repurchase_rate": (counts > 1).sum() / buyers if buyers else None}
