"""Why lost customers left, samples of alerts and the next list, on small known cases."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.evaluation import Evaluation, evaluate
from stream_app.replay.evaluation.reasons import next_list_figures, reason_figures, sample_alerts
from stream_app.replay.evaluation.silences import find_silences
from stream_app.replay.results import AlertRecord, Results
from tests.harness.invented_replay import START, no_refunds, results

ONCE, OFTEN = float("nan"), 20.0


@pytest.fixture(scope="module")
def replayed() -> Results:
    """Provide a replay of 450 days in which customers 0 and 1 are lost and customer 2 returns."""
    given = results(customers=300, days=450, seed=3)
    customer, days = np.array([9, 0, 1, 2, 2]), np.array([0, 100, 100, 100, 200])
    return replace(given, orders=(customer, START + days * DAY_US, np.full(5, 60.0)), refunds=no_refunds())


def alert(given: Results, who: int, day: int, gap: float, *causes: tuple[str, float], days: float = 0.0) -> AlertRecord:
    evidence = (Evidence("silence", {"days": days}),) if days else ()
    explanation = Explanation("one_time", tuple(Cause(*one) for one in causes), evidence)
    name, at = given.decisions.customers[who], START + day * DAY_US
    candidate = AlertCandidate(name, at, 0.5, 0.6, 10.0, 50.0, gap, 1, 1, explanation=explanation)
    return AlertRecord(f"{who}-{day}", "opened", name, at, 1, 0.6, "", candidate=candidate)


def evaluated(given: Results, *alerts: AlertRecord) -> Evaluation:
    return evaluate(replace(given, alerts=list(alerts), next_list=[]))


def test_customers_count_for_each_cause_with_its_probability(replayed: Results) -> None:
    alerts = [
        alert(replayed, 0, 150, ONCE, ("forgot_shop", 0.5), ("price", 0.25), days=50.0),
        alert(replayed, 0, 170, ONCE, ("natural", 1.0)),  # the second alert in a silence does not count
        alert(replayed, 1, 150, OFTEN, ("price", 0.75), ("forgot_shop", 0.25)),
        alert(replayed, 2, 150, OFTEN, ("privacy", 1.0)),  # not lost
    ]
    evaluation = evaluated(replayed, *alerts)
    silences = find_silences(evaluation, first_call=START + 50 * DAY_US)
    found: Any = reason_figures(evaluation, silences)
    worth = 60.0 / 60 * 30.44
    assert (found["explained"], found["of"]) == (2, silences.count)
    assert found["monthly_worth"] == pytest.approx(2 * worth)
    price, forgot = found["causes"]
    assert (price["cause"], price["customers"], price["likeliest_for"]) == ("price", 1.0, 1)
    assert price["one_time"] == {"customers": 0.25, "monthly_worth": pytest.approx(0.25 * worth)}
    assert price["repeat"] == {"customers": 0.75, "monthly_worth": pytest.approx(0.75 * worth)}
    assert price["evidence"] is None
    assert forgot["monthly_worth"] == pytest.approx(0.75 * worth)
    assert forgot["evidence"] == {"rule": "silence", "numbers": {"days": 50.0}, "share": 1.0}


def test_no_alerts_give_no_causes(replayed: Results) -> None:
    evaluation = evaluated(replayed)
    found: Any = reason_figures(evaluation, find_silences(evaluation, START))
    assert (found["explained"], found["causes"]) == (0, [])


def test_samples_differ_in_their_likeliest_cause_and_name_nobody(replayed: Results) -> None:
    causes = ["price", "natural", "price", "privacy", "service"]
    alerts = [alert(replayed, who, who + 1, ONCE, (cause, 0.9)) for who, cause in enumerate(causes)]
    evaluation = evaluated(replayed, *alerts)
    found: Any = sample_alerts(evaluation)
    assert [one["causes"][0]["cause"] for one in found] == ["service", "privacy", "price"]  # the latest first
    assert "customer-" not in json.dumps(found)
    listed = replace(evaluation.results, next_list=[alerts[1].candidate])  # type: ignore[list-item]
    first: Any = sample_alerts(evaluate(listed))
    assert first[0]["causes"][0]["cause"] == "natural"


def test_the_next_list_is_counted(replayed: Results) -> None:
    one = alert(replayed, 0, 451, ONCE, ("price", 0.9)).candidate
    assert one
    given = evaluate(replace(replayed, next_list=[one, one]))
    assert next_list_figures(given) == {"on": "2024-03-27", "calls": 2, "monthly_worth": 20.0}
    assert next_list_figures(evaluated(replayed))["on"] is None
