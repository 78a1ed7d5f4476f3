"""Policies are compared by the customers that their calls reach in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from stream_app.cli import app
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.events.schema import Event
from stream_app.core.policy.policy import Benefit, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, MONTH_DAYS
from stream_app.errors import NoOrders, ShortLog
from stream_app.ingest import LogFormat, LogSummary
from stream_app.replay.evaluation.evaluation import evaluate
from stream_app.replay.policy_trial import Reached, Trial, figures_of, try_policies
from stream_app.replay.request import Request
from stream_app.replay.runner import Replay
from stream_app.replay.session import results_of
from stream_app.simulate import ShopSettings, write_log
from tests.harness.shops import T0, browsing, order

SHOP = Settings(
    horizon=30 * DAY_US,
    active_window=120 * DAY_US,
    lost_after=90 * DAY_US,
    act_before=10 * DAY_US,
    rank_by="worth",
)


Call = tuple[str, int, str]  # customer, day, segment


def trial(orders: list[tuple[str, int, float]], called: list[Call], days: int, policy: Policy | None = None) -> Trial:
    """A replay with given orders, as (customer, day, amount), and calls."""
    shop = SHOP.with_policy(policy or Policy())
    counts: dict[str, Any] = dict.fromkeys(("lines", "events", "rejected", "skipped"), 0)
    named: dict[str, Any] = {"kinds": {}, "fields": {}, "unknown_words": {}}
    log = LogSummary(first_at=T0, last_at=T0 + days * DAY_US, in_order=True, **counts, **named)
    request = Request((), LogFormat("jsonl"), shop, Path())
    replay = Replay(shop)
    for name, day, amount in orders:
        at = T0 + day * DAY_US
        replay.outcome.money.record(order(name, at, amount=amount), at, counts=True)
    for name, day, segment in called:
        at = T0 + day * DAY_US
        candidate = AlertCandidate(name, at, 1.0, 0.5, 10.0, 1.0, 1.0, 0, 0, lost_probability=0.5)
        replay.outcome.opened.append(Alert(f"al_{name}{day}", name, at, at + 1, 1, 0.5, candidate, segment=segment))
    evaluation = evaluate(results_of(request, log, replay, replay.outcome, 1.0))
    return Trial(shop, evaluation, replay.outcome.opened, {"cooldown": 3})


ORDERS = [("a", 100, 120.0), ("b", 100, 10.0), ("b", 150, 30.0), ("c", 100, 60.0), ("d", 360, 99.0), ("e", 100, 7.0)]
ORDERS += [("e", 191, 7.0), ("z", 0, 1.0)]
CALLS = [("z", 20, "loyal"), ("a", 180, "vip"), ("a", 185, "vip"), ("b", 149, "loyal"), ("c", 181, "loyal")]


def test_a_lost_customer_is_reached_by_the_first_call_in_time() -> None:
    (figures,) = figures_of([trial(ORDERS, CALLS, 400)])
    # money ÷ (time from the first to the last order + horizon)
    worth = {"a": 120 / 30, "b": 40 / (50 + 30), "c": 60 / 30, "e": 14 / (91 + 30)}
    highest = np.quantile([*worth.values(), 7 / 30], 0.99)  # e is lost twice
    assert figures.lost == 5  # not d, whose silence is too short, and not z, who was lost during the warm-up
    assert figures.lost_money == pytest.approx((sum(worth.values()) - 4 + highest + 7 / 30) * MONTH_DAYS)
    assert (figures.total.calls, figures.total.people, figures.repeats) == (5, 1, 1)  # the call to c comes a day late
    assert figures.total.money == pytest.approx(highest * MONTH_DAYS)
    assert figures.segments == {"vip": Reached(2, 1, figures.total.money), "loyal": Reached(3, 0, 0.0)}
    assert figures.suppressed == {"cooldown": 3}


def test_the_same_lost_customers_count_for_all_policies() -> None:
    early, late = figures_of([trial(ORDERS, CALLS, 400), trial(ORDERS, CALLS[3:], 400)])
    assert early.lost == late.lost == 5
    assert late.total.people == 0
    assert figures_of([trial(ORDERS, [("d", 370, "")], 400)])[0].lost == 0  # nobody could be called in time


def test_the_chance_at_which_calls_pay_weighs_their_cost_against_what_is_at_stake() -> None:
    costly = Policy(benefit=Benefit(cost=6.0, months=12.0))
    paid, free = figures_of([trial(ORDERS, CALLS, 400, costly), trial(ORDERS, CALLS, 400)])
    assert paid.break_even == pytest.approx(6.0 / (0.5 * 10.0 * 12.0))
    assert free.break_even is None


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
    assert one["since"] < one["until"]
    page = tmp_path / "new" / "page.html"
    shown = CliRunner().invoke(app, [*words, "--out", str(page)], env={"COLUMNS": "150"}).stdout
    assert f"{one['total']['people'] - other['total']['people']:,}" in shown
    assert "Their last case ended recently" in shown
    assert "one_time" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused_before_the_replays(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cases: {cooldown: 0}\n", encoding="utf-8")
    words = ["policy", "try", f"{tmp_path}/a.yaml", "--log", "nowhere.jsonl", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "--out" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--horizon", "nonsense"], "nonsense"), (["--log", "nowhere.jsonl"], "nowhere.jsonl")],
)
def test_a_trial_that_fails_leaves_no_page(options: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cases: {cooldown: 0}\n", encoding="utf-8")
    page = tmp_path / "page.html"
    words = ["policy", "try", f"{tmp_path}/a.yaml", "--log", "nowhere.jsonl", "--out", str(page), *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert said in result.output
    assert not page.exists()


def test_a_page_of_an_earlier_trial_survives_one_that_fails(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cases: {cooldown: 0}\n", encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text("earlier", encoding="utf-8")
    words = ["policy", "try", f"{tmp_path}/a.yaml", "--log", "nowhere.jsonl", "--out", str(page)]
    assert CliRunner().invoke(app, words).exit_code == 2
    assert page.read_text(encoding="utf-8") == "earlier"


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([order("c", T0), order("c", T0 + DAY_US)], ShortLog),
        ([browsing("c", T0), browsing("c", T0 + 90 * DAY_US)], NoOrders),
    ],
    ids=["short", "no orders"],
)
def test_a_log_that_a_replay_refuses_is_refused(events: list[Event], error: type[Exception], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    with pytest.raises(error):
        try_policies([str(log)], LogFormat("jsonl"), SHOP, [Policy()], lambda *_: lambda *_: None)
