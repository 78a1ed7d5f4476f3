"""Why lost customers left, by the explanations of their alerts, and samples of alerts. Without customer ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.causes.explanation import Evidence
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.call_days import Calls
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.silences import Silences

SAMPLES: Final = 3
ONE_TIME: Final = "one_time"
Explained = tuple[AlertCandidate, float]  # the first alert in a lost silence, and the monthly worth that was lost


def reason_figures(evaluation: Evaluation, silences: Silences) -> dict[str, object]:
    """Return the causes for which customers left, the dearest first.

    A customer counts for each cause with its probability. Only lost silences with an alert have an explanation.
    """
    explained = explained_losses(evaluation, silences)
    causes = sorted({cause.key for one, _ in explained for cause in one.explanation.causes})
    rows = [cause_figures(cause, explained) for cause in causes]
    rows.sort(key=lambda row: (-float(row["monthly_worth"]), -float(row["customers"]), str(row["cause"])))  # type: ignore[arg-type]
    return {
        "explained": len(explained),
        "of": silences.count,
        "monthly_worth": sum(worth for _, worth in explained),
        "causes": rows,
    }


def explained_losses(evaluation: Evaluation, silences: Silences) -> list[Explained]:
    """Return the first alert in each lost silence, with the silence's worth."""
    index = {name: i for i, name in enumerate(evaluation.results.decisions.customers)}
    alerts = [
        (a.at, index[a.customer_id], a.candidate)
        for a in evaluation.results.alerts
        if a.candidate is not None and a.customer_id in index and a.candidate.explanation.causes
    ]
    alerts.sort(key=lambda alert: alert[:2])
    calls = Calls(np.array([who for _, who, _ in alerts], np.int64), np.array([at for at, _, _ in alerts], np.int64))
    order = silences.orders.last_before(calls.customer, calls.at - 1)
    found: dict[int, AlertCandidate] = {}
    for place, (_, _, candidate) in zip(order.tolist(), alerts, strict=True):
        if place >= 0 and silences.lost[place]:
            found.setdefault(place, candidate)
    return [(candidate, float(silences.worth[place])) for place, candidate in sorted(found.items())]


def cause_figures(cause: str, explained: Sequence[Explained]) -> dict[str, object]:
    """Return the customers and the worth lost for one cause, by one-time and repeat buyers, and its evidence."""
    customers = {True: 0.0, False: 0.0}
    worth = {True: 0.0, False: 0.0}
    likeliest = []
    for one, lost in explained:
        probability = {each.key: each.probability for each in one.explanation.causes}.get(cause, 0.0)
        once = is_one_time(one)
        customers[once] += probability
        worth[once] += probability * lost
        if one.explanation.causes[0].key == cause:
            likeliest.append(one)
    return {
        "cause": cause,
        "customers": sum(customers.values()),
        "monthly_worth": sum(worth.values()),
        "one_time": {"customers": customers[True], "monthly_worth": worth[True]},
        "repeat": {"customers": customers[False], "monthly_worth": worth[False]},
        "likeliest_for": len(likeliest),
        "segment": most_frequent([one.explanation.segment for one in likeliest]),
        "evidence": frequent_evidence(likeliest),
    }


def is_one_time(candidate: AlertCandidate) -> bool:
    """Return whether an alert is for a one-time buyer, who has no gap between orders."""
    return bool(np.isnan(candidate.usual_gap_days))


def most_frequent(names: Sequence[str]) -> str | None:
    """Return the most frequent name, the first in the alphabet among equal ones; None if there are none."""
    return min(Counter(names).items(), key=lambda item: (-item[1], item[0]))[0] if names else None


def frequent_evidence(alerts: Sequence[AlertCandidate]) -> dict[str, object] | None:
    """Return the most frequent evidence of some alerts, with the medians of its numbers and the share that has it."""
    found: dict[str, list[Evidence]] = {}
    for alert in alerts:
        for evidence in alert.explanation.evidence:
            found.setdefault(evidence.rule, []).append(evidence)
    if not found:
        return None
    rule = min(found, key=lambda name: (-len(found[name]), name))
    names = sorted(found[rule][0].numbers)
    medians = {name: float(np.median([one.numbers.get(name, 0.0) for one in found[rule]])) for name in names}
    return {"rule": rule, "numbers": medians, "share": len(found[rule]) / len(alerts)}


def sample_alerts(evaluation: Evaluation) -> list[dict[str, object]]:
    """Return up to three alerts with different likeliest causes: from the next list, or else the latest ones."""
    latest = [a.candidate for a in reversed(evaluation.results.alerts) if a.candidate is not None]
    chosen: dict[str, AlertCandidate] = {}
    for candidate in (*evaluation.results.next_list, *latest):
        if candidate.explanation.causes:
            chosen.setdefault(candidate.explanation.causes[0].key, candidate)
        if len(chosen) == SAMPLES:
            break
    return [sample(evaluation, candidate) for candidate in chosen.values()]


def sample(evaluation: Evaluation, candidate: AlertCandidate) -> dict[str, object]:
    """Return an alert without its customer."""
    explanation, zone = candidate.explanation, evaluation.protocol.zone
    return {
        "on": iso_day(candidate.at, zone),
        "segment": explanation.segment,
        "silent_days": candidate.silent_days,
        "usual_gap_days": candidate.usual_gap_days,
        "monthly_worth": candidate.monthly_worth,
        "probability": candidate.probability,
        "lost_probability": candidate.lost_probability if candidate.act_by else None,
        "call_within_days": (candidate.act_by - candidate.at) / DAY_US if candidate.act_by else None,
        "causes": [{"cause": one.key, "probability": one.probability} for one in explanation.causes],
        "evidence": [{"rule": one.rule, "numbers": dict(one.numbers)} for one in explanation.evidence],
    }


def next_list_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the size and the worth of the first list after the log."""
    found = evaluation.results.next_list
    return {
        "on": iso_day(found[0].at, evaluation.protocol.zone) if found else None,
        "calls": len(found),
        "monthly_worth": sum(one.monthly_worth for one in found),
    }
