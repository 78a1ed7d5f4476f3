from __future__ import annotations

import io
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from stream_app.core.events.enumerations import OrderAction
from stream_app.core.events.schema import CUSTOMER_KINDS, Event, Order, Rejected, decode
from stream_app.simulate import ShopSettings, Truth, simulate, truth, write_log
from stream_app.simulate.shop import draw_shop
from stream_app.simulate.tables import TABLES
from stream_app.simulate.vocabulary import CAUSE_PRIORS

SMALL = ShopSettings(customers=300, days=120)
YEAR = ShopSettings(customers=2_500, days=365)
DAY = timedelta(days=1)


def log_of(settings: ShopSettings, seed: int) -> bytes:
    out = io.BytesIO()
    write_log(settings, seed, out)
    return out.getvalue()


def events_of(settings: ShopSettings, seed: int) -> list[Event]:
    return [event for batch in simulate(settings, seed) for event in batch]


@pytest.fixture(scope="module")
def year() -> list[Event]:
    return events_of(YEAR, seed=1)


@pytest.fixture(scope="module")
def paid(year: list[Event]) -> dict[str, list[datetime]]:
    times: dict[str, list[datetime]] = defaultdict(list)
    for event in year:
        if isinstance(event, Order) and event.action is OrderAction.PAID:
            times[event.customer_id].append(event.occurred_at)
    return times


@pytest.fixture(scope="module")
def many_facts() -> list[Truth]:
    return list(truth(ShopSettings(customers=30_000), seed=3))


def test_same_settings_and_seed_give_the_same_bytes() -> None:
    assert log_of(SMALL, 1) == log_of(SMALL, 1)


def test_another_seed_gives_another_shop() -> None:
    assert log_of(SMALL, 1) != log_of(SMALL, 2)
    assert draw_shop(SMALL, 1).one_time_share != draw_shop(SMALL, 2).one_time_share


def test_every_line_decodes_to_the_event_that_was_made() -> None:
    decoded = [decode(line) for line in log_of(SMALL, 1).splitlines()]
    assert not [one for one in decoded if isinstance(one, Rejected)]
    assert decoded == events_of(SMALL, 1)


def test_sorted_by_time_then_type_within_the_span(year: list[Event]) -> None:
    names: dict[type[Event], str] = {kind: name for name, kind in CUSTOMER_KINDS.items()}
    keys = [(event.at, names[type(event)]) for event in year]
    assert keys == sorted(keys)
    assert all(YEAR.start <= event.occurred_at < YEAR.start + 365 * DAY for event in (year[0], year[-1]))


def test_event_ids_are_unique(year: list[Event]) -> None:
    assert len({event.event_id for event in year}) == len(year)


def test_tables_are_in_the_order_of_the_type_names() -> None:
    assert list(TABLES) == sorted(CUSTOMER_KINDS)


def test_volume_is_that_of_a_shop(year: list[Event], paid: dict[str, list[datetime]]) -> None:
    orders = np.array([len(times) for times in paid.values()])
    assert 25 <= len(year) / YEAR.customers <= 60
    assert 0.5 < (orders == 1).mean() < 0.65
    assert 3 <= orders[orders > 1].mean() <= 5
    assert {type(event) for event in year} == set(CUSTOMER_KINDS.values())


def test_base_rate_of_the_churn_label(paid: dict[str, list[datetime]]) -> None:
    labels = []
    for week in range(180, 305, 7):
        now = YEAR.start + week * DAY
        active = [times for times in paid.values() if any(now - 180 * DAY <= at <= now for at in times)]
        labels += [not any(now < at <= now + 60 * DAY for at in times) for times in active]
    assert 0.5 <= np.mean(labels) <= 0.73


def test_campaigns_are_peaks_and_spring_festival_is_a_lull(paid: dict[str, list[datetime]]) -> None:
    by_day = Counter(at.date().isoformat() for times in paid.values() for at in times)
    ordinary = np.mean([by_day[f"2025-0{month}-{day:02}"] for month in (3, 4) for day in range(1, 31)])
    assert by_day["2025-11-11"] > 2.5 * ordinary
    assert by_day["2025-06-18"] > 1.8 * ordinary
    assert np.mean([by_day[f"2025-01-{day}"] for day in range(26, 32)]) < 0.75 * ordinary


def test_steps_of_an_order_come_in_order(year: list[Event]) -> None:
    steps: dict[str | None, list[OrderAction]] = defaultdict(list)
    for event in year:
        if isinstance(event, Order):
            steps[event.order_id].append(event.action)
    path = ["placed", "paid", "shipped", "delivered", "returned", "refunded"]
    for taken in steps.values():
        assert taken == (["placed", "cancelled"] if "cancelled" in taken else path[: len(taken)])


@pytest.mark.parametrize("one_time", [True, False])
def test_causes_follow_the_priors(many_facts: list[Truth], one_time: bool) -> None:
    first = [one.causes[0] for one in many_facts if one.causes and one.one_time is one_time]
    share = Counter(first)
    for cause, prior in CAUSE_PRIORS.items():
        assert share[cause] / len(first) == pytest.approx(prior[0 if one_time else 1], abs=0.02), cause


def test_causes_are_doubled_missing_and_misleading_at_their_rates(many_facts: list[Truth]) -> None:
    gone = [one for one in many_facts if one.left_at]
    causes = sum(len(one.causes) for one in gone)
    shown = sum(cause in one.shown for one in gone for cause in one.causes)
    misleading = sum(len(set(one.shown) - set(one.causes)) for one in gone)
    assert sum(len(one.causes) == 2 for one in gone) / len(gone) == pytest.approx(1 / 3, abs=0.02)
    assert shown / causes == pytest.approx(0.7, abs=0.02)
    assert misleading / causes == pytest.approx(0.1, abs=0.02)


def test_lost_customers_stop_ordering_and_have_a_cause(
    many_facts: list[Truth], paid: dict[str, list[datetime]]
) -> None:
    for one in truth(YEAR, seed=1):
        assert bool(one.causes) is (one.left_at is not None)
        if one.left_at is not None:  # payment follows the order by minutes
            assert all(at < one.left_at + timedelta(minutes=5) for at in paid.get(one.customer_id, []))


def test_ids_say_nothing_about_who_leaves(year: list[Event]) -> None:
    left = {one.customer_id for one in truth(YEAR, seed=1) if one.left_at}
    for name in ("event_id", "order_id"):
        values = defaultdict(list)
        for event in year:
            if isinstance(event, Order):
                values[event.customer_id in left].append(int(getattr(event, name)[1:], 16) / 2**64)
        assert np.mean(values[True]) == pytest.approx(0.5, abs=0.02)
        assert np.mean(values[False]) == pytest.approx(0.5, abs=0.02)
    numbers = np.arange(YEAR.customers)
    gone = [f"c{number:08d}" in left for number in numbers]
    assert abs(np.corrcoef(numbers, gone)[0, 1]) < 0.06


def test_customers_and_orders_do_not_depend_on_the_kinds_written() -> None:
    everything = [event for event in events_of(SMALL, 1) if isinstance(event, Order)]
    heavy = ShopSettings(customers=300, days=120, sessions=3.0, page_views=6.0)
    assert events_of(ShopSettings.orders_only(300, 120), 1) == everything
    assert [event for event in events_of(heavy, 1) if isinstance(event, Order)] == everything
    assert list(truth(heavy, 1)) == list(truth(SMALL, 1))


def test_browsing_heavy_log_has_20_events_a_weekly_decision() -> None:
    settings = ShopSettings.browsing_heavy(150, 365)
    events = events_of(settings, 1)
    paid_at = defaultdict(list)
    for event in events:
        if isinstance(event, Order) and event.action is OrderAction.PAID:
            paid_at[event.customer_id].append(event.occurred_at)
    weeks = [settings.start + week * 7 * DAY for week in range(52)]
    decisions = sum(any(now - 180 * DAY <= at <= now for at in times) for times in paid_at.values() for now in weeks)
    assert len(events) / decisions >= 20


def test_a_block_boundary_is_invisible() -> None:
    settings = ShopSettings.orders_only(1_100, 60)
    assert len(list(truth(settings, 1))) == 1_100
    assert max(event.customer_id for event in events_of(settings, 1)) > "c00001023"


def test_progress_is_reported_to_the_end() -> None:
    told: list[tuple[str, float]] = []
    write_log(SMALL, 1, io.BytesIO(), lambda what, share: told.append((what, share)))
    assert told[0][0] == "simulate"
    assert told[-1] == ("write", 1.0)


def test_one_customer_and_one_day_are_enough() -> None:
    for seed in range(30):
        log_of(ShopSettings(customers=1, days=1), seed)


def test_start_and_shop_are_arguments() -> None:
    start = datetime(2023, 11, 10, 4, 30, tzinfo=UTC)
    events = events_of(ShopSettings(customers=50, days=5, start=start, shop_id="tea"), 1)
    assert {event.shop_id for event in events} == {"tea"}
    assert all(start <= event.occurred_at < start + 5 * DAY for event in events)
    assert {event.occurred_at.utcoffset() for event in events} == {timedelta(hours=8)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"days": 0}, "days must be between 1 and"),
        ({"customers": 10**9}, "customers must be between 1 and"),
        ({"page_views": 0.5}, "page_views must be between 1 and"),
        ({"sessions": float("nan")}, "sessions must be between 0 and"),
        ({"kinds": ("orders",)}, "kinds must be one or more of browsing, cart, order, complaint, got orders"),
        ({"start": datetime(2025, 1, 1)}, "start needs an offset"),  # noqa: DTZ001 - the mistake that is tested
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShopSettings(**wrong)
