"""Lost silences, calls that reach them in time, rules and intervals: small known cases, and the independent judge."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from stream_app.core.arrays import Ints
from stream_app.core.units import DAY_US, HOUR_US
from stream_app.core.uplift.holdout import Holdout, draw
from stream_app.replay.evaluation.call_days import CallDays, Calls, Ranking, simulate
from stream_app.replay.evaluation.call_figures import alert_calls, call_figures, ladder
from stream_app.replay.evaluation.distribution import lead_summary
from stream_app.replay.evaluation.evaluation import Evaluation, evaluate
from stream_app.replay.evaluation.ledger import Ledger
from stream_app.replay.evaluation.orders import Orders
from stream_app.replay.evaluation.rankings import RULES, list_times, product_of, rules_of
from stream_app.replay.evaluation.reach import interval, most_reachable, reached_by, resampled
from stream_app.replay.evaluation.silences import Silences, find_silences
from stream_app.replay.evaluation.worth import newest_decisions
from stream_app.replay.results import AlertRecord, DrawRecord, Results
from tests.harness.invented_replay import START, no_refunds, results

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NINE = 9 * HOUR_US
RULE_NAMES = {
    "longest_silence": "silence",
    "longest_silence_worth": "days",
    "due_7": "due7",
    "due_14": "due14",
    "worth_per_day": "quotient",
    "rfm": "rfm",
    "money": "money",
}


def planning(given: Results, **settings: object) -> Results:
    """Return a replay whose calls are planned, with a probability of being lost that is sure of too much."""
    d = given.decisions
    chosen = given.settings | {"rank_by": "worth", "act_before_days": 45.0, "zone": "UTC"} | settings
    return replace(given, decisions=replace(d, lost_probability=d.probability**2), settings=chosen)


def simulated(
    evaluation: Evaluation, moments: Ints, rankings: dict[str, Ranking], *capacities: int
) -> dict[str, dict[int, Calls]]:
    return simulate(CallDays(evaluation, moments), rankings, {n: np.full(len(moments), n) for n in capacities})


def with_alerts(given: Results, capacity: int) -> Results:
    """Return the replay with the alerts that its own ranking opens at 09:00 UTC of working days."""
    evaluation = evaluate(replace(given, settings=given.settings | {"capacity": capacity}))
    moments = list_times(evaluation, START + 40 * DAY_US, given.log.last_at)
    calls = simulated(evaluation, moments, {"own": product_of(evaluation)}, capacity)["own"][capacity]
    alerts = [
        AlertRecord(f"{at}-{i}", "opened", given.decisions.customers[who], at, i + 1, 0.9, "")
        for i, (who, at) in enumerate(zip(calls.customer.tolist(), calls.at.tolist(), strict=True))
    ]
    return replace(evaluation.results, alerts=alerts)


def ended_with_its_last_order(given: Results) -> Results:
    """Return the replay with the log ending at its last order, as the judge assumes."""
    end = int(given.orders[1].max())
    return replace(given, log=msgspec.structs.replace(given.log, last_at=end, first_at=int(given.orders[1].min())))


@pytest.fixture(scope="module")
def replayed() -> Results:
    given = ended_with_its_last_order(planning(results(customers=400, days=600, seed=8)))
    customer, at, amount = given.orders
    return with_alerts(replace(given, orders=(customer, at, np.ones_like(amount))), capacity=2)


@pytest.fixture(scope="module")
def evaluation(replayed: Results) -> Evaluation:
    return evaluate(replayed)


# --- the independent judge --------------------------------------------------------------------------------------------


def written(given: Results, folder: Path) -> tuple[Path, Path]:
    """Write the orders and the alerts as files for the judge."""
    customer, at, _ = given.orders
    names, log, alerts = given.decisions.customers, folder / "log.csv", folder / "alerts.jsonl"
    stamps = [(EPOCH + timedelta(microseconds=int(t))).isoformat() for t in at]
    rows = [f"{names[c]},{stamp}" for c, stamp in zip(customer, stamps, strict=True)]
    log.write_text("\n".join(["cust,date", *rows]), encoding="utf-8")
    lines = [
        {"kind": "opened", "customer_id": a.customer_id, "at": (EPOCH + timedelta(microseconds=a.at)).isoformat()}
        for a in given.alerts
    ]
    alerts.write_text("\n".join(json.dumps(line | {"rank": 1}) for line in lines), encoding="utf-8")
    return log, alerts


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the judge leaves a file open
def test_the_figures_are_those_of_the_judge_of_calls(
    judge_calls: ModuleType,
    evaluation: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = evaluation.results
    log, alerts = written(given, tmp_path)
    start, end = int(given.orders[1].min()), given.log.last_at
    warm_up = (evaluation.warm_at - start) / (end - start)
    arguments = (
        f"--log {log} --format orders --alerts {alerts} --horizon 60 --lost-after 180 --capacity 2 --act-before 45"
    )
    monkeypatch.setattr(sys, "argv", ["judge_calls", *arguments.split(), "--warm-up", f"{warm_up:.12f}"])
    judge_calls.main()
    said = capsys.readouterr().out
    mine: Any = call_figures(evaluation)
    own = next(row for row in mine["ladder"] if row["from_alerts"])
    assert f"{mine['lost']['silences']} lost silences judged" in said, said
    for name, figures in {"product": own["product"], **{RULE_NAMES[n]: f for n, f in own["rules"].items()}}.items():
        people, worth, right = (figures[key] for key in ("people_share", "worth_share", "right"))
        assert f"{name:8s} reach {people:.3f} worth {worth:.3f} right {right:.3f}" in said, said
    found = re.search(r"worth ([\d.]+) x (\w+) \(([\d.]+) to ([\d.]+)\) .* oracle ([\d.]+)", said)
    assert found, said
    against = own["against_best_rule"]["worth"]
    assert RULE_NAMES[own["best_rule"]["worth"]] == found[2]
    assert float(found[1]) == pytest.approx(against["ratio"], abs=6e-4)
    assert [float(found[3]), float(found[4])] == pytest.approx([against["low"], against["high"]], abs=0.03)
    assert float(found[5]) == pytest.approx(own["oracle"]["worth_share"], abs=6e-4)


# --- silences ---------------------------------------------------------------------------------------------------------


def with_orders(given: Results, orders: list[tuple[int, float]], amounts: Sequence[float] | None = None) -> Results:
    """Return the same replay with other orders: (customer, day since the start)."""
    customer = np.array([c for c, _ in orders], np.int64)
    at = np.array([START + int(day * DAY_US) for _, day in orders], np.int64)
    money = np.full(len(at), 10.0) if amounts is None else np.array(amounts)
    return replace(given, orders=(customer, at, money), refunds=no_refunds())


@pytest.fixture(scope="module")
def long_log() -> Results:
    """Provide a replay of 450 days whose warm-up ends after about 122 days."""
    return planning(results(customers=300, days=450, seed=3))


def test_a_silence_ends_with_the_next_order_or_the_log(long_log: Results) -> None:
    given = with_orders(long_log, [(0, 10), (1, 20), (0, 30)])
    orders = Orders.of(given)
    end = (given.log.last_at - START) / DAY_US
    assert (orders.silence / DAY_US).tolist() == pytest.approx([20, end - 20, end - 30])
    customer, moment = np.array([0, 0, 0, 1]), START + np.array([5, 10, 31, 19]) * DAY_US
    assert orders.last_before(customer, moment).tolist() == [-1, 0, 2, -1]


def test_silences_are_lost_by_the_shops_rule_and_callable_from_their_first_day(long_log: Results) -> None:
    given = evaluate(with_orders(long_log, [(0, 0), (1, 50), (2, 51), (2, 230.9), (3, 60), (3, 239.9), (4, 300)]))
    found = find_silences(given, first_call=START + int(49 * DAY_US))
    lost = {
        (int(c), round((at - START) / DAY_US, 1)) for c, at in zip(found.orders.customer, found.orders.at, strict=True)
    }
    assert lost >= {(1, 50.0)}
    days = ((found.orders.at[found.lost] - START) / DAY_US).round(1).tolist()
    # 0 began before the first call, 2 and 3 returned after 179.9 days and were lost later, 4 cannot be judged yet
    assert days == [50.0, 230.9, 239.9]


def test_the_worth_is_net_money_over_age_and_horizon(long_log: Results) -> None:
    orders = [(0, 50), (0, 110), *((c, 60.0) for c in range(1, 101))]
    given = with_orders(long_log, orders, [100.0, 50.0, *[12.0] * 100])
    refund = (np.array([0]), np.array([START + 115 * DAY_US]), np.array([-30.0]))
    late = (np.array([1]), np.array([START + 300 * DAY_US]), np.array([-5.0]))
    refunds = tuple(np.concatenate(pair) for pair in zip(refund, late, strict=True))
    found = find_silences(evaluate(replace(given, refunds=refunds)), first_call=START)  # type: ignore[arg-type]
    worth = dict(zip(found.orders.customer[found.lost].tolist(), found.worth[found.lost].tolist(), strict=True))
    single = 12.0 / 60 * 30.44
    assert worth[2] == pytest.approx(single)
    assert worth[1] == pytest.approx(single)  # refunded after the customer was lost
    cap = np.quantile([120.0 / 120 * 30.44, *[single] * 100], 0.99)
    assert worth[0] == pytest.approx(min(120.0 / 120 * 30.44, cap))


def test_refunds_count_from_their_time_on() -> None:
    ledger = Ledger(np.array([0, 0, 1]), np.array([10, 20, 5]), np.array([5.0, -9.0, 2.0]))
    assert ledger.net(np.array([0, 0, 0, 1, 2]), np.array([9, 10, 20, 5, 99])).tolist() == [0.0, 5.0, 0.0, 2.0, 0.0]


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silences(long_log: Results) -> tuple[Evaluation, Silences]:
    given = evaluate(with_orders(long_log, [(9, 0), (0, 100), (1, 100), (2, 100), (2, 200)]))
    return given, find_silences(given, first_call=START + 90 * DAY_US)


@pytest.mark.parametrize(
    ("days", "reached"),
    [([235], 1), ([235.01], 0), ([240, 150], 1), ([235.01, 236], 0), ([100], 0), ([99], 0)],
    ids=["at the limit", "too late", "first in time", "twice too late", "at the order", "before the order"],
)
def test_the_first_call_in_a_silence_decides(
    silences: tuple[Evaluation, Silences], days: list[float], reached: int
) -> None:
    evaluation, found = silences
    at = np.sort(np.array([START + int(day * DAY_US) for day in days]))
    assert reached_by(evaluation, found, Calls(np.zeros(len(at), np.int64), at)).count == reached


def test_a_call_to_somebody_who_returns_reaches_nobody_and_is_not_right(silences: tuple[Evaluation, Silences]) -> None:
    evaluation, found = silences
    at = np.array([START + 150 * DAY_US] * 2)
    reached = reached_by(evaluation, found, Calls(np.array([1, 2]), at))
    assert reached.count == 1
    assert reached.stayed_away.tolist() == [True, False]
    assert reached.lead_days.tolist() == [130.0]


def test_nobody_is_called_twice_in_a_silence_and_never_more_than_the_capacity(evaluation: Evaluation) -> None:
    moments = list_times(evaluation, START + 40 * DAY_US, evaluation.end_at)
    rankings = {**rules_of(evaluation), "product": product_of(evaluation)}
    orders = Orders.of(evaluation.results)
    for runs in simulated(evaluation, moments, rankings, 1, 3).values():
        for capacity, calls in runs.items():
            assert np.unique(calls.at, return_counts=True)[1].max() <= capacity
            before = orders.last_before(calls.customer, calls.at - 1)
            assert (before >= 0).all()
            assert len(np.unique(before)) == len(before)


def test_rules_call_only_those_who_can_be_called_in_time(evaluation: Evaluation) -> None:
    moments = list_times(evaluation, START + 40 * DAY_US, evaluation.end_at)
    orders = Orders.of(evaluation.results)
    for runs in simulated(evaluation, moments, rules_of(evaluation), 2).values():
        silent = (runs[2].at - orders.at[orders.last_before(runs[2].customer, runs[2].at - 1)]) / DAY_US
        assert silent.max() <= 180 - 45


def test_the_plan_leaves_customers_alone_within_their_usual_gap(evaluation: Evaluation) -> None:
    moments = list_times(evaluation, START + 40 * DAY_US, evaluation.end_at)
    calls = simulated(evaluation, moments, {"product": product_of(evaluation)}, 20)["product"][20]
    d, orders = evaluation.results.decisions, evaluation.orders
    silent = (calls.at - orders.at[orders.last_before(calls.customer, calls.at - 1)]) / DAY_US
    newest = [
        np.flatnonzero((d.customer == who) & (d.decided_at <= at))[-1]
        for who, at in zip(calls.customer.tolist(), calls.at.tolist(), strict=True)
    ]
    gap = np.clip(np.nan_to_num(d.usual_gap_days[newest]), 180 / 12, (180 - 45) / 2)
    assert len(silent) > 100
    assert (silent >= gap - 1e-6).all()


def test_there_are_no_lists_on_days_off_and_during_campaigns(long_log: Results) -> None:
    sale = {"name": "sale", "first_day": "2023-03-08", "last_day": "2023-03-10", "lull_days": 2}
    settings = long_log.settings | {"campaigns": [sale], "working_days": [0, 2, 4]}
    given = evaluate(replace(long_log, settings=settings))
    first = START + 60 * DAY_US  # 2 March 2023, a Thursday
    days = (list_times(given, first, first + 12 * DAY_US) - START) / DAY_US
    assert days.tolist() == [61.375, 71.375]  # Friday 3 and Monday 13 March


def test_the_calls_of_the_alerts_leave_out_what_is_no_alert(evaluation: Evaluation) -> None:
    alerts = [replace(a, kind="closed") for a in evaluation.results.alerts[:3]]
    strange = [replace(evaluation.results.alerts[0], customer_id="nobody")]
    given = replace(evaluation, results=replace(evaluation.results, alerts=alerts + strange))
    assert len(alert_calls(given).at) == 0
    assert len(alert_calls(evaluation).at) == len(evaluation.results.alerts)


def test_nobody_can_reach_more_than_the_one_who_knows_the_future() -> None:
    rng = np.random.default_rng(4)
    moments = [2, 4, 6]
    for _ in range(50):
        lost_at, value = rng.integers(3, 9, 5).tolist(), rng.integers(1, 9, 5).astype(float).tolist()
        best = 0.0
        for size in range(6):
            for some in combinations(range(5), size):
                due = sorted(sum(m <= lost_at[i] - 1 for m in moments) for i in some)
                if all(place + 1 <= calls for place, calls in enumerate(due)):
                    best = max(best, sum(value[i] for i in some))
        assert most_reachable(lost_at, [0] * 5, value, moments, [1] * 3, 1) == best


def with_settings(evaluation: Evaluation, **settings: object) -> Evaluation:
    return evaluate(replace(evaluation.results, settings=evaluation.results.settings | settings))


def own_step(evaluation: Evaluation) -> Any:
    figures: Any = call_figures(evaluation)
    return next(row for row in figures["ladder"] if row["from_alerts"])


def test_rules_do_not_use_the_reserve_for_complaints(evaluation: Evaluation) -> None:
    half, whole = with_settings(evaluation, capacity=2, reserve=1), with_settings(evaluation, capacity=1)
    assert own_step(half)["rules"] == own_step(whole)["rules"]
    assert own_step(half)["oracle"] == own_step(whole)["oracle"]


def test_rules_make_as_many_calls_as_a_policy_with_costs_left(evaluation: Evaluation) -> None:
    few = replace(evaluation.results, alerts=evaluation.results.alerts[::3])
    given = evaluate(replace(few, settings=few.settings | {"limited_calls": True}))
    figures: Any = call_figures(given)
    (step,) = figures["ladder"]  # other capacities are not simulated
    product, rules = step["product"], step["rules"]
    assert product["calls"] < own_step(evaluation)["product"]["calls"] / 2
    assert max(one["calls"] for one in rules.values()) == product["calls"]


def test_customers_who_are_held_out_count_neither_for_alerts_nor_for_rules(evaluation: Evaluation) -> None:
    given = with_settings(evaluation, holdout={"share": 0.4, "experiment": "calls"})
    names = np.array(evaluation.results.decisions.customers)
    assert 0.3 < given.held_out.mean() < 0.5
    assert given.held_out.tolist() == [draw(name, "calls") < 0.4 for name in names]
    assert not given.held_out[alert_calls(given).customer].any()
    moments = list_times(given, START + 40 * DAY_US, given.end_at)
    for runs in simulated(given, moments, rules_of(given), 3).values():
        assert not given.held_out[runs[3].customer].any()
    everybody, some = own_step(evaluation), own_step(given)
    assert some["product"]["of"] < everybody["product"]["of"]
    figures: Any = call_figures(given)
    assert figures["lost"]["silences"] == everybody["product"]["of"]  # the shop loses them all the same


FALLING = Holdout(0.6, "calls", planned=100, later_share=0.1)


def with_draws(given: Results, holdout: Holdout) -> Results:
    """Return the replay without the alerts of those whom an experiment holds out, and with its draws."""
    drawn: dict[str, DrawRecord] = {}
    for at, day in groupby(given.alerts, key=lambda alert: alert.at):
        share = holdout.share_after(len(drawn))
        for name in [alert.customer_id for alert in day]:
            drawn.setdefault(name, DrawRecord(name, at, share, draw(name, holdout.experiment) < share))
    alerts = [alert for alert in given.alerts if not drawn[alert.customer_id].is_held_out]
    settings = given.settings | {"holdout": msgspec.to_builtins(holdout)}
    return replace(given, settings=settings, alerts=alerts, draws=list(drawn.values()))


def test_customers_are_held_out_by_their_own_draw_if_the_share_falls_within_the_log(evaluation: Evaluation) -> None:
    given = evaluate(with_draws(evaluation.results, FALLING))
    names, draws = given.results.decisions.customers, given.results.draws
    numbers = np.array([draw(name, "calls") for name in names])
    between = (numbers >= 0.1) & (numbers < 0.6)  # held out at the first share only
    arms = {one.customer_id: one.is_held_out for one in draws}
    assert {one.share for one in draws} == {0.6, 0.1}
    assert given.held_out.tolist() == [arms.get(name, draw(name, "calls") < 0.1) for name in names]
    assert 10 < (between & given.held_out).sum() < between.sum() - 10
    fell_at = max(one.at for one in draws if one.share == 0.6)

    own, opened = alert_calls(given), given.results.alerts
    assert own.at.tolist() == [alert.at for alert in opened]  # no call of the product is left out
    assert between[own.customer].sum() > 10
    moments = list_times(given, START + 40 * DAY_US, given.end_at)
    for runs in simulated(given, moments, rules_of(given), 3).values():
        assert not given.held_out[runs[3].customer].any()
        late = runs[3].at[between[runs[3].customer]]
        assert len(late)
        assert late.min() > fell_at
    orders = given.orders
    expected = ~given.held_out[orders.customer] & (~between[orders.customer] | (orders.at > fell_at))
    assert given.compared.tolist() == expected.tolist()
    figures: Any = call_figures(given)
    assert figures["held_out_share"] == given.held_out.mean() < 0.5


def test_a_share_that_has_not_fallen_yet_holds_out_by_the_first_share(evaluation: Evaluation) -> None:
    given = evaluate(with_draws(evaluation.results, Holdout(0.6, "calls", later_share=0.1)))
    names = given.results.decisions.customers
    assert given.held_out.tolist() == [draw(name, "calls") < 0.6 for name in names]
    assert set(given.callable_from[~given.held_out].tolist()) == {0}


def test_more_calls_reach_more_and_the_oracle_most(evaluation: Evaluation) -> None:
    figures: Any = call_figures(evaluation)
    rows = figures["ladder"]
    assert [row["capacity"] for row in rows] == ladder(evaluation.protocol, len(newest_decisions(evaluation)))
    for name in RULES:
        reached = [row["rules"][name]["reached"] for row in rows]
        assert reached == sorted(reached)
    for row in rows:
        everybody = [row["product"], *row["rules"].values()]
        assert row["oracle"]["worth_share"] >= max(one["worth_share"] for one in everybody) - 0.01
        best = row["rules"][row["best_rule"]["worth"]]
        assert best["worth_share"] == max(one["worth_share"] for one in row["rules"].values())
        low, share, high = (row["product"][f"worth_share{end}"] for end in ("_low", "", "_high"))
        assert low <= share <= high
    own = next(row for row in rows if row["from_alerts"])
    assert own["product"]["worth_share"] == pytest.approx(figures["simulated_at_capacity"]["worth"])
    assert figures["lead"]["n"] == own["product"]["reached"]


def test_the_intervals_resample_customers() -> None:
    columns = np.column_stack((np.ones(400), np.arange(400) % 2)).astype(np.float64)
    sums = resampled(columns)
    assert sums.shape == (1000, 2)
    assert np.std(sums[:, 0]) == pytest.approx(20, rel=0.1)  # the square root of 400
    low, high = interval(sums[:, 1] / sums[:, 0])
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.005)
    assert np.array_equal(resampled(columns), sums)


def test_what_a_call_must_achieve(evaluation: Evaluation) -> None:
    results_with_cost = replace(evaluation.results, settings=evaluation.results.settings | {"contact_cost": 0.5})
    figures: Any = call_figures(evaluate(results_with_cost))
    own = next(row for row in figures["ladder"] if row["from_alerts"])["product"]
    one = figures["per_call"]
    assert one["monthly_worth_reached_per_call"] == pytest.approx(own["monthly_worth_reached"] / own["calls"])
    assert one["pays_if_kept_for_a_month"] == pytest.approx(0.5 * own["calls"] / own["monthly_worth_reached"])
    free: Any = call_figures(evaluation)["per_call"]
    assert free["pays_if_kept_for_a_month"] is None


def test_a_capacity_for_everybody_is_named() -> None:
    given = results(customers=1500, days=450, seed=4)
    for capacity, everyone in ((2, False), (12, True), (200, True)):
        found: Any = call_figures(evaluate(replace(given, settings=given.settings | {"capacity": capacity})))
        own = next(row for row in found["ladder"] if row["from_alerts"])
        reached = own["rules"][own["best_rule"]["worth"]]["worth_share"]
        assert found["everyone_callable"] == (reached >= 0.95) == everyone


def test_too_few_lost_silences_give_no_shares(long_log: Results) -> None:
    short = replace(long_log, settings=long_log.settings | {"lost_after_days": 3000.0})
    figures: Any = call_figures(evaluate(short))
    assert figures["ladder"] == []
    assert not figures["lost"]["enough"]


def test_lead_times_are_summarised_completely() -> None:
    summary: Any = lead_summary(np.array([1.0, 5.0, 30.0, 180.0]))
    assert summary["median_days"] == 17.5
    assert sum(bar["n"] for bar in summary["histogram"]) == 4
    assert lead_summary(np.zeros(0))["median_days"] is None
