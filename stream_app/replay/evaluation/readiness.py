"""Whether there is enough data to rely on the scores, and if not, when there will be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any, Final

import numpy as np

from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import local
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.evaluation.intervals import auc_difference
from stream_app.replay.results import CHURNED, RETAINED

MIN_BUYERS: Final = 500
MIN_LABELS: Final = 100  # minimum labels of each outcome
NEVER_DAYS: Final = 3650  # longer forecasts (over ten years) are not shown


def readiness(evaluation: Evaluation, calls: Mapping[str, Any]) -> dict[str, object]:
    """Return the conditions with their values, minimums, and the days until they are met at the current growth.

    Args:
        evaluation: of the replay.
        calls: result of `call_figures`.
    """
    label, log = evaluation.results.decisions.label, evaluation.results.log
    span = max((evaluation.end_at - log.first_at) / DAY_US, 1.0)
    horizon = evaluation.protocol.horizon_days
    conditions = [
        condition("buyers", log.buyers, MIN_BUYERS, span),
        condition("churned_labels", int((label == CHURNED).sum()), MIN_LABELS, max(span - horizon, 1.0)),
        condition("retained_labels", int((label == RETAINED).sum()), MIN_LABELS, max(span - horizon, 1.0)),
        better_than_recency(evaluation),
        *([better_than_rules(evaluation, calls)] if evaluation.plans_calls else []),
    ]
    waits = [c["days_to_go"] for c in conditions if not c["met"]]
    known = [w for w in waits if isinstance(w, int)]
    wait = max(known) if waits and len(known) == len(waits) else None
    end = local(evaluation.end_at, evaluation.protocol.zone)
    return {
        "ready": not waits,
        "conditions": conditions,
        "days_to_go": 0 if not waits else wait,
        "expected_on": (end + timedelta(days=wait)).date().isoformat() if wait is not None else None,
    }


def condition(name: str, have: int, need: int, days: float) -> dict[str, object]:
    """Return a count with its minimum and the number of days until it is met at the current growth.

    >>> condition("buyers", 250, 500, 100.0)["days_to_go"]
    100
    """
    wait = ceil((need - have) / (have / days)) if 0 < have < need else None
    return {
        "name": name,
        "have": have,
        "need": need,
        "met": have >= need,
        "days_to_go": 0 if have >= need else wait if wait is not None and wait <= NEVER_DAYS else None,
    }


def better_than_recency(evaluation: Evaluation) -> dict[str, object]:
    """Return whether the score ranks significantly better than "longest silence first" (interval above zero).

    The interval narrows with the square root of time, from which the day of significance is estimated.
    """
    difference, low, high = auc_difference(evaluation.product, evaluation.recency, evaluation.customer)
    met = bool(low > 0)
    half, elapsed = high - difference, (evaluation.end_at - evaluation.warm_at) / DAY_US
    wait = None
    if not met and np.isfinite(half) and difference > 0:
        wait = ceil(elapsed * ((half / difference) ** 2 - 1))
    return {
        "name": "better_than_recency",
        "have": difference,
        "need": 0.0,
        "low": low,
        "high": high,
        "met": met,
        "days_to_go": 0 if met else wait if wait is not None and wait <= NEVER_DAYS else None,
    }


def better_than_rules(evaluation: Evaluation, calls: Mapping[str, Any]) -> dict[str, object]:
    """Return whether planned calls reach significantly more than those of the best rule (lower end above 1).

    The figure is worth, or people if calls are planned for people or the log has no amounts.
    """
    own = next((row for row in calls["ladder"] if row["from_alerts"]), None)
    found = own["against_best_rule"][calls["measure"]] if own else {}
    ratio, low, high = (float("nan" if found.get(key) is None else found[key]) for key in ("ratio", "low", "high"))
    met, elapsed, wait = bool(low > 1), (evaluation.end_at - evaluation.warm_at) / DAY_US, None
    if not met and np.isfinite(low) and ratio > 1:
        wait = ceil(elapsed * (((ratio - low) / (ratio - 1)) ** 2 - 1))
    return {
        "name": "better_than_rules",
        "have": ratio,
        "need": 1.0,
        "low": low,
        "high": high,
        "measure": calls["measure"],
        "rule": own["best_rule"][calls["measure"]] if own else None,
        "met": met,
        "days_to_go": 0 if met else wait if wait is not None and wait <= NEVER_DAYS else None,
    }
