"""Cart and checkout events, which happen at the end of visits."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Bools
from stream_app.core.events.enumerations import CartAction
from stream_app.simulate.arrays import Table, code, rows
from stream_app.simulate.customers import Customers
from stream_app.simulate.orders import NO_ORDER, Orders
from stream_app.simulate.pages import UNKNOWN, Looks
from stream_app.simulate.shop import Shop
from stream_app.simulate.tables import CART
from stream_app.simulate.visits import Visits

# Seconds from the end of the visit to the step; with an order, all steps precede it.
SHIFTS: Final = {
    CartAction.FAVOURITE: -5.0,
    CartAction.UNFAVOURITE: -4.0,
    CartAction.ADD: -3.0,
    CartAction.CHECKOUT_STARTED: -2.0,
    CartAction.PAYMENT_FAILED: -1.0,
    CartAction.CHECKOUT_ABANDONED: 60.0,
    CartAction.REMOVE: 90.0,
    CartAction.PAYMENT_METHOD_REMOVED: 120.0,
}


def cart_steps(
    shop: Shop, customers: Customers, orders: Orders, visits: Visits, looks: Looks, rng: np.random.Generator
) -> Table:
    """Return one row per cart or checkout step, unordered."""
    ordering = visits.order != NO_ORDER
    end = visits.at + np.where(ordering, 0.0, looks.seconds)
    quantity = np.where(ordering, np.append(orders.items, 1)[visits.order], 1)
    tables = []
    for action, chosen in _taken(shop, customers, visits, looks, rng).items():
        visit = np.flatnonzero(chosen)
        about_goods = action is not CartAction.PAYMENT_METHOD_REMOVED
        table = rows(
            len(visit),
            CART,
            at=(end[visit] + SHIFTS[action]) * 1_000,
            customer=customers.number[visits.who[visit]],
            session=visit,
            action=code(action),
            product=looks.product[visit] if about_goods else UNKNOWN,
            price_cents=looks.price_cents[visit] if about_goods else UNKNOWN,
            quantity=quantity[visit] if about_goods else 0,
            available=~looks.absent[visit] if about_goods else UNKNOWN,
        )
        tables.append(table)
    return np.concatenate(tables)


def _taken(
    shop: Shop, customers: Customers, visits: Visits, looks: Looks, rng: np.random.Generator
) -> dict[CartAction, Bools]:
    v = len(visits.who)
    ordering = visits.order != NO_ORDER
    poor_site = visits.showing(customers, "poor_site")
    fate = rng.random(v)
    checkout_left = ~ordering & (
        fate < np.where(visits.showing(customers, "price"), 0.7, np.where(poor_site, 0.5, 0.03))
    )
    adding = fate < np.where(visits.showing(customers, "too_many_choices"), 0.75, 0.12)
    wished = looks.absent & (rng.random(v) < 0.5)
    failing = np.where(poor_site & checkout_left, 0.8, np.where(ordering, shop.failure_rate, 0.0))
    return {
        CartAction.FAVOURITE: rng.random(v) < np.where(customers.shows("forgot_shop")[visits.who], 0.0, 0.10),
        CartAction.UNFAVOURITE: rng.random(v) < 0.01,
        CartAction.ADD: ordering | checkout_left | adding | wished,
        CartAction.CHECKOUT_STARTED: ordering | checkout_left,
        CartAction.PAYMENT_FAILED: rng.random(v) < failing,
        CartAction.CHECKOUT_ABANDONED: checkout_left,
        CartAction.REMOVE: adding & ~checkout_left & ~ordering & (rng.random(v) < 0.3),
        CartAction.PAYMENT_METHOD_REMOVED: visits.showing(customers, "privacy") | (rng.random(v) < 0.0005),
    }
