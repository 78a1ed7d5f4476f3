"""Policies are compared by the customers that their calls reach in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from stream_app.cli import app
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.policy.policy import Benefit, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.replay.columns import DecisionColumns
from stream_app.replay.policy_trial import MONTH_DAYS, Reached, figures_of
from stream_app.replay.runner import Outcome
from stream_app.simulate import ShopSettings, write_log
from tests.harness.shops import T0, order

SHOP = Settings(
    horizon=30 * DAY_US,
    active_window=120 * DAY_US,
    lost_after=90 * DAY_US,
    act_before=10 * DAY_US,
    rank_by="worth",
)


def test_the_chance_at_which_calls_pay_weighs_their_cost_against_what_is_at_stake() -> None:
    outcome = outcome_of([("a", 0, 120.0)], [("a", 80, "vip"), ("a", 85, "vip")], last=140)
    candidates = [replace(one.candidate, lost_probability=0.5, monthly_worth=10.0) for one in outcome.opened]
    outcome.opened = [replace(one, candidate=two) for one, two in zip(outcome.opened, candidates, strict=True)]
    costly = SHOP.with_policy(Policy(benefit=Benefit(cost=6.0, months=12.0)))
    assert figures_of(outcome, costly).break_even == pytest.approx(6.0 / (0.5 * 10.0 * 12.0))
    assert figures_of(outcome, SHOP).break_even is None


def outcome_of(orders: list[tuple[str, int, float]], called: list[tuple[str, int, str]], last: int) -> Outcome:
    """Orders as (customer, day, amount), calls as (customer, day, segment)."""
    outcome = Outcome(DecisionColumns(ChurnModel.of(SHOP).names), last_at=T0 + last * DAY_US)
    for name, day, amount in orders:
        at = T0 + day * DAY_US
        outcome.money.record(order(name, at, amount=amount), at, counts=True)
    for name, day, segment in called:
        at = T0 + day * DAY_US
        candidate = AlertCandidate(name, at, 1.0, 0.5, 1.0, 1.0, 1.0, 0, 0)
        outcome.opened.append(Alert(f"al_{name}{day}", name, at, at + 1, 1, 0.5, candidate, segment=segment))
    return outcome


def test_a_lost_customer_is_reached_by_the_first_call_in_time() -> None:
    orders = [("a", 0, 120.0), ("b", 0, 10.0), ("b", 50, 30.0), ("c", 0, 60.0), ("d", 60, 99.0), ("e", 0, 7.0)]
    calls = [("a", 80, "vip"), ("a", 85, "vip"), ("b", 49, "loyal"), ("c", 81, "loyal"), ("e", 95, "loyal")]
    figures = figures_of(outcome_of([*orders, ("e", 90, 7.0)], calls, last=140), SHOP)
    worth = {"a": 120 / (90 + 30), "b": 40 / (140 + 30), "c": 60 / (90 + 30), "e": 7 / (90 + 30)}
    assert figures.lost == 4  # not d, whose silence is too short
    assert figures.lost_money == pytest.approx(sum(worth.values()) * MONTH_DAYS)
    assert (figures.total.calls, figures.total.people, figures.repeats) == (5, 1, 1)  # the call to c comes a day late
    assert figures.total.money == pytest.approx(worth["a"] * MONTH_DAYS)
    assert figures.segments == {
        "vip": Reached(2, 1, figures.total.money),
        "loyal": Reached(3, 0, 0.0),
    }


def test_the_command_compares_policies_on_a_log(tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("wb") as file:
        write_log(ShopSettings(customers=60, days=240), 1, file)
    (tmp_path / "a.yaml").write_text("cases: {cooldown: 0}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("capacity: {one_time: 0}\n", encoding="utf-8")
    words = ["policy", "try", f"{tmp_path}/a.yaml", f"{tmp_path}/b.yaml", "--log", f"{tmp_path}/log.jsonl"]
    words += ["--horizon", "30d", "--lost-after", "60d", "--capacity", "2"]
    result = CliRunner().invoke(app, [*words, "--json"], env={"COLUMNS": "150"})
    assert result.exit_code == 0, result.output
    one, other = msgspec.json.decode(result.stdout)
    assert one["lost"] == other["lost"] > 10
    assert one["total"]["people"] > other["total"]["people"]
    assert one["segments"]["one_time"]["calls"] > 0
    assert "one_time" not in other["segments"]
    assert other["suppressed"]["cooldown"] > 0
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "150"}).stdout
    assert f"{one['total']['people'] - other['total']['people']:+,}".replace("+", "-") in shown
    assert "not called: cooldown" in shown
