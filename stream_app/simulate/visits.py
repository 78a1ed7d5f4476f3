"""Visits of a block of customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_SECONDS
from stream_app.simulate.arrays import owners
from stream_app.simulate.customers import Customers
from stream_app.simulate.orders import NO_ORDER, Orders
from stream_app.simulate.shop import Shop

FADED_RATE: Final = 0.4  # share of the visit rate just before leaving
VISITS_AFTER_ONE_ORDER: Final = 2.0  # mean number of visits of one-time buyers
TROUBLED_VISITS: Final = 2.0  # mean number of additional visits in which a cause shows
# Causes that show in visits. Each adds visits between trouble_start and trouble_end.
VISIT_CAUSES: Final = ("price", "too_many_choices", "poor_site", "out_of_stock", "no_personal_fit", "privacy")
SILENT_CAUSES: Final = ("forgot_shop", "natural")


@dataclass(frozen=True, kw_only=True)
class Visits:
    """v visits of a block. `at` is the start of the visit, or the time of its order if it has one."""

    who: Ints  # row number of the customer in the block
    at: Floats
    order: Ints  # row number of the order in the block, or NO_ORDER
    troubled: Bools  # whether the visit is between the customer's trouble_start and trouble_end

    def showing(self, customers: Customers, cause: str) -> Bools:
        """Return a mask of the visits in which a cause shows."""
        return self.troubled & customers.shows(cause)[self.who]


def draw_visits(shop: Shop, customers: Customers, orders: Orders, rng: np.random.Generator) -> Visits:
    """Draw all visits: those with an order, ordinary ones, those due to a cause, and those after the last order."""
    parts = [
        (orders.who, orders.placed),
        _ordinary(shop, customers, rng),
        _after_leaving(shop, customers, rng),
        _in_trouble(customers, rng),
    ]
    who = np.concatenate([part[0] for part in parts])
    at = np.concatenate([part[1] for part in parts])
    order = np.concatenate([np.arange(len(orders.who)), np.full(len(who) - len(orders.who), NO_ORDER)])
    inside = (at >= 0) & (at < shop.clock.end)
    who, at, order = who[inside], at[inside], order[inside]
    troubled = (at >= customers.trouble_start[who]) & (at <= customers.trouble_end[who] + DAY_SECONDS)
    return Visits(who=who, at=at, order=order, troubled=troubled)


def _ordinary(shop: Shop, customers: Customers, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw repeat buyers' visits without an order; a customer who starts to forget the shop makes no more of them."""
    first = shop.clock.busy(customers.joined)
    span = shop.clock.busy(customers.left) - first
    rate = customers.visits_per_day * shop.settings.sessions * ~customers.one_time
    counts = rng.poisson(rate * span / DAY_SECONDS)
    who = owners(counts)
    at = shop.clock.ordinary(first[who] + rng.random(len(who)) * span[who])
    kept = rng.random(len(who)) < customers.activity(who, at, FADED_RATE)
    kept &= ~(customers.shows("forgot_shop")[who] & (at > customers.trouble_start[who]))
    return who[kept], at[kept]


def _after_leaving(shop: Shop, customers: Customers, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw visits after the last order, since customers who have left may still browse."""
    lingers = customers.one_time | (rng.random(len(customers.number)) < shop.visit_chance_after_leaving)
    silent = np.any([customers.shows(cause) for cause in SILENT_CAUSES], axis=0)
    mean = np.where(customers.one_time, VISITS_AFTER_ONE_ORDER, customers.visits_per_day * 40)
    counts = rng.poisson(mean * shop.settings.sessions * (lingers & ~silent))
    who = owners(counts)
    begin = np.where(customers.one_time, customers.joined, customers.left)[who]
    return who, begin + rng.exponential(50 * DAY_SECONDS, len(who))


def _in_trouble(customers: Customers, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw additional visits for each cause that shows in visits."""
    causes = np.sum([customers.shows(cause) for cause in VISIT_CAUSES], axis=0)
    counts = np.where(causes > 0, causes + rng.poisson(causes * TROUBLED_VISITS), 0)
    who = owners(counts)
    return who, rng.uniform(customers.trouble_start[who], customers.trouble_end[who])
