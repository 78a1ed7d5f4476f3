"""Orders of a block of customers, with their steps from placement to delivery, cancellation or refund."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.events.enumerations import OrderAction
from stream_app.core.units import DAY_SECONDS, HOUR_SECONDS
from stream_app.simulate.arrays import Table, code, owners, pick, rows
from stream_app.simulate.customers import Customers
from stream_app.simulate.shop import PRODUCTS, Shop
from stream_app.simulate.tables import ORDER
from stream_app.simulate.vocabulary import CATEGORIES

NEVER: Final = np.inf
NO_ORDER: Final = -1  # row number of an order, for what has none
CANCELLED_SHARE: Final = 0.03
RETURN_RATE: Final = 0.015
FADED_RATE: Final = 0.3  # share of the order rate just before leaving


@dataclass(frozen=True, kw_only=True)
class Orders:
    """The m orders of a block, sorted by customer and time. Times are seconds since the log's start, or NEVER.

    `after` is the number of the customer's later orders up to `trouble_end`: 0 for the last one, -1 for later orders.
    """

    who: Ints  # row number of the customer in the block
    placed: Floats
    paid: Floats
    shipped: Floats
    promised: Floats
    delivered: Floats
    returned: Floats
    cancelled: Floats
    after: Ints
    product: Ints
    items: Ints
    amount_cents: Ints
    discount_cents: Ints
    carrier: Ints
    staff: Ints
    benefit: Bools


def order_times(shop: Shop, customers: Customers, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw the customers and times of orders, sorted by both. New customers place an order when they join."""
    clock = shop.clock
    first = clock.busy(customers.joined)
    busy_span = clock.busy(customers.left) - first
    counts = rng.poisson(customers.orders_per_day * busy_span / DAY_SECONDS)
    who = owners(counts)
    at = clock.ordinary(first[who] + rng.random(len(who)) * busy_span[who])
    kept = rng.random(len(who)) < customers.activity(who, at, FADED_RATE)
    fresh = np.flatnonzero(~customers.established)
    who = np.concatenate([fresh, who[kept]])
    at = np.concatenate([customers.joined[fresh], at[kept]])
    by_time = np.lexsort((at, who))
    return who[by_time], at[by_time]


def orders_after(customers: Customers, who: Ints, at: Floats) -> Ints:
    """Return, for each order, the number of later orders up to `trouble_end`; -1 for orders after `trouble_end`."""
    within = at <= customers.trouble_end[who]
    total = np.bincount(who, within, minlength=len(customers.number)).astype(np.int64)
    starts = np.searchsorted(who, np.arange(len(customers.number)))
    position = np.arange(len(who)) - starts[who]
    return np.where(within, total[who] - 1 - position, -1)


def draw_orders(shop: Shop, customers: Customers, rng: np.random.Generator) -> Orders:
    """Draw the orders of a block with prices, deliveries and returns."""
    who, placed = order_times(shop, customers, rng)
    after = orders_after(customers, who, placed)
    m = len(who)
    paid = placed + rng.uniform(20, 240, m)
    cancelled = np.where(rng.random(m) < CANCELLED_SHARE, placed + rng.uniform(0.5, 12, m) * HOUR_SECONDS, NEVER)
    paid = np.where(cancelled < NEVER, NEVER, paid)
    product = draw_products(shop, customers, who, rng)
    quality = customers.shows("product_quality")[who] & (after == 0)
    product = np.where(quality & (rng.random(m) < 0.5), shop.weak_products[rng.integers(6, size=m)], product)
    items, amount, discount = draw_prices(shop, customers, who, placed, after, product, rng)
    carrier, shipped, promised, delivered = draw_deliveries(shop, customers, who, paid, after, rng)
    sent_back = (rng.random(m) < RETURN_RATE) | (quality & (rng.random(m) < 0.7))
    staff = pick(rng, shop.staff_weights, m)
    bad_service = customers.shows("service")[who] & (after == 0) & (rng.random(m) < 0.5)
    return Orders(
        who=who,
        placed=placed,
        paid=paid,
        shipped=shipped,
        promised=promised,
        delivered=delivered,
        returned=np.where(sent_back, delivered + rng.uniform(10, 90, m) * HOUR_SECONDS, NEVER),
        cancelled=cancelled,
        after=after,
        product=product,
        items=items,
        amount_cents=amount,
        discount_cents=discount,
        carrier=carrier,
        staff=np.where(bad_service, shop.weak_staff, staff),
        benefit=customers.member[who] & (placed - customers.joined[who] > 30 * DAY_SECONDS) & (rng.random(m) < 0.7),
    )


def draw_products(shop: Shop, customers: Customers, who: Ints, rng: np.random.Generator) -> Ints:
    """Draw a product for each row, mostly from the customer's home category, by popularity."""
    per_category = PRODUCTS // len(CATEGORIES)
    anything = pick(rng, shop.product_weights, len(who))
    own = customers.home_category[who] * per_category + anything % per_category
    return np.where(rng.random(len(who)) < 0.7, own, anything)


def draw_prices(
    shop: Shop, customers: Customers, who: Ints, placed: Floats, after: Ints, product: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Draw the items, amount and discount (in cents) of each order, depending on the causes shown."""
    m = len(who)
    neglected = customers.shows("small_customer_neglect")[who]
    restless = customers.shows("too_many_choices")[who] & (after >= 0) & (after < 2)
    items = np.where(neglected | restless, 1, 1 + rng.poisson(0.5, m))
    full = shop.product_cents[product] * items * customers.spending[who] * np.where(restless, 0.5, 1.0)
    chance = np.where(shop.clock.in_campaign(placed) > 0, 0.8, shop.discount_share)
    price_led = customers.shows("price")[who] & (after >= 0)
    share = np.where(rng.random(m) < chance, rng.uniform(0.05, 0.2, m), 0.0)
    share = np.where(price_led, rng.uniform(0.15, 0.4, m), share)
    discount = np.round(full * share).astype(np.int64)
    return items, np.maximum(100, np.round(full).astype(np.int64) - discount), discount


def draw_deliveries(
    shop: Shop, customers: Customers, who: Ints, paid: Floats, after: Ints, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats, Floats]:
    """Draw the carrier and delivery times of each order. Delays depend on the carrier and on two causes."""
    m = len(who)
    late_parcel = customers.shows("logistics")[who] & (after == 0)
    over_promised = customers.shows("broken_promise")[who] & (after == 0)
    carrier = pick(rng, shop.carrier_weights, m)
    carrier = np.where(late_parcel & (rng.random(m) < 0.5), shop.weak_carrier, carrier)
    shipped = paid + rng.uniform(3, 30, m) * HOUR_SECONDS
    promise_days = np.where(over_promised, 1.0, rng.integers(4, 7, m))
    slow = late_parcel | (rng.random(m) < shop.late_rates[carrier])
    late_by, on_the_way = rng.uniform(1.5, 6, m) * DAY_SECONDS, rng.uniform(1.0, 2.6, m) * DAY_SECONDS
    promised = paid + promise_days * DAY_SECONDS
    delivered = np.where(slow, promised + late_by, shipped + on_the_way)
    return carrier, shipped, promised, np.where(over_promised, delivered + DAY_SECONDS, delivered)


def order_events(customers: Customers, orders: Orders) -> Table:
    """Return one row per step of an order, unordered."""
    steps = {
        OrderAction.PLACED: orders.placed,
        OrderAction.PAID: orders.paid,
        OrderAction.SHIPPED: orders.shipped,
        OrderAction.DELIVERED: orders.delivered,
        OrderAction.CANCELLED: orders.cancelled,
        OrderAction.RETURNED: orders.returned,
        OrderAction.REFUNDED: orders.returned + 2 * DAY_SECONDS,
    }
    return np.concatenate([_step_rows(customers, orders, action, at) for action, at in steps.items()])


def _step_rows(customers: Customers, orders: Orders, action: OrderAction, at: Floats) -> Table:
    """Return the rows of one kind of step. Fields that are not yet known at that step are not sent."""
    number = np.flatnonzero(at < NEVER)
    o = number
    sent = action in (OrderAction.SHIPPED, OrderAction.DELIVERED, OrderAction.RETURNED, OrderAction.REFUNDED)
    arrived = sent and action is not OrderAction.SHIPPED
    promised = action not in (OrderAction.PLACED, OrderAction.CANCELLED)
    return rows(
        len(o),
        ORDER,
        at=at[o] * 1_000,
        customer=customers.number[orders.who[o]],
        order=number,
        action=code(action),
        product=orders.product[o],
        amount_cents=orders.amount_cents[o],
        discount_cents=orders.discount_cents[o],
        items=orders.items[o],
        promised_seconds=orders.promised[o] if promised else -1,
        delivered_seconds=orders.delivered[o] if arrived else -1,
        carrier=orders.carrier[o] if sent else -1,
        staff=orders.staff[o],
        region=customers.region[orders.who[o]],
        channel=customers.channel[orders.who[o]],
        benefit=orders.benefit[o],
    )
