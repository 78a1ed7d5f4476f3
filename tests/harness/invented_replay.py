"""Synthetic results of a replay: customers arrive, buy at their own pace, and leave.

The probabilities come from a logistic regression on the same rows, so they are calibrated and better than recency, like
those of a real replay. None of the figures is measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.arrays import Floats, Ints
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.events.schema import KINDS
from stream_app.core.units import DAY_US
from stream_app.replay.results import (
    CHURNED,
    OPEN,
    RETAINED,
    AlertRecord,
    Decisions,
    DriftEvent,
    LogFacts,
    Results,
    Version,
)

START = 1_672_531_200_000_000  # 2023-01-01 UTC
SETTINGS: dict[str, object] = {
    "horizon_days": 60.0,
    "active_days": 180.0,
    "every_days": 7.0,
    "lost_after_days": 180.0,
    "capacity": 2,
    "lang": "en",
    "zone": "Asia/Shanghai",
    "currency": "CNY",
}


def results(customers: int = 900, days: int = 540, seed: int = 1, **settings: object) -> Results:
    """Return the results of an invented replay; equal arguments give equal results."""
    rng = np.random.default_rng(seed)
    chosen = SETTINGS | settings
    orders = some_orders(rng, customers, days)
    names = [f"customer-{i:06d}" for i in rng.permutation(customers)]
    decisions = some_decisions(rng, orders, names, days, chosen)
    end = START + days * DAY_US - 1
    alerts = some_alerts(rng, decisions, orders, chosen, end)
    return Results(
        decisions=decisions,
        alerts=alerts,
        drift=[DriftEvent(START + int(days * 0.7) * DAY_US, "log-loss", 0.52, 0.58)],
        versions=some_versions(days),
        log=some_log(orders, names, end),
        orders=orders,
        refunds=no_refunds(),
        importances={f: float(w) for f, w in zip(FEATURES, np.geomspace(0.8, 0.01, len(FEATURES)), strict=True)},
        settings=chosen,
        seed=seed,
        seconds=12.34,
        events_per_second=23_456.7,
        peak_rss_bytes=312_000_000,
        versions_of={"numpy": "2.4.6", "river": "0.26.1"},
        next_list=[a.candidate for a in alerts[-4:] if a.candidate],
        command="stream-app replay shop-2023.jsonl.gz --out OUT --zone Asia/Shanghai",
    )


FEATURES = (
    "recency_days", "orders_90d", "usual_gap_days", "recency_over_gap", "order_days", "money_total",
    "discount_share", "carts_30d", "visits_7d", "visits_30d", "open_complaints", "age_days",
    "returns_share", "gap_trend",
)  # fmt: skip


def no_refunds() -> tuple[Ints, Ints, Floats]:
    """Return the columns of a log in which nothing is taken back."""
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)


def some_orders(rng: np.random.Generator, customers: int, days: int) -> tuple[Ints, Ints, Floats]:
    """Return customer, time and amount of every order, by time: Poisson purchases until the customer leaves."""
    who, at, amount = [], [], []
    for customer in range(customers):
        joined = rng.uniform(0, days * 0.75)
        left = joined + rng.exponential(260)
        gap, spend = rng.gamma(1.1, 60.0) + 6, rng.lognormal(4.5, 0.7)
        day = joined
        while day < min(left, days) or day == joined:
            who.append(customer)
            at.append(START + int(day * 86_400) * 1_000_000)
            amount.append(round(spend * rng.lognormal(0, 0.4), 2))
            day += rng.exponential(gap) + 0.6
    order = np.lexsort((who, at))
    return np.array(who)[order], np.array(at)[order], np.array(amount)[order]


def some_decisions(
    rng: np.random.Generator, orders: tuple[Ints, Ints, Floats], names: list[str], days: int, settings: dict[str, Any]
) -> Decisions:
    """Return a decision per period for every customer with an order in the active window, by time and name."""
    end = START + days * DAY_US - 1
    step, window, horizon = (int(settings[k] * DAY_US) for k in ("every_days", "active_days", "horizon_days"))
    rows: list[tuple[int, int, int, float, float, float, float, float, int]] = []
    for customer in range(len(names)):
        mine = orders[0] == customer
        times, amounts = orders[1][mine], orders[2][mine]
        for t in range(int(times[0]) + step, end + 1, step):
            known = times[times <= t]
            if t - known[-1] > window:
                continue
            n, after = len(known), times[len(known) :]
            gaps = np.diff(known) / DAY_US
            age = max((t - known[0]) / DAY_US, 30.0)
            total = float(amounts[:n].sum())
            churned = not len(after) or after[0] > t + horizon
            label = OPEN if t + horizon > end else CHURNED if churned else RETAINED
            gap = float(gaps.mean()) if n > 1 else float("nan")
            recency = (t - known[-1]) / DAY_US
            rows.append((t, customer, label, recency, n, total, total / age * 30.4, gap, stage_of(n, recency, gap)))
    rank = np.argsort(np.argsort(names))
    rows.sort(key=lambda r: (r[0], rank[r[1]]))
    table = [np.array(column) for column in zip(*rows, strict=True)]
    at, who, labels, silent, count, money, worth, gaps_, stage = table
    experts = some_experts(rng, silent, count, np.nan_to_num(gaps_, nan=45.0), labels)
    warm = at < START + 90 * DAY_US
    return Decisions(
        customer=who, customers=names, decided_at=at, probability=experts.pop("product"), label=labels.astype(np.int8),
        matured_at=at + horizon, source=np.where(warm, 0, 1).astype(np.int8),
        version=((at - START) // (14 * DAY_US)).astype(np.int32), experts=experts, recency_days=silent,
        order_days=count.astype(float), money=money, monthly_worth=worth, usual_gap_days=gaps_,
        stage=stage.astype(np.int8),
    )  # fmt: skip


def stage_of(orders: int, recency: float, gap: float) -> int:
    """Return a plausible lifecycle stage, as its index in STAGES."""
    if orders == 1:
        return 0 if recency < 30 else 1
    if recency > 3 * gap:
        return 4
    return 2 if orders < 4 else 3


def some_experts(rng: np.random.Generator, recency: Floats, count: Ints, gap: Floats, label: Ints) -> dict[str, Floats]:
    """Return probabilities of the product, some experts and baselines."""
    known = label != OPEN
    y = (label[known] == CHURNED).astype(float)
    r, f, ratio = np.log1p(recency), np.log1p(count), np.log1p(recency / gap)
    noise = rng.normal(0, 0.15, len(r))
    columns = {
        "product": (r, f, ratio, r * f, np.log(gap)),
        "linear": (r, f, np.log(gap)),
        "cells": (np.floor(r), f, np.floor(ratio * 2) / 2),
        "forest": (ratio + noise, f),
        "prior": (ratio,),
        "recency": (r,),
    }
    return {name: fitted(np.column_stack(x), known, y) for name, x in columns.items()}


def fitted(x: Floats, known: Any, y: Floats) -> Floats:
    """Return probabilities of a logistic regression fitted to the known rows; shape (n,)."""
    x = np.column_stack((np.ones(len(x)), (x - x.mean(0)) / x.std(0)))
    w = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-x[known] @ w))
        hessian = (x[known] * (p * (1 - p))[:, None]).T @ x[known] + 1e-3 * np.eye(len(w))
        w += np.linalg.solve(hessian, x[known].T @ (y - p))
    return np.asarray(1 / (1 + np.exp(-x @ w)))


def some_alerts(
    rng: np.random.Generator, d: Decisions, orders: tuple[Ints, Ints, Floats], settings: dict[str, Any], end: int
) -> list[AlertRecord]:
    """Return alerts on the riskiest customers of every working day, closed by an order, by time or by a lower risk."""
    capacity, alerts = int(settings["capacity"]), []
    free_at = np.zeros(len(d.customers), np.int64)
    for day in range(60, (end - START) // DAY_US):
        now = START + day * DAY_US + 3_600_000_000
        rows = np.flatnonzero((d.decided_at > now - 7 * DAY_US) & (d.decided_at <= now) & (free_at[d.customer] < now))
        for rank, row in enumerate(rows[np.argsort(-d.probability[rows])][:capacity] if day % 7 < 5 else ()):
            who = int(d.customer[row])
            name, p = d.customers[who], float(d.probability[row])
            later = orders[1][(orders[0] == who) & (orders[1] > now)]
            expires = now + 30 * DAY_US
            returned = len(later) and later[0] < expires
            closes = int(later[0]) if returned else expires
            reason = "returned" if returned else ("fell" if rng.random() < 0.1 else "expired")
            candidate = some_candidate(d, int(row), now)
            opened = AlertRecord(f"{who}-{day}", "opened", name, now, rank + 1, p, "", expires, candidate)
            alerts.append(opened)
            if closes <= end:
                alerts.append(AlertRecord(f"{who}-{day}", "closed", name, closes, rank + 1, p, reason, expires))
            free_at[who] = closes + (5 if reason == "fell" else 60) * DAY_US
    return sorted(alerts, key=lambda a: (a.at, a.alert_id, a.kind))


def some_candidate(d: Decisions, row: int, now: int) -> AlertCandidate:
    """Return the candidate of an alert, with an explanation that depends on the customer's orders."""
    once = bool(np.isnan(d.usual_gap_days[row]))
    causes = ("forgot_shop", "price") if once else ("price", "too_many_choices")
    explanation = Explanation(
        "one_time" if once else "declining",
        (Cause(causes[0], 0.5), Cause(causes[1], 0.25)),
        (Evidence("silence_once", {"days": float(d.recency_days[row])}),) if once else (),
    )
    return AlertCandidate(
        customer=d.customers[int(d.customer[row])],
        at=now,
        rank_value=float(d.probability[row]),
        probability=float(d.probability[row]),
        monthly_worth=float(d.monthly_worth[row]),
        silent_days=float(d.recency_days[row]),
        usual_gap_days=float(d.usual_gap_days[row]),
        source=1,
        version=1,
        explanation=explanation,
        lost_probability=0.7,
        act_by=now + 3 * DAY_US,
    )


def some_versions(days: int) -> list[Version]:
    """Return a version every 14 days; the ensemble shifts from the baseline to the models."""
    found = []
    for number in range(days // 14):
        learned = min(1.0, number / 12)
        raw = {"prior": 1.02 - learned, "linear": 0.3 + 0.4 * learned, "cells": 0.1 + 0.7 * learned, "forest": 0.3}
        total = sum(raw.values())
        weights = {name: w / total for name, w in raw.items()}
        found.append(Version(number, START + number * 14 * DAY_US, number * 700, weights))
    return found


def some_log(orders: tuple[Ints, Ints, Floats], names: list[str], end: int) -> LogFacts:
    """Return facts of a log with orders, browsing and complaints, but without carts."""
    fields = {
        "order": frozenset({"action", "order_id", "amount", "discount", "product_id"}),
        "browsing": frozenset({"page", "product_id", "category", "session_id"}),
        "complaint": frozenset({"form", "action", "complaint_id", "category"}),
    }
    assert set(fields) < set(KINDS)
    return LogFacts(
        files=["exports/shop-2023.jsonl.gz"], events=len(orders[0]) + 91_022, rejected=37, skipped=1204, duplicates=58,
        late=412, first_at=int(orders[1].min()) - 5 * DAY_US, last_at=end,
        kinds={"order": len(orders[0]), "browsing": 90_210, "complaint": 812}, fields=fields,
        customers=len(names) + 240, buyers=len(names), lines=0, unknown_words={}, in_order=True,
    )  # fmt: skip


def with_probability(given: Results, probability: Floats) -> Results:
    return replace(given, decisions=replace(given.decisions, probability=probability))
