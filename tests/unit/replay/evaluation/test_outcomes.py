"""Alerts, cohorts, money, segments, readiness and support, on small known cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from stream_app.core.events.schema import KINDS
from stream_app.core.units import DAY_US, micros
from stream_app.replay.evaluation import metrics
from stream_app.replay.evaluation.alerts import alert_figures, flaps
from stream_app.replay.evaluation.calendar import call_times, local, month_starts
from stream_app.replay.evaluation.call_figures import call_figures
from stream_app.replay.evaluation.cohorts import churn_by_month, cohort_retention, repurchase
from stream_app.replay.evaluation.evaluation import Evaluation, evaluate
from stream_app.replay.evaluation.models import model_figures
from stream_app.replay.evaluation.readiness import condition, readiness
from stream_app.replay.evaluation.segments import RFM, segment_tables
from stream_app.replay.evaluation.support import FIELD_GROUPS, support_figures
from stream_app.replay.evaluation.worth import money_figures, newest_decisions
from stream_app.replay.results import AlertRecord, DriftEvent, LogFacts, Results
from tests.harness.invented_replay import START, results


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(results(customers=300, days=450, seed=3))


def with_orders(given: Results, orders: list[tuple[int, float]]) -> Results:
    """Return the same replay with other orders: (customer, day since the start)."""
    customer = np.array([c for c, _ in orders], np.int64)
    at = np.array([START + int(day * DAY_US) for _, day in orders], np.int64)
    return replace(given, orders=(customer, at, np.full(len(at), 10.0)))


# --- the calendar -----------------------------------------------------------------------------------------------------


def test_days_and_months_are_in_the_shops_time_zone() -> None:
    zone = ZoneInfo("Europe/Berlin")  # the clock changes on 31 March 2024
    first, last = (micros(datetime(2024, 3, day, 12, tzinfo=zone)) for day in (30, 31))
    listed = call_times(first - DAY_US // 2, last, zone, tuple(range(7)), 9)
    assert np.diff(listed).tolist() == [23 * 3_600_000_000]
    months, names = month_starts(first, last, zone)
    assert names == ["2024-03", "2024-04"]
    assert local(int(months[1]), zone).isoformat() == "2024-04-01T00:00:00+02:00"


def test_lists_come_on_working_days_at_the_shops_hour() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    monday = micros(datetime(2024, 4, 1, tzinfo=zone))
    times = call_times(monday, monday + 14 * DAY_US - 1, zone, (0, 2), 9)
    said = [local(int(t), zone).strftime("%a %H:%M") for t in times]
    assert said == ["Mon 09:00", "Wed 09:00"] * 2


# --- alerts -----------------------------------------------------------------------------------------------------------


def alert(kind: str, day: float, reason: str = "", customer: str = "a") -> AlertRecord:
    return AlertRecord(f"{customer}-{day}", kind, customer, START + int(day * DAY_US), 1, 0.9, reason)


@pytest.mark.parametrize(
    ("reason", "reopened", "flapped"),
    [("fell", 5, 1), ("expired", 5, 1), ("fell", 30, 0), ("returned", 5, 0), ("lost", 5, 0)],
)
def test_an_alert_that_opens_again_soon_without_cause_flaps(reason: str, reopened: float, flapped: int) -> None:
    other = alert("opened", 11, customer="b")
    course = [alert("opened", 1), alert("closed", 10, reason), alert("opened", 10 + reopened), other]
    assert flaps(course, START) == flapped


def test_alerts_are_counted_by_customers_and_days(evaluation: Evaluation) -> None:
    name = evaluation.results.decisions.customers[0]
    opened = [replace(alert("opened", day), customer_id=name) for day in (10, 300, 310)]
    some = replace(evaluation, results=replace(evaluation.results, alerts=opened))
    figures: Any = alert_figures(some)
    customer_days = (evaluation.results.decisions.decided_at >= evaluation.warm_at).sum() * 7
    assert figures["opened"] == 2  # the one on day 10 lies in the warm-up
    assert figures["per_1000_customers_and_day"] == pytest.approx(2000 / customer_days)


def test_opened_and_closed_alerts_add_up(evaluation: Evaluation) -> None:
    found: Any = alert_figures(evaluation)
    alerts = evaluation.results.alerts
    for counts in (found, found["warm_up"]):
        assert counts["opened"] == sum(counts["closed"].values()) + counts["still_open"]
        assert counts["opened"] > 0
    closed = sum(found["closed"].values()) + sum(found["warm_up"]["closed"].values())
    assert closed == sum(a.kind == "closed" for a in alerts)
    late = [a for a in alerts if a.kind == "closed" and a.at >= evaluation.warm_at]
    assert len(late) > sum(found["closed"].values())  # some closings after the warm-up belong to alerts before its end


# --- the shop ---------------------------------------------------------------------------------------------------------


def test_cohorts_by_hand(evaluation: Evaluation) -> None:
    """The factory starts on 1 January 2023 UTC, 08:00 in the shop, and covers more than 400 days."""
    given = with_orders(evaluation.results, [(0, 1), (1, 2), (0, 40), (2, 45), (2, 70), (1, 75)])
    found: Any = cohort_retention(evaluate(given))
    assert found["months"][:3] == ["2023-01", "2023-02", "2023-03"]
    assert found["sizes"][:3] == [2, 1, 0]
    assert found["retention"][0][:4] == [1.0, 0.5, 0.5, 0.0]
    assert found["retention"][1][:2] == [1.0, 1.0]
    assert found["retention"][2] == []
    assert repurchase(evaluate(given)) == {"buyers": 3, "repurchase_rate": 1.0}


def test_a_month_begins_in_the_shops_time_zone(evaluation: Evaluation) -> None:
    """30 January, 17:00 UTC is the 31st in Shanghai; a day later it is February there."""
    given = with_orders(evaluation.results, [(0, 29.71), (1, 30.71)])
    found: Any = cohort_retention(evaluate(given))
    assert (found["months"][:2], found["sizes"][:2]) == (["2023-01", "2023-02"], [1, 1])


def test_the_monthly_churn_rate_by_hand(evaluation: Evaluation) -> None:
    """Ten customers by mid January, five of them silent from then on: lost after 180 days, in July."""
    days = [(c, 14.0) for c in range(10)] + [(c, day) for c in range(5, 10) for day in (100.0, 200.0, 300.0, 400.0)]
    given = evaluate(with_orders(evaluation.results, days))
    rates: Any = {row["month"]: row for row in churn_by_month(given)}
    assert rates["2023-08"] == {"month": "2023-08", "customers": 5, "lost": 0, "churn_rate": 0.0}
    assert "2023-06" not in rates
    given = evaluate(with_orders(evaluation.results, [(99, 0.0), (99, 30.0), *days]))
    rates = {row["month"]: row for row in churn_by_month(given)}
    assert (rates["2023-07"]["customers"], rates["2023-07"]["lost"]) == (11, 6)


def test_segments_share_out_the_active_customers_and_their_worth(evaluation: Evaluation) -> None:
    tables: Any = segment_tables(evaluation)
    money: Any = money_figures(evaluation)
    for table in (tables["rfm"], tables["lifecycle"]):
        assert sum(row["customers"] for row in table) == money["active_customers"]
        assert sum(row["decisions"] for row in table) == evaluation.counted.sum()
        assert sum(row["monthly_worth"] for row in table) == pytest.approx(money["monthly_worth"])
    risk = {row["segment"]: row["risk"] for row in tables["rfm"]}
    assert risk["champions"] < risk["must_keep"]
    assert len(RFM) == len(set(RFM.values())) == 8


def test_todays_customers_are_those_with_a_current_score(evaluation: Evaluation) -> None:
    d, rows = evaluation.results.decisions, newest_decisions(evaluation)
    assert len(np.unique(d.customer[rows])) == len(rows)
    assert (d.decided_at[rows] > evaluation.end_at - 11 * DAY_US).all()
    for row in rows[:20]:
        assert d.decided_at[row] == d.decided_at[d.customer == d.customer[row]].max()


def test_the_currency_is_the_logs_own_if_none_is_given(evaluation: Evaluation) -> None:
    def currency(given: str, found: dict[str, int]) -> object:
        log = msgspec.structs.replace(evaluation.results.log, currencies=found)
        settings = evaluation.results.settings | {"currency": given}
        return money_figures(replace(evaluation, results=replace(evaluation.results, log=log, settings=settings)))[
            "currency"
        ]

    assert currency("", {"GBP": 3}) == "GBP"
    assert currency("CNY", {"GBP": 3}) == "CNY"
    assert currency("", {"GBP": 3, "EUR": 1}) == ""
    assert currency("", {}) == ""


def test_an_improvement_is_not_a_drift(evaluation: Evaluation) -> None:
    worse, better = DriftEvent(START, "log-loss", 0.5, 0.6), DriftEvent(START, "log-loss", 0.6, 0.5)
    given = replace(evaluation, results=replace(evaluation.results, drift=[better, worse]))
    found: Any = model_figures(given)["drift"]
    assert [(one["before"], one["after"]) for one in found] == [(0.5, 0.6)]


# --- readiness --------------------------------------------------------------------------------------------------------


def test_ready_needs_every_condition(evaluation: Evaluation) -> None:
    logs = [msgspec.structs.replace(evaluation.results.log, buyers=buyers) for buyers in (500, 499)]
    enough, few = (replace(evaluation, results=replace(evaluation.results, log=log)) for log in logs)
    assert readiness(enough, call_figures(enough))["ready"]
    found: Any = readiness(few, call_figures(few))
    assert [c["name"] for c in found["conditions"] if not c["met"]] == ["buyers"]
    assert found["days_to_go"] == 1


def test_a_score_that_is_only_recency_is_not_ready(evaluation: Evaluation) -> None:
    d = evaluation.results.decisions
    plain = evaluate(replace(evaluation.results, decisions=replace(d, probability=d.recency_days / 400)))
    found: Any = readiness(plain, call_figures(plain))
    assert not found["ready"]
    assert found["conditions"][-1] | {"name": "better_than_recency", "have": 0, "met": False} == found["conditions"][-1]
    assert found["expected_on"] is None


def row_against(low: float, ratio: float) -> dict[str, Any]:
    against = {"worth": {"ratio": ratio, "low": low, "high": 2.0}}
    row = {"from_alerts": True, "against_best_rule": against, "best_rule": {"worth": "due_7"}}
    return {"measure": "worth", "ladder": [row]}


def test_planned_calls_must_reach_more_than_the_best_rule(evaluation: Evaluation) -> None:
    d = evaluation.results.decisions
    settings = evaluation.results.settings | {"rank_by": "worth"}
    log = msgspec.structs.replace(evaluation.results.log, buyers=500)
    planned = replace(d, lost_probability=d.probability)
    given = evaluate(replace(evaluation.results, decisions=planned, settings=settings, log=log))
    better, equal, unknown = (
        readiness(given, calls)
        for calls in (row_against(1.001, 1.1), row_against(1.0, 1.1), {"measure": "worth", "ladder": []})
    )
    assert [one["ready"] for one in (better, equal, unknown)] == [True, False, False]
    assert equal["expected_on"]
    assert unknown["expected_on"] is None


def test_nothing_grows_from_nothing() -> None:
    assert condition("buyers", 0, 500, 100.0)["days_to_go"] is None
    assert condition("buyers", 1, 500, 1000.0)["days_to_go"] is None  # beyond what can be foreseen
    assert condition("buyers", 500, 500, 100.0) | {"met": True, "days_to_go": 0} == condition("buyers", 500, 500, 1.0)


# --- what a log can show ----------------------------------------------------------------------------------------------


def vector(fields: dict[str, list[str]]) -> LogFacts:
    return LogFacts(
        files=["x"], lines=10, events=10, rejected=0, skipped=0, duplicates=0, late=0, first_at=0, last_at=1,
        kinds=dict.fromkeys(fields, 10), fields={kind: frozenset(names) for kind, names in fields.items()},
        unknown_words={}, in_order=True, customers=1, buyers=1,
    )  # fmt: skip


def test_every_field_group_names_fields_of_the_schema() -> None:
    for cause, signs in FIELD_GROUPS.items():
        for sign in signs:
            assert set(sign.fields) <= set(KINDS[sign.kind].__struct_fields__), cause


def test_a_log_of_orders_only_supports_few_causes() -> None:
    found: Any = {row["cause"]: row for row in support_figures(vector({"order": []}))["causes"]}  # type: ignore[attr-defined]
    assert found["habit_change"]["support"] == "full"
    assert found["forgot_shop"]["support"] == "part"
    assert found["out_of_stock"] == {
        "cause": "out_of_stock", "support": "none", "signs": 2, "signs_seen": 0, "missing": ["browsing", "cart"],
    }  # fmt: skip


def test_a_log_with_every_field_supports_every_cause() -> None:
    everything = {kind: list(type_.__struct_fields__) for kind, type_ in KINDS.items()}
    found: Any = support_figures(vector(everything))
    assert {row["support"] for row in found["causes"]} == {"full"}
    assert set().union(*found["absent_fields"].values()) == set()


def test_the_whole_record_agrees_with_its_parts(evaluation: Evaluation) -> None:
    record: Any = metrics(evaluation.results)
    assert record["calls"]["lost"]["silences"] == call_figures(evaluation)["lost"]["silences"]  # type: ignore[index]
    assert record["decisions"]["counted"] == int(evaluation.counted.sum())
