"""Each cause shows in the events where it should, and seldom where it should not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import pytest

from stream_app.core.events.schema import Browsing, Cart, Complaint, Event, Order
from stream_app.simulate import ShopSettings, Truth, simulate, truth

SETTINGS = ShopSettings(customers=6_000)
SEED = 1
HOUR = 3_600_000_000  # microseconds

Events = list[Event]


def orders(events: Events, action: str) -> list[Order]:
    return [event for event in events if isinstance(event, Order) and event.action == action]


def views(events: Events) -> list[Browsing]:
    return [event for event in events if isinstance(event, Browsing)]


def cart(events: Events, action: str) -> list[Cart]:
    return [event for event in events if isinstance(event, Cart) and event.action == action]


def complaints(events: Events, *categories: str) -> list[Complaint]:
    return [event for event in events if isinstance(event, Complaint) and event.category in categories]


def steps(events: Events) -> dict[str | None, dict[str, int]]:
    """Return the last time of each step of each complaint."""
    times: dict[str | None, dict[str, int]] = defaultdict(dict)
    for event in events:
        if isinstance(event, Complaint) and event.form == "complaint":
            times[event.complaint_id][event.action] = event.at
    return times


def delivered_late(events: Events) -> bool:
    arrived = orders(events, "delivered")
    return any(one.delivered_at and one.promised_at and one.delivered_at > one.promised_at for one in arrived)


def price_led(events: Events) -> bool:
    paid = orders(events, "paid")
    return bool(cart(events, "checkout_abandoned")) or (bool(paid) and all(one.discount for one in paid))


def restless(events: Events) -> bool:
    return len(cart(events, "add")) >= len(orders(events, "placed")) + 2


def faulty(events: Events) -> bool:
    rated = [event.rating for event in events if isinstance(event, Complaint) and event.rating]
    return bool(orders(events, "returned") or complaints(events, "quality", "description")) or min(rated, default=5) < 3


def answered_late(events: Events) -> bool:
    return any(
        "answered" in one and one["answered"] - one.get("opened", 0) > 24 * HOUR for one in steps(events).values()
    )


def left_open(events: Events) -> bool:
    return any("resolved" not in one for one in steps(events).values())


def promise_broken(events: Events) -> bool:
    return bool(complaints(events, "promise")) or delivered_late(events)


def slow_pages(events: Events) -> bool:
    return sum((view.load_seconds or 0) > 4 for view in views(events)) >= 2


def missing_goods(events: Events) -> bool:
    return any(view.available is False for view in views(events))


def ignored_recommendations(events: Events) -> bool:
    shown = [view.recommended for view in views(events) if view.recommended is not None]
    return sum(shown) >= 3 and sum(shown) > len(shown) / 2


def fed_up(events: Events) -> bool:
    return any(isinstance(event, Complaint) and event.form == "unsubscribe" for event in events) or bool(
        complaints(events, "messages")
    )


def afraid(events: Events) -> bool:
    return bool(complaints(events, "privacy") or cart(events, "payment_method_removed"))


def never_came_back(events: Events) -> bool:
    last_order = max((one.at for one in orders(events, "placed")), default=0)
    return not cart(events, "favourite") and max((view.at for view in views(events)), default=0) <= last_order


class Sign(NamedTuple):
    holds: Callable[[Events], bool]
    shown: float  # at least this share of those who show it
    missing: float  # at most this share of those whose evidence is missing


SIGNS = {
    "price": Sign(price_led, 0.95, 0.45),
    "too_many_choices": Sign(restless, 0.70, 0.35),
    "product_quality": Sign(faulty, 0.85, 0.15),
    "logistics": Sign(delivered_late, 0.80, 0.25),
    "service": Sign(answered_late, 0.90, 0.10),
    "unresolved_complaint": Sign(left_open, 0.95, 0.10),
    "broken_promise": Sign(promise_broken, 0.85, 0.30),
    "poor_site": Sign(slow_pages, 0.90, 0.10),
    "out_of_stock": Sign(missing_goods, 0.90, 0.25),
    "no_personal_fit": Sign(ignored_recommendations, 0.60, 0.10),
    "ad_harassment": Sign(fed_up, 0.80, 0.15),
    "privacy": Sign(afraid, 0.90, 0.10),
    "forgot_shop": Sign(never_came_back, 0.65, 0.25),
}


@pytest.fixture(scope="module")
def histories() -> dict[str, Events]:
    by_customer: dict[str, Events] = defaultdict(list)
    for batch in simulate(SETTINGS, SEED):
        for event in batch:
            by_customer[event.customer_id].append(event)
    return by_customer


@pytest.fixture(scope="module")
def vector() -> list[Truth]:
    return list(truth(SETTINGS, SEED))


@pytest.mark.parametrize("cause", SIGNS)
def test_evidence_is_there_where_shown_and_not_where_missing(
    cause: str, histories: dict[str, Events], vector: list[Truth]
) -> None:
    of_cause = [one for one in vector if cause in one.causes and one.customer_id in histories]
    shown = [SIGNS[cause].holds(histories[one.customer_id]) for one in of_cause if cause in one.shown]
    missing = [SIGNS[cause].holds(histories[one.customer_id]) for one in of_cause if cause not in one.shown]
    assert sum(shown) >= SIGNS[cause].shown * len(shown)
    assert sum(missing) <= SIGNS[cause].missing * len(missing)


@pytest.mark.parametrize("cause", SIGNS)
def test_evidence_sets_apart_from_customers_without_the_cause(
    cause: str, histories: dict[str, Events], vector: list[Truth]
) -> None:
    without = [SIGNS[cause].holds(histories[one.customer_id]) for one in vector if cause not in one.shown]
    assert sum(without) <= (SIGNS[cause].shown - 0.2) * len(without)


def test_neglected_customers_pay_little_and_get_no_benefit(histories: dict[str, Events], vector: list[Truth]) -> None:
    neglected = [one.customer_id for one in vector if "small_customer_neglect" in one.shown]
    others = [one.customer_id for one in vector if "small_customer_neglect" not in one.shown]

    def mean_amount(customers: list[str]) -> float:
        amounts = [one.amount or 0 for customer in customers for one in orders(histories[customer], "paid")]
        return sum(amounts) / len(amounts)

    assert mean_amount(neglected) < 0.6 * mean_amount(others)
    assert not any(one.member_benefit for customer in neglected for one in orders(histories[customer], "paid"))


def test_orders_of_a_fading_habit_get_rare_before_leaving() -> None:
    settings = ShopSettings.orders_only(15_000, 365)
    paid: dict[str, list[datetime]] = defaultdict(list)
    for batch in simulate(settings, SEED):
        for order in orders(batch, "paid"):
            paid[order.customer_id].append(order.occurred_at)
    silences: dict[bool, list[int]] = {True: [], False: []}
    for one in truth(settings, SEED):
        if one.left_at and not one.one_time and paid[one.customer_id]:
            silences["habit_change" in one.shown].append((one.left_at - paid[one.customer_id][-1]).days)
    fading, others = (sum(days) / len(days) for days in (silences[True], silences[False]))
    assert fading > 1.15 * others
