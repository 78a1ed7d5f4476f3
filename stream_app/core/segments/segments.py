"""Customer segments. Retention measures must fit both the cause of churn and the segment.

The rules operate on columns: explanations apply them to a single customer, KPIs to all customers of a partition.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Bools, Floats
from stream_app.core.segments.lifecycle_stage import DECLINING, GROWING, LOST, NEW, ONE_TIME, STAGES, Life, stages
from stream_app.core.state.profile import CustomerProfile

SEGMENTS: Final = ("complaining", "vip", "price_sensitive", "one_time", "growing", "declining", "loyal")
COMPLAINING, VIP, PRICE_SENSITIVE, ONCE, RISING, FADING, LOYAL = range(len(SEGMENTS))
NEVER_LOST: Final = float("inf")  # days; lost customers keep their segment
# A VIP is defined by recency, frequency and money, not by money alone.
VIP_SILENCE: Final = 8.0  # maximum silence, in multiples of the customer's usual gap
VIP_ORDER_DAYS: Final = 5  # minimum number of order days
VIP_MONEY: Final = 6.0  # minimum revenue, in multiples of the shop's usual order
CHEAP_SHARE: Final = 0.75  # minimum share of discounted orders
CHEAP_DEPTH: Final = 0.10  # minimum share of the full price saved

_OF_STAGE: Final = np.full(len(STAGES), LOYAL, dtype=np.int8)
_OF_STAGE[[NEW, ONE_TIME]] = ONCE
_OF_STAGE[GROWING], _OF_STAGE[[DECLINING, LOST]] = RISING, FADING


class Dealings(Life, Protocol):
    """Columns that segments are derived from, for n customers, in addition to those for stages."""

    @property
    def money(self) -> Floats:
        """Total amount of all orders."""

    @property
    def usual_amount(self) -> Floats:
        """Usual order amount in the customer's shop, or 0 if unknown."""

    @property
    def complains(self) -> Bools:
        """Whether the customer complained recently or has an open complaint."""

    @property
    def is_price_sensitive(self) -> Bools:
        """Result of `price_sensitive`."""


def segments(of: Dealings) -> npt.NDArray[np.int8]:
    """Return the segments of n customers as indices into SEGMENTS, shape (n,).

    The first matching segment applies. Segments that need attention take precedence over lifecycle stages.
    """
    segment = _OF_STAGE[stages(of, NEVER_LOST)]
    for one, belong in reversed(_before_stages(of)):
        segment[belong] = one
    return segment


def _before_stages(of: Dealings) -> list[tuple[int, Bools]]:
    """Return the segments that take precedence over lifecycle stages, in order, each with a mask of its members."""
    usual = of.usual_amount
    is_vip = (of.order_days >= VIP_ORDER_DAYS) & (usual > 0) & (of.money >= VIP_MONEY * usual)
    is_vip &= of.recency <= VIP_SILENCE * np.maximum(of.mean_gap, 0.5)
    return [(COMPLAINING, of.complains), (VIP, is_vip), (PRICE_SENSITIVE, of.is_price_sensitive)]


def price_sensitive(orders: Floats, discounted: Floats, money: Floats, discount: Floats) -> Bools:
    """Return whether most orders were considerably discounted. For a single order, the discount must be deep.

    Args:
        orders: numbers of orders, shape (n,).
        discounted: numbers of orders with a discount.
        money: total amount paid.
        discount: total amount saved.
    """
    whole = money + discount
    depth = np.where(whole > 0, discount / np.where(whole > 0, whole, 1.0), 0.0)
    often = (orders > 0) & (discounted >= CHEAP_SHARE * orders)
    return often & (depth >= np.where(orders > 1, CHEAP_DEPTH, 2 * CHEAP_DEPTH))


def segments_of(about: CustomerProfile) -> tuple[str, ...]:
    """Return all segments that a customer belongs to, starting with the one that applies."""
    single = _SingleCustomer(about)
    found = [one for one, belong in _before_stages(single) if belong[0]]
    return tuple(SEGMENTS[one] for one in (*found, _OF_STAGE[stages(single, NEVER_LOST)][0]))


class _SingleCustomer:
    """A customer as columns of length 1."""

    def __init__(self, about: CustomerProfile) -> None:
        view = about.frame
        self.horizon, self.order_days = view.horizon, view.order_days
        self.recency, self.mean_gap, self.last_gap = view.recency, view.mean_gap, view.last_gap
        self.money = view["money"]
        self.usual_amount: Floats = np.array([about.shop.usual_amount])
        self.complains: Bools = np.array([bool(about.counter("complaints") or about.open_days)])
        self.is_price_sensitive = price_sensitive(view["orders"], view["discounted"], self.money, view["discount"])
