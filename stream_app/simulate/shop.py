"""The simulated shop: the user's settings, and parameters drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Self

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.events.schema import CUSTOMER_KINDS, DEFAULT_SHOP
from stream_app.simulate.calendar import SHOP_ZONE, BusyClock
from stream_app.simulate.vocabulary import ACQUISITION_CHANNELS, CARRIERS, CATEGORIES, CAUSE_PRIORS, REGIONS, STAFF

BLOCK: Final = 1_024  # customers simulated together; changing this changes the log of every seed
PRODUCTS: Final = 360  # evenly spread over the categories
MAX_CUSTOMERS: Final = 99_999_999  # limited by the digits of a customer id
MAX_DAYS: Final = 3_653
DEFAULT_START: Final = datetime(2025, 1, 1, tzinfo=SHOP_ZONE)


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """Settings for a simulated log.

    Attributes:
        customers: number of customers.
        days: length of the log.
        start: start of the log.
        sessions: factor applied to the number of visits without an order.
        page_views: mean number of page views per visit.
        kinds: kinds of events to write. Does not affect the simulated customers and orders.
        shop_id: id of the shop.
        cause_shares: share of each of `vocabulary.CAUSES` among lost one-time buyers, and among lost repeat buyers.

    >>> ShopSettings(customers=0)
    Traceback (most recent call last):
    ValueError: customers must be between 1 and 99999999, got 0
    """

    customers: int = 5_000
    days: int = 365
    start: datetime = DEFAULT_START
    sessions: float = 1.0
    page_views: float = 3.0
    kinds: tuple[str, ...] = tuple(CUSTOMER_KINDS)
    shop_id: str = DEFAULT_SHOP
    cause_shares: tuple[tuple[float, float], ...] = tuple(CAUSE_PRIORS.values())

    def __post_init__(self) -> None:
        limits = {
            "customers": (1, MAX_CUSTOMERS),
            "days": (1, MAX_DAYS),
            "sessions": (0, 1_000),
            "page_views": (1, 100),
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between {least} and {most}, got {getattr(self, name)}")
        if self.start.tzinfo is None:
            raise ValueError("start needs an offset, for example 2025-01-01T00:00:00+08:00")
        if not self.kinds or set(self.kinds) - set(CUSTOMER_KINDS):
            raise ValueError(
                f"kinds must be one or more of {', '.join(CUSTOMER_KINDS)}, got {', '.join(self.kinds) or 'none'}"
            )

    @classmethod
    def browsing_heavy(cls, customers: int, days: int) -> Self:
        """Return settings for a log with more than 20 events per weekly decision for a recent buyer."""
        return cls(customers=customers, days=days, sessions=16.0, page_views=9.0)

    @classmethod
    def orders_only(cls, customers: int, days: int) -> Self:
        """Return settings for a log of orders only."""
        return cls(customers=customers, days=days, kinds=("order",))


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Parameters of a shop, drawn from the seed. Rates are per day or per order; shares and chances are in [0, 1]."""

    settings: ShopSettings
    clock: BusyClock
    one_time_share: float
    established_share: float  # share of customers who joined before the log
    rate_shape: float  # shape of the gamma distribution of order rates
    orders_per_day: float  # mean of that distribution
    lifetime_days: float  # mean for repeat buyers
    decline_days: float  # mean time over which orders and visits fade before leaving
    visits_per_order: float
    visit_chance_after_leaving: float
    stayer_share: float  # share of staying customers who show a cause
    complaint_rate: float  # per order, unrelated to any cause of churn
    discount_share: float  # share of orders with a discount outside campaigns
    failure_rate: float  # share of payments that fail
    out_of_stock_rate: float
    late_rates: Floats  # share of late parcels per carrier
    carrier_weights: Floats
    staff_weights: Floats
    region_weights: Floats
    channel_weights: Floats
    product_weights: Floats
    product_cents: Ints
    weak_carrier: int
    weak_staff: int
    weak_products: Ints

    @property
    def cause_shares(self) -> Floats:
        """Shares of the causes with shape (2, causes): row 0 for one-time buyers, row 1 for repeat buyers."""
        return np.array(self.settings.cause_shares).T

    @cached_property
    def product_categories(self) -> Ints:
        """Category number of each product."""
        return np.arange(PRODUCTS) * len(CATEGORIES) // PRODUCTS


def draw_shop(settings: ShopSettings, seed: int) -> Shop:
    """Draw a shop. The same settings and seed give the same shop."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    weak_carrier = int(rng.integers(len(CARRIERS)))
    late_rates = rng.uniform(0.01, 0.05, len(CARRIERS))
    late_rates[weak_carrier] = rng.uniform(0.08, 0.14)
    return Shop(
        settings=settings,
        clock=BusyClock(settings.start, settings.days),
        one_time_share=rng.uniform(0.26, 0.30),
        established_share=rng.uniform(0.16, 0.21),
        rate_shape=rng.uniform(2.2, 3.5),
        orders_per_day=1 / rng.uniform(59, 67),
        lifetime_days=rng.uniform(370, 480),
        decline_days=rng.uniform(45, 75),
        visits_per_order=rng.uniform(1.4, 2.0),
        visit_chance_after_leaving=rng.uniform(0.6, 0.8),
        stayer_share=rng.uniform(0.15, 0.25),
        complaint_rate=rng.uniform(0.012, 0.025),
        discount_share=rng.uniform(0.20, 0.30),
        failure_rate=rng.uniform(0.008, 0.016),
        out_of_stock_rate=rng.uniform(0.008, 0.016),
        late_rates=late_rates,
        carrier_weights=rng.uniform(0.5, 1.5, len(CARRIERS)),
        staff_weights=rng.uniform(0.5, 1.5, len(STAFF)),
        region_weights=rng.uniform(0.4, 1.6, len(REGIONS)),
        channel_weights=rng.uniform(0.4, 1.6, len(ACQUISITION_CHANNELS)),
        product_weights=rng.pareto(1.6, PRODUCTS) + 0.2,
        product_cents=np.round(np.exp(rng.normal(4.3, 0.7, PRODUCTS))).astype(np.int64) * 100 + 990,
        weak_carrier=weak_carrier,
        weak_staff=int(rng.integers(len(STAFF))),
        weak_products=rng.choice(PRODUCTS, 6, replace=False),
    )
