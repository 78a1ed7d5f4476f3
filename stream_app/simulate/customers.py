"""Hidden attributes of customers: their rates, when and why they leave, and the causes visible in their events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_SECONDS
from stream_app.simulate.arrays import pick
from stream_app.simulate.shop import BLOCK, Shop
from stream_app.simulate.vocabulary import CATEGORIES, CAUSES

TWO_CAUSES_SHARE: Final = 1 / 3  # share of leaving customers
MISSING_SHARE: Final = 0.2  # share of causes that do not show in events
MISLEADING_SHARE: Final = 0.1  # share of causes that show as a different cause
NO_CAUSE: Final = -1
CHINESE_SHARE: Final = 0.85  # share of customers who write Chinese
FORESIGHT_DAYS: Final = 60.0  # customers who leave within this time after the end of the log show their cause in it
ESTABLISHED_DAYS: Final = 720.0  # maximum time since established customers joined


@dataclass(frozen=True, kw_only=True)
class Customers:
    """A block of n customers, with an array of length n for each attribute. Times are seconds since the log's start.

    `left` is when a customer leaves for good, possibly after the end of the log. `shown[i, c]` is set if the events of
    customer i between `trouble_start` and `trouble_end` show cause c, correctly or misleadingly.
    """

    number: Ints
    joined: Floats
    left: Floats
    one_time: Bools
    established: Bools
    orders_per_day: Floats
    visits_per_day: Floats
    decline_seconds: Floats
    causes: Ints  # shape (n, 2), padded with NO_CAUSE
    shown: Bools  # shape (n, causes)
    trouble_start: Floats
    trouble_end: Floats
    home_category: Ints
    spending: Floats  # factor applied to order amounts
    member: Bools
    english: Bools
    region: Ints
    channel: Ints

    def shows(self, cause: str) -> Bools:
        """Return a mask of the customers whose events show a cause."""
        return self.shown[:, CAUSES.index(cause)]

    def activity(self, who: Ints, at: Floats, floor: float) -> Floats:
        """Return the share of the full rate, which rises at first, is then stable, and fades to `floor` before leaving.

        With a habit change, it fades further. `who` (row numbers in this block) and `at` (times) have the same length.
        """
        floors = np.where(self.shows("habit_change"), floor / 4, floor)[who]
        known_for = (at - self.joined[who]) / (90 * DAY_SECONDS)
        remaining = (self.left[who] - at) / self.decline_seconds[who]
        return np.minimum(np.clip(0.6 + 0.4 * known_for, 0, 1), np.clip(floors + (1 - floors) * remaining, 0, 1))


def draw_customers(shop: Shop, block: int, rng: np.random.Generator) -> Customers:
    """Draw the customers of a block. Blocks are independent of each other."""
    numbers = np.arange(block * BLOCK, min((block + 1) * BLOCK, shop.settings.customers))
    n = len(numbers)
    kind = rng.random(n)
    one_time = kind < shop.one_time_share
    established = kind > 1 - shop.established_share
    clock = shop.clock
    newly = clock.ordinary(rng.random(n) * clock.busy(np.array([clock.end])))
    joined = np.where(established, -rng.random(n) * ESTABLISHED_DAYS * DAY_SECONDS, newly)
    stay = rng.exponential(shop.lifetime_days, n) + 5
    left = np.where(one_time, joined + rng.uniform(3, 40, n) * DAY_SECONDS, np.maximum(joined, 0) + stay * DAY_SECONDS)
    leaving = left < clock.end + FORESIGHT_DAYS * DAY_SECONDS
    causes = draw_causes(one_time, leaving, shop.cause_shares, rng)
    shown = draw_shown(causes, shop.stayer_share, shop.cause_shares[1], rng)
    trouble_end = np.where(leaving, left, rng.uniform(np.maximum(joined, 0), clock.end))
    trouble_start = np.maximum(joined, trouble_end - rng.uniform(20, 60, n) * DAY_SECONDS)
    rate = rng.gamma(shop.rate_shape, shop.orders_per_day / shop.rate_shape, n)
    fading = shop.decline_days * rng.uniform(0.5, 1.5, n) * (1 + 3 * shown[:, CAUSES.index("habit_change")])
    neglected = shown[:, CAUSES.index("small_customer_neglect")]
    return Customers(
        number=numbers,
        joined=joined,
        left=left,
        one_time=one_time,
        established=established,
        orders_per_day=np.where(one_time, 0.0, rate),
        visits_per_day=(rate + 0.004) * shop.visits_per_order * rng.lognormal(0, 0.5, n),
        decline_seconds=fading * DAY_SECONDS,
        causes=causes,
        shown=shown,
        trouble_start=trouble_start,
        trouble_end=trouble_end,
        home_category=rng.integers(len(CATEGORIES), size=n),
        spending=rng.lognormal(0, 0.35, n) * np.where(neglected, 0.35, 1.0),
        member=(rng.random(n) < 0.7) & ~neglected,
        english=rng.random(n) > CHINESE_SHARE,
        region=pick(rng, shop.region_weights, n),
        channel=pick(rng, shop.channel_weights, n),
    )


def draw_causes(one_time: Bools, leaving: Bools, shares: Floats, rng: np.random.Generator) -> Ints:
    """Draw one or two different causes for leaving customers, from the shares among one-time or repeat buyers.

    Returns shape (n, 2), NO_CAUSE if there is none. Two weighted draws without replacement are the two largest of
    log weight + Gumbel noise (Kool, van Hoof, Welling 2019, "Stochastic beams and where to find them").
    """
    with np.errstate(divide="ignore"):
        weights = np.log(shares)[np.where(one_time, 0, 1)]
    keys = weights + rng.gumbel(size=weights.shape)
    causes = np.argsort(-keys, axis=1)[:, :2]
    causes[rng.random(len(causes)) >= TWO_CAUSES_SHARE, 1] = NO_CAUSE
    causes[~leaving] = NO_CAUSE
    return causes


def draw_shown(causes: Ints, stayer_share: float, shares: Floats, rng: np.random.Generator) -> Bools:
    """Draw which causes the events show: mostly the true ones, some missing, some misleading; shape (n, causes).

    A share of the customers who stay also show a random cause, as if they had forgiven a bad experience.
    """
    n = len(causes)
    shown = np.zeros((n, len(CAUSES)), np.bool_)
    for cause in causes.T:
        fate = rng.random(n)
        other = (cause + rng.integers(1, len(CAUSES), n)) % len(CAUSES)
        seen_as = np.where(fate < MISLEADING_SHARE, other, cause)
        there = np.flatnonzero((cause != NO_CAUSE) & (fate < 1 - MISSING_SHARE))
        shown[there, seen_as[there]] = True
    forgiven = np.flatnonzero((causes[:, 0] == NO_CAUSE) & (rng.random(n) < stayer_share))
    shown[forgiven, pick(rng, shares, len(forgiven))] = True
    return shown
