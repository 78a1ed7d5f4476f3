"""KPIs of a partition against brute-force counts over the same log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ComplaintForm, OrderAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Event, Order
from stream_app.core.kpis import population
from stream_app.core.kpis.aggregator import KpiState
from stream_app.core.kpis.event_counts import CATEGORIES, EVENT_COUNTS, EventCount
from stream_app.core.kpis.population import PopulationCounts
from stream_app.core.kpis.risk_bands import BANDS, bands
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.segments.lifecycle_stage import STAGES, stages
from stream_app.core.segments.segments import SEGMENTS, segments_of
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import Shops
from stream_app.core.shops.registry import MAX_SHOPS, OTHER_SHOPS, ShopRegistry, shop_key
from stream_app.core.state.counters import PERIOD_DAYS
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import LAST_ORDER, NEVER, ORDERS
from stream_app.core.units import DAY_US, HOUR_US
from tests.harness.shops import SHOP, T0, Shell, browsing, cart, complaint, logs, order

MINUTE_US = HOUR_US // 60
CHINA = msgspec.structs.replace(SHOP, zone="Asia/Shanghai", lost_after=40 * DAY_US)
NAMES = ("default", "s1", "旗舰店")
Flat = dict[tuple[str, EventCount], float]
Told = tuple[str, EventCount, float]


@st.composite
def shop_logs(draw: st.DrawFn) -> list[Event]:
    """Return a log of three shops, with visits of several pages."""
    events = []
    for drawn in draw(logs(customers=4, max_size=30)):
        shop = draw(st.sampled_from(NAMES))
        event: Event = msgspec.structs.replace(drawn, shop_id=shop)
        events.append(event)
        if isinstance(event, Browsing):
            at = event.at
            for minutes in draw(st.lists(st.sampled_from([0, 1, 29, 30, 31, 600]), max_size=3)):
                at += minutes * MINUTE_US
                events.append(browsing(event.customer_id, at, shop_id=shop))
    return sorted(events, key=lambda event: event.at)


def outcome(events: Iterable[Event], settings: Settings = CHINA, partitions: int = 1) -> Shell:
    shell = Shell(settings, partitions)
    for event in events:
        shell.take(event)
    return shell


def flows_of(shell: Shell) -> dict[tuple[str, EventCount], Any]:
    """Return all event counts that are not 0."""
    total: defaultdict[tuple[str, EventCount], float] = defaultdict(float)
    for partition in shell.partitions:
        counts = partition.aggregator.event_counts
        rows, counts.rows = counts.rows, {}
        for shop, row in rows.items():
            for flow, count in zip(EVENT_COUNTS, row, strict=True):
                total[shop, flow] += count
    return {key: pytest.approx(count) for key, count in total.items() if count}


def day_of(at: int) -> date:
    return CHINA.local(at).date()


# --- flows -----------------------------------------------------------------------------------------------------------


def counted_by_hand(events: Sequence[Event]) -> Flat:
    """Return the event counts of a log, computed event by event from the whole log."""
    pages: defaultdict[str, list[Browsing]] = defaultdict(list)
    bought: defaultdict[str, list[Order]] = defaultdict(list)
    found: list[Told] = []
    for event in events:
        if isinstance(event, Browsing):
            pages[event.customer_id].append(event)
        elif isinstance(event, Order) and event.action is OrderAction.PAID:
            bought[event.customer_id].append(event)
        found += of_kind(event)
    for views in pages.values():
        found += of_visits(views)
    for orders in bought.values():
        found += of_purchases(orders)
    total: defaultdict[tuple[str, EventCount], float] = defaultdict(float)
    for shop, flow, count in found:
        total[shop, flow] += count
    return {key: count for key, count in total.items() if count}


def of_kind(event: Event) -> list[Told]:
    if isinstance(event, Cart):
        return of_cart(event)
    if isinstance(event, Order):
        return of_order(event)
    return of_complaint(event) if isinstance(event, Complaint) else []


def of_purchases(orders: Sequence[Order]) -> list[Told]:
    kinds = ["first", *("repeat" for _ in orders[1:])]
    found: list[Told] = [(one.shop_id, EventCount("orders", kind), 1) for one, kind in zip(orders, kinds, strict=True)]
    found += [(one.shop_id, EventCount("revenue"), one.amount or 0) for one in orders]
    return found + first_of_days(orders, "daily_buyers")


def first_of_days(events: Sequence[Any], what: str) -> list[Told]:
    return [
        (event.shop_id, EventCount(what), 1)
        for place, event in enumerate(events)
        if not place or day_of(events[place - 1].at) != day_of(event.at)
    ]


def of_visits(views: Sequence[Browsing]) -> list[Told]:
    found: list[Told] = [(view.shop_id, EventCount("page_views"), 1) for view in views]
    starts, new, pages = [views[0]], [views[0]], 1
    for before, view in pairwise(views):
        if view.at - before.at > 30 * MINUTE_US:
            starts.append(view)
            new += [view] if day_of(before.at) != day_of(view.at) else []
            pages = 0
        pages += 1
        if pages == 2:
            found.append((view.shop_id, EventCount("visits_continued"), 1))
    for start in starts:
        found += [(start.shop_id, EventCount("visits"), 1), (start.shop_id, EventCount("funnel", "browse"), 1)]
    return found + [(start.shop_id, EventCount("visitors"), 1) for start in new]


def of_cart(event: Cart) -> list[Told]:
    money = (event.price or 0) * (event.quantity if event.quantity is not None else 1)
    places = {
        CartAction.ADD: (EventCount("funnel", "cart"), "cart"),
        CartAction.FAVOURITE: (EventCount("funnel", "favourite"), ""),
        CartAction.CHECKOUT_STARTED: (EventCount("funnel", "checkout"), "checkout"),
        CartAction.CHECKOUT_ABANDONED: (EventCount("checkout_losses", "abandoned"), "abandoned"),
        CartAction.PAYMENT_FAILED: (EventCount("checkout_losses", "payment_failed"), ""),
    }
    if event.action not in places:
        return []
    step, amount = places[event.action]
    found: list[Told] = [(event.shop_id, step, 1)]
    return [*found, (event.shop_id, EventCount("amounts", amount), money)] if amount else found


def of_order(event: Order) -> list[Told]:
    found: list[Told] = []
    if step := {"placed": "order", "paid": "paid", "delivered": "delivered"}.get(event.action):
        found.append((event.shop_id, EventCount("funnel", step), 1))
    if amount := {"placed": "order", "paid": "paid", "refunded": "refunded"}.get(event.action):
        found.append((event.shop_id, EventCount("amounts", amount), event.amount or 0))
    return found


def of_complaint(event: Complaint) -> list[Told]:
    if event.action != "opened" or (event.form == "survey" if event.rating is None else event.rating > 2):
        return []
    category = event.category if event.category in CATEGORIES else "other"
    kind = "unsubscribe" if event.form == "unsubscribe" else category
    found: list[Told] = [(event.shop_id, EventCount("complaints", kind), 1)]
    about_an_order = event.form in ("complaint", "low_review", "return_reason")
    return [*found, (event.shop_id, EventCount("funnel", "complained"), 1)] if about_an_order else found


@given(shop_logs(), st.integers(1, 3))
def test_event_counts_equal_a_count_over_the_whole_log_for_any_partitioning(
    events: list[Event], partitions: int
) -> None:
    assert flows_of(outcome(events, partitions=partitions)) == counted_by_hand(events)


def test_each_kind_of_event_is_counted_with_its_amount() -> None:
    events: list[Event] = [
        cart("c", T0, price=10.0, quantity=3, shop_id="s1"),
        cart("c", T0 + 1, action=CartAction.CHECKOUT_STARTED, price=10.0, quantity=2),
        cart("c", T0 + 2, action=CartAction.CHECKOUT_ABANDONED, price=7.0),
        order("c", T0 + 3, action=OrderAction.PLACED, amount=20.0),
        order("c", T0 + 4, amount=20.0),
        order("c", T0 + 5, action=OrderAction.DELIVERED, amount=20.0),
        order("c", T0 + 6, action=OrderAction.REFUNDED, amount=5.0),
        complaint("c", T0 + 7, category="logistics"),
        complaint("c", T0 + 8, action=ComplaintAction.RESOLVED, category="logistics"),
        complaint("c", T0 + 9, form=ComplaintForm.UNSUBSCRIBE),
        complaint("c", T0 + 10, form=ComplaintForm.SURVEY, rating=1.0),
        complaint("c", T0 + 11, category="太慢"),
        complaint("c", T0 + 12, form=ComplaintForm.SURVEY, rating=5.0),
        complaint("c", T0 + 13, rating=3.0),
    ]
    found = flows_of(outcome(events))
    assert found == counted_by_hand(events)
    assert found["s1", EventCount("amounts", "cart")] == 30.0
    assert found["default", EventCount("complaints", "logistics")] == 1
    assert found["default", EventCount("complaints", "other")] == 2  # of them a survey with one star
    assert found["default", EventCount("funnel", "complained")] == 2


def test_a_duplicate_counts_once_and_a_late_page_view_starts_no_visit() -> None:
    events = [
        browsing("c", T0 + 2 * HOUR_US, "a"),
        browsing("c", T0 + 2 * HOUR_US, "a"),
        browsing("c", T0, "late"),
    ]
    found = flows_of(outcome(events))
    assert found["default", EventCount("page_views")] == 2
    assert found["default", EventCount("visits")] == 1
    assert ("default", EventCount("visits_continued")) not in found


def test_taken_counts_are_reset() -> None:
    shell = outcome([browsing("c", T0)])
    assert flows_of(shell)
    assert flows_of(shell) == {}


# --- months ----------------------------------------------------------------------------------------------------------


def months_by_hand(events: Sequence[Event], until: int, settings: Settings) -> dict[date, list[Counter[str]]]:
    """Return month -> customers at its start, lost, returned, by shop, from every customer on every day."""
    keep = settings.lost_after // DAY_US
    orders = [event for event in events if isinstance(event, Order) and event.action == settings.order_action]
    if not orders:
        return {}
    last: dict[str, tuple[date, str]] = {}
    latest: dict[str, int] = {}
    day, end = day_of(orders[0].at), day_of(until)
    months: dict[date, list[Counter[str]]] = {day.replace(day=1): [Counter(), Counter(), Counter()]}
    while day <= end:
        alive = Counter(shop for bought, shop in last.values() if (day - bought).days - 1 <= keep)
        if day.day == 1 and day not in months:
            months[day] = [alive, Counter(), Counter()]
        month = months[day.replace(day=1)]
        month[1].update(shop for bought, shop in last.values() if (day - bought).days == keep + 1)
        for one in (one for one in orders if day_of(one.at) == day):
            before = last.get(one.customer_id)
            if before is not None and (day - before[0]).days > keep:
                month[2][one.shop_id] += 1
            if latest.get(one.customer_id) == one.at:  # two orders in one instant: whichever came first
                _, shop = last[one.customer_id]
                last[one.customer_id] = (day, max(shop, one.shop_id, key=shop_key))
            else:
                last[one.customer_id] = (day, one.shop_id)
            latest[one.customer_id] = one.at
        day += timedelta(days=1)
    return months


def told_months(partitions: Iterable[PartitionProcessor], until: int) -> dict[date, list[Counter[str]]]:
    """Return the present month and the one before, summed over partitions."""
    found: dict[date, list[Counter[str]]] = {}
    for partition in partitions:
        partition.aggregator.monthly_churn.advance(until)
        for month in partition.aggregator.monthly_churn.months:
            total = found.setdefault(
                day_of(partition.aggregator.monthly_churn.start_of(month)), [Counter() for _ in range(3)]
            )
            for counts, more in zip(total, (month.customers, month.lost, month.returned), strict=True):
                counts.update(more)
    return {month: counts for month, counts in found.items() if any(counts)}


@given(shop_logs(), st.integers(1, 3), st.integers(0, 100))
def test_months_equal_a_daily_count_of_every_customer(events: list[Event], partitions: int, silent_days: int) -> None:
    until = events[-1].at + silent_days * DAY_US
    by_hand = months_by_hand(events, until, CHINA)
    told = told_months(outcome(events, partitions=partitions).partitions, until)
    for month in sorted(by_hand)[-2:]:
        assert told.get(month, [Counter()] * 3) == by_hand[month]


def test_a_month_begins_in_the_shops_time_zone() -> None:
    shell = outcome([order("c", T0)])
    midnight = T0 + 31 * DAY_US - 8 * HOUR_US  # of Shanghai, the first of February
    (partition,) = shell.partitions
    partition.aggregator.monthly_churn.advance(midnight - 1)
    assert len(partition.aggregator.monthly_churn.months) == 1
    partition.aggregator.monthly_churn.advance(midnight)
    assert partition.aggregator.monthly_churn.months[0].customers == {"default": 1}
    assert partition.aggregator.monthly_churn.start_of(partition.aggregator.monthly_churn.months[0]) == midnight


def test_a_late_order_does_not_move_a_customer_back() -> None:
    (partition,) = outcome([order("c", T0 + 3 * DAY_US), order("c", T0)]).partitions
    partition.aggregator.monthly_churn.advance(T0 + 42 * DAY_US)
    assert partition.aggregator.monthly_churn.lost.total() == 0
    partition.aggregator.monthly_churn.advance(T0 + 45 * DAY_US)
    assert partition.aggregator.monthly_churn.lost.total() == 1


# --- customers -------------------------------------------------------------------------------------------------------


def standing_of(partition: PartitionProcessor) -> tuple[dict[tuple[str, str], int], ...]:
    """Return bands by segment, segments, stages, buyers and repeat buyers by shop, without zeros."""
    counted, shops = PopulationCounts(), partition.aggregator.shops.names
    now, usual = partition.stream_time, partition.explainer.shops.usual_amounts()
    for _ in partition.aggregator.population.count(counted, partition.ranking, len(partition.customers), now, usual):
        pass
    tables = (
        (counted.bands, [f"{segment} {band}" for segment in SEGMENTS for band in BANDS]),
        (counted.segments, SEGMENTS),
        (counted.stages, STAGES),
        (counted.buyers[:, None], ("",)),
        (counted.repeat_buyers[:, None], ("",)),
    )
    return tuple(
        {(shops[place], kinds[kind]): int(table[place, kind]) for place, kind in zip(*np.nonzero(table), strict=True)}
        for table, kinds in tables
    )


def standing_by_hand(partition: PartitionProcessor) -> tuple[dict[tuple[str, str], int], ...]:
    found: tuple[Counter[tuple[str, str]], ...] = (Counter(), Counter(), Counter(), Counter(), Counter())
    settings = partition.settings
    for customer in partition.customers.values():
        vector = np.array([customer.vector])
        if vector[0, LAST_ORDER] == NEVER:
            continue
        view = StateFrame(vector, np.array([partition.stream_time / DAY_US]), settings.horizon / DAY_US)
        shop = partition.aggregator.shop_of(customer)
        latest = partition.ranking.latest(customer.index)
        segment, *_ = segments_of(partition.explainer.profile(customer, partition.stream_time))
        if not np.isnan(latest):
            found[0][shop, f"{segment} {BANDS[bands(np.array([latest]))[0]]}"] += 1
        found[1][shop, segment] += 1
        found[2][shop, STAGES[stages(view, settings.lost_after / DAY_US)[0]]] += 1
        found[3][shop, ""] += 1
        found[4][shop, ""] += vector[0, ORDERS] >= 2
    return tuple({key: count for key, count in one.items() if count} for one in found)


@given(shop_logs(), st.integers(0, 60))
def test_population_counts_equal_those_of_single_customers(events: list[Event], silent_days: int) -> None:
    shell = outcome(events)
    (partition,) = shell.partitions
    partition.advance(events[-1].at + silent_days * DAY_US)
    partition.finish(shell.model)
    assert standing_of(partition) == standing_by_hand(partition)


def test_a_complaint_counts_until_it_is_solved_and_two_periods_have_passed() -> None:
    shell = outcome([order("c", T0), complaint("c", T0 + HOUR_US, complaint_id="1")])
    (partition,) = shell.partitions
    assert standing_of(partition)[1] == {("default", "complaining"): 1}
    shell.take(complaint("c", T0 + DAY_US, complaint_id="1", action=ComplaintAction.RESOLVED))
    assert standing_of(partition)[1] == {("default", "complaining"): 1}
    shell.take(browsing("c", T0 + 2 * PERIOD_DAYS * DAY_US))
    assert standing_of(partition)[1] == {("default", "one_time"): 1}


def test_the_last_of_many_orders_counts_as_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "_CHANGED_AT_ONCE", 1)  # so that each order is taken in at once
    (partition,) = outcome([order("c", T0), order("c", T0 + DAY_US)]).partitions
    assert standing_of(partition)[4] == {("default", ""): 1}


def test_a_customer_belongs_to_the_shop_of_their_last_order() -> None:
    events: list[Event] = [
        order("c", T0, shop_id="s1"),
        order("c", T0 + HOUR_US, shop_id="s2"),
        browsing("c", T0 + DAY_US),
    ]
    (partition,) = outcome(events).partitions
    assert standing_of(partition)[3] == {("s2", ""): 1}
    assert partition.aggregator.shop_of(partition.customers["c"]) == "s2"


def restored(partition: PartitionProcessor, settings: Settings) -> PartitionProcessor:
    """Return a partition after storing and restoring it."""
    customers = list(partition.customers.values())
    partition.aggregator.monthly_churn.advance(partition.stream_time)
    memory = msgspec.json.decode(msgspec.json.encode(partition.aggregator.state), type=KpiState)
    stored = zip((one.name for one in customers), encode_customers(customers, partition.ranking), strict=True)
    again = PartitionProcessor(settings)
    again.explainer.shops = Shops(partition.explainer.shops.known)
    found = decode_customers(list(stored), settings.horizon)
    again.working_set.add(found.customers)
    found.rank(again.ranking)
    again.stream_time = partition.stream_time
    again.finish_restore(memory)
    return again


@given(shop_logs(), st.data())
def test_restored_kpis_continue_like_uninterrupted_ones(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    whole, broken = outcome(events), outcome(events[:cut])
    broken.partitions[0].finish(broken.model)
    broken.partitions = [restored(broken.partitions[0], CHINA)]
    for event in events[cut:]:
        broken.take(event)
    for shell in (whole, broken):
        shell.partitions[0].finish(shell.model)
    until = events[-1].at + 50 * DAY_US
    assert standing_of(broken.partitions[0]) == standing_of(whole.partitions[0])
    assert told_months(broken.partitions, until) == told_months(whole.partitions, until)
    assert +broken.partitions[0].aggregator.monthly_churn.lost == +whole.partitions[0].aggregator.monthly_churn.lost


# --- shops -----------------------------------------------------------------------------------------------------------


def test_shops_beyond_the_limit_and_unprintable_names_share_a_place() -> None:
    shops = ShopRegistry()
    places = {shops.place(f"s{number}") for number in range(200)}
    assert len(places) == len(shops.names) == MAX_SHOPS + 1
    assert shops.names[shops.place("\ud800")] == OTHER_SHOPS
    assert shops.names[shops.place_of_key(shop_key("s150"))] == OTHER_SHOPS
    assert shops.names[shops.place_of_key(shop_key("s3"))] == "s3"
    again = ShopRegistry()
    for name in shops.names:
        again.place(name)
    assert again.names == shops.names
