"""How alerts open and close: which customers become candidates, how many alerts open, and when one closes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.alerts.lifecycle import FELL, LOST, RETURNED, AlertCandidate, alert_id, has_fallen, open_alerts
from stream_app.core.alerts.ranking import Ranking, top_indices
from stream_app.core.events.schema import Event
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.partition.quiet_customers import phase_of
from stream_app.core.policy.campaign import Campaign
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, HOUR_US
from tests.harness.shops import SHOP, T0, Shell, browsing, logs, order, run_log, trained_model

NAN = float("nan")


def candidate(customer: str, value: float, probability: float = 0.8) -> AlertCandidate:
    return AlertCandidate(customer, T0, value, probability, 10.0, 3.0, NAN, 1, 1)


# --- the desk --------------------------------------------------------------------------------------------------------


def test_the_best_of_all_partitions_are_opened_and_names_break_ties() -> None:
    given_all = [
        candidate("d", 0.5, 0.5),
        candidate("b", 0.9, 0.9),
        candidate("a", 0.5, 0.5),
        candidate("c", 0.7, 0.7),
    ]
    settings = msgspec.structs.replace(SHOP, capacity=3)
    alerts = open_alerts(given_all, settings)
    assert [(one.customer, one.rank) for one in alerts] == [("b", 1), ("c", 2), ("a", 3)]
    assert {one.bar for one in alerts} == {0.5}
    assert all(one.expires_at == one.opened_at + SHOP.alert_lifetime == T0 + SHOP.alert_lifetime for one in alerts)
    assert open_alerts(given_all[::-1], settings) == alerts


def test_no_candidates_open_nothing() -> None:
    assert open_alerts([], SHOP) == []


def test_an_alert_is_known_by_customer_and_moment_alone() -> None:
    one, two = candidate("c", 0.5), replace(candidate("c", 0.9), probability=0.99, version=7)
    (first,), (second,) = open_alerts([one], SHOP), open_alerts([two], SHOP)
    assert first.alert_id == second.alert_id == alert_id("c", T0)
    assert len({alert_id("c", T0), alert_id("c", T0 + 1), alert_id("d", T0)}) == 3
    assert alert_id("customer-1", 1_700_000_000_000_000) == "al_802f395703274b2ee5fb6b8e26a55a81"  # written down once


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.05, 1.0))
def test_the_risk_has_fallen_when_the_odds_have(probability: float, bar: float, share: float) -> None:
    odds, limit = probability / (1 - probability), share * bar / (1 - bar)
    if abs(odds / limit - 1) > 1e-9:
        assert has_fallen(probability, bar, share) is (odds < limit)
    assert not has_fallen(NAN, bar, share)


@given(st.lists(st.sampled_from([NAN, 0.1, 0.2, 0.3, 0.4]), max_size=20), st.integers(1, 10))
def test_best_first_has_all_that_tie_with_the_last(values: list[float], count: int) -> None:
    known = sorted((value for value in values if value == value), reverse=True)  # noqa: PLR0124 - NaN is not itself
    bar = known[min(count, len(known)) - 1] if known else 1.0
    wanted = [place for place, value in enumerate(values) if value >= bar]
    assert sorted(top_indices(np.array(values), count).tolist()) == wanted


# --- the ranking -----------------------------------------------------------------------------------------------------


def ranked(*decisions: tuple[int, float], latest: float | None = None) -> float:
    ranking = Ranking(agreement=24)
    for at, probability in decisions:
        ranking.add_decision(0, at, probability)
        ranking.set_latest(np.array([0]), np.array([probability]))
    if latest is not None:
        ranking.set_latest(np.array([0]), np.array([latest]))
    return float(ranking.agreed(1)[0])


def test_the_risk_is_the_least_that_two_decisions_and_the_latest_score_agree_on() -> None:
    assert np.isnan(ranked())
    assert np.isnan(ranked((0, 0.9)))
    assert np.isnan(ranked((0, 0.9), latest=0.95))
    assert ranked((0, 0.9), (24, 0.8)) == 0.8
    assert ranked((0, 0.7), (24, 0.8)) == 0.7
    assert ranked((0, 0.9), (24, 0.8), latest=0.2) == 0.2
    assert ranked((0, 0.1), (24, 0.8), (48, 0.9)) == 0.8


def test_scores_that_lie_too_close_are_one_opinion() -> None:
    assert np.isnan(ranked((0, 0.9), (23, 0.8)))
    assert ranked((0, 0.9), (12, 0.5), (24, 0.8), (36, 0.85)) == 0.8  # that of hour 0 and that of hour 24
    assert ranked((0, 0.6), (12, 0.9), (24, 0.8), (36, 0.85)) == 0.6


def test_whoever_orders_starts_anew() -> None:
    ranking = Ranking(agreement=24)
    for at in (0, 24):
        ranking.add_decision(0, at, 0.9)
    ranking.set_latest(np.array([0]), np.array([0.9]))
    assert ranking.latest(0) == 0.9
    ranking.forget(0)
    assert np.isnan(ranking.latest(0))
    ranking.add_decision(0, 48, 0.9)
    ranking.set_latest(np.array([0]), np.array([0.9]))
    assert np.isnan(ranking.agreed(1)[0])


def test_there_is_room_for_any_number_of_customers() -> None:
    ranking = Ranking(agreement=1)
    ranking.add_decision(5, 0, 0.5)
    ranking.open[7] = True
    ranking.reserve(100_000)
    ranking.add_decision(99_999, 0, 0.9)
    ranking.add_decision(5, 1, 0.6)
    ranking.set_latest(np.array([5, 7, 99_999]), np.array([0.7, 0.7, 0.7]))
    agreed = ranking.agreed(100_000)
    assert np.flatnonzero(~np.isnan(agreed)).tolist() == [5]
    assert ranking.open.sum() == 1


# --- in a shop -------------------------------------------------------------------------------------------------------


@given(logs(customers=6, max_size=40), st.lists(st.booleans(), max_size=40))
def test_alerts_keep_the_rules(events: list[Event], cuts: list[bool]) -> None:
    outcome = run_log(events, cuts=cuts)
    assert max(Counter(alert.opened_at for alert in outcome.opened).values(), default=0) <= SHOP.capacity
    closed = {one.alert.alert_id: one for one in outcome.closed}
    assert len(closed) == len(outcome.closed)
    assert set(closed) <= {alert.alert_id for alert in outcome.opened}
    free_from: dict[str, int] = {}
    for alert in outcome.opened:
        assert alert.opened_at > free_from.get(alert.customer, 0)  # never two at once
        ended = closed.get(alert.alert_id)
        free_from[alert.customer] = ended.at if ended else 1 << 62
        said = sorted(at for name, at in outcome.decisions if name == alert.customer and at < alert.opened_at)
        assert any(later - before >= SHOP.agreement for before in said for later in said)
    for one in outcome.closed:
        assert one.at > one.alert.opened_at
        assert one.reason in (RETURNED, LOST, FELL)


def silent_shop(customers: int = 6, settings: Settings = SHOP) -> Shell:
    """Customers who ordered once, on the same day, more than two decisions ago."""
    shell = Shell(settings)
    for i in range(customers):
        shell.take(order(f"c{i}", T0 + i, amount=10.0 * (i + 1)))
    return shell


def test_as_many_as_the_staff_can_take_are_opened_on_every_working_day() -> None:
    shell = silent_shop()
    shell.take(browsing("x", T0 + 9 * DAY_US))
    days = Counter((alert.opened_at - T0) // DAY_US for alert in shell.outcome.opened)
    assert days
    assert set(days) <= {0, 1, 2, 3, 4, 7, 8}  # from Monday
    assert max(days.values()) == SHOP.capacity
    assert all((alert.opened_at - T0) % DAY_US == 9 * HOUR_US for alert in shell.outcome.opened)
    assert len({alert.customer for alert in shell.outcome.opened}) == len(shell.outcome.opened)


def opened_shop(settings: Settings = SHOP) -> Shell:
    """A shop of one customer, whose episode has just been opened."""
    shell = silent_shop(customers=1, settings=settings)
    for day in range(1, 9):
        shell.take(browsing("x", T0 + day * DAY_US))
        if shell.outcome.opened:
            return shell
    raise AssertionError("nothing was opened")


def test_an_alert_ends_when_the_customer_orders_and_only_by_a_later_order() -> None:
    shell = opened_shop()
    (alert,) = shell.outcome.opened
    shell.take(order("c0", alert.opened_at - 1))  # came late: he ordered before the alert
    shell.take(browsing("c0", alert.opened_at + 5))
    shell.finish()
    assert shell.outcome.closed == []
    shell.take(order("c0", alert.opened_at + 6))
    shell.finish()
    assert [(one.alert.alert_id, one.at, one.reason) for one in shell.outcome.closed] == [
        (alert.alert_id, alert.opened_at + 6, RETURNED)
    ]


def test_an_alert_ends_when_the_shops_own_rule_calls_the_customer_lost() -> None:
    settings = msgspec.structs.replace(SHOP, fallen_odds=1e-9)
    shell = opened_shop(settings)
    lost_at = T0 + settings.lost_after
    shell.take(browsing("x", lost_at + 5 * DAY_US))
    (closing,) = shell.outcome.closed
    assert len(shell.outcome.opened) == 1  # whom the shop's own rule calls lost, nobody is called about again
    assert closing.reason == LOST
    assert lost_at < closing.at <= lost_at + 3 * DAY_US  # the first nomination after it
    assert closing.at == settings.next_nomination(lost_at)


def test_an_alert_ends_when_the_risk_has_fallen() -> None:
    settings = msgspec.structs.replace(SHOP, fallen_odds=1e6)  # any score is far below the bar
    shell = opened_shop(settings)
    (alert,) = shell.outcome.opened
    shell.take(browsing("x", alert.opened_at + 4 * DAY_US))
    assert [(one.at, one.reason) for one in shell.outcome.closed][:1] == [
        (settings.next_nomination(alert.opened_at), FELL)
    ]
    assert 0 < shell.outcome.closed[0].probability < 1
    closed_at = shell.outcome.closed[0].at
    again = [one.opened_at for one in shell.outcome.opened if one.opened_at >= closed_at]
    said = sorted(at for name, at in shell.outcome.decisions if name == "c0" and at > closed_at)
    assert all(at > said[1] for at in again)  # two new decisions have to agree first


def test_both_scores_must_lie_above_the_bar() -> None:
    shell = silent_shop(settings=msgspec.structs.replace(SHOP, alert_above=0.999))
    shell.take(browsing("x", T0 + 9 * DAY_US))
    assert shell.outcome.opened == []


def test_a_campaign_opens_no_alert_but_still_ends_them() -> None:
    calm = Campaign("sale", date(2024, 1, 1), date(2024, 1, 31))
    shell = silent_shop(settings=msgspec.structs.replace(SHOP, campaigns=(calm,)))
    shell.take(browsing("x", T0 + 9 * DAY_US))
    assert shell.outcome.opened == []
    opened = opened_shop(
        msgspec.structs.replace(
            SHOP, fallen_odds=1e-9, campaigns=(Campaign("later", date(2024, 1, 15), date(2024, 1, 31), lull_days=0),)
        )
    )
    opened.take(browsing("x", T0 + 25 * DAY_US))
    assert [one.reason for one in opened.outcome.closed] == [LOST]


def test_candidates_are_ranked_by_risk() -> None:
    settings = msgspec.structs.replace(SHOP, capacity=3)
    names = sorted((f"c{i}" for i in range(400)), key=lambda name: phase_of(name, settings.decide_every))[:6]
    partition = PartitionProcessor(settings)
    for place, name in enumerate(names):
        partition.apply(order(name, T0, amount=10.0 + 500.0 * (place % 3)), T0)
    now = T0 + 3 * settings.decide_every
    partition.advance(now)
    partition.finish(trained_model())
    nominated = partition.alerts.candidates.best(now, trained_model())
    assert len(nominated) == 3
    assert [one.rank_value for one in nominated] == sorted((one.rank_value for one in nominated), reverse=True)
    assert all(one.rank_value == one.probability and one.act_by == 0 for one in nominated)


def test_customers_alike_to_the_last_bit_are_ranked_by_name() -> None:
    partition = PartitionProcessor(SHOP)
    for name in ("b", "c", "a"):
        partition.apply(order(name, T0), T0)
    for name in ("c", "a", "b"):
        index = partition.customers[name].index
        for at in (T0, T0 + DAY_US):
            partition.ranking.add_decision(index, at, 0.7)
        partition.ranking.set_latest(np.array([index]), np.array([0.7]))
    assert [one.customer for one in partition.alerts.candidates.best(T0 + DAY_US, trained_model())] == ["a", "b"]


def risky(days: int, events: list[Event], settings: Settings = SHOP) -> set[str]:
    """Whom a partition nominates so many days after T0, scored after every event."""
    partition = PartitionProcessor(settings)
    for event in events:
        partition.apply(event, event.at)
        partition.finish(trained_model())
    partition.advance(T0 + days * DAY_US)
    partition.finish(trained_model())
    return {one.customer for one in partition.alerts.candidates.best(T0 + days * DAY_US, trained_model())}


def test_whoever_has_just_ordered_is_not_chosen_till_two_new_decisions_agree() -> None:
    first, stir, again = order("c", T0), browsing("c", T0 + 8 * DAY_US), order("c", T0 + 9 * DAY_US)
    assert risky(9, [first, stir]) == {"c"}
    assert risky(10, [first, stir, again, browsing("c", again.at + 1)]) == set()
    assert risky(9 + 5, [first, stir, again]) == {"c"}


def test_whoever_is_not_active_any_more_is_not_chosen() -> None:
    late = msgspec.structs.replace(SHOP, lost_after=2 * SHOP.active_window)
    days = SHOP.active_window // DAY_US
    assert risky(days, [order("c", T0)], late) == {"c"}
    assert risky(days + 3, [order("c", T0)], late) == set()


def test_whom_the_shops_own_rule_calls_lost_is_not_chosen() -> None:
    days = SHOP.lost_after // DAY_US
    assert risky(days, [order("c", T0)]) == {"c"}
    assert risky(days + 1, [order("c", T0)]) == set()


def test_a_candidate_tells_what_the_staff_must_know() -> None:
    partition = PartitionProcessor(SHOP)
    for day in (0, 4):
        partition.apply(order("c", T0 + day * DAY_US, amount=60.0), T0 + day * DAY_US)
    now = T0 + 10 * DAY_US
    partition.advance(now)
    partition.finish(trained_model())
    (one,) = partition.alerts.candidates.best(now, trained_model())
    assert (one.silent_days, one.usual_gap_days) == (6.0, 4.0)
    assert one.monthly_worth == pytest.approx(120.0 / (10.0 + 10.0) * 30.44)
    assert (one.source, one.version) == (1, trained_model().version)


def test_no_one_is_chosen_in_a_campaign_or_its_lull() -> None:
    campaign = Campaign(
        "sale", date(2024, 1, 10), date(2024, 1, 11), lull_days=3
    )  # 7 to 11 January; a Monday to Thursday
    settings = msgspec.structs.replace(SHOP, campaigns=(campaign,))
    plain, calm = silent_shop(), silent_shop(settings=settings)
    for shell in (plain, calm):
        shell.take(browsing("x", T0 + 12 * DAY_US))
    days = {(alert.opened_at - T0) // DAY_US for alert in plain.outcome.opened}
    assert days & {7, 8, 9, 10}
    assert not {(alert.opened_at - T0) // DAY_US for alert in calm.outcome.opened} & {6, 7, 8, 9, 10}
    assert calm.outcome.opened
