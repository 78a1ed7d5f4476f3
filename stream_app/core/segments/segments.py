"""Which segment a customer belongs to: what is done must fit the cause and the segment.

The rule stands here once, over columns: an explanation asks it of one customer, the metrics of all of them.
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
NEVER_LOST: Final = float("inf")  # days: who is lost keeps the segment that he had
# A VIP is one by recency, frequency and money, never by money alone.
VIP_SILENCE: Final = 8.0  # of the customer's usual gaps, at the most
VIP_ORDER_DAYS: Final = 5  # at the least
VIP_MONEY: Final = 6.0  # usual orders of the shop that all of his orders make, at the least
CHEAP_SHARE: Final = 0.75  # of the orders, that had a discount
CHEAP_DEPTH: Final = 0.10  # of the money

_OF_STAGE: Final = np.full(len(STAGES), LOYAL, dtype=np.int8)
_OF_STAGE[[NEW, ONE_TIME]] = ONCE
_OF_STAGE[GROWING], _OF_STAGE[[DECLINING, LOST]] = RISING, FADING


class Dealings(Life, Protocol):
    """What the segment of n customers is read from, beside their stage."""

    @property
    def money(self) -> Floats:
        """Of all orders."""
        ...

    @property
    def usual_amount(self) -> Floats:
        """What an order of the customer's shop is usually worth; 0: not known."""
        ...

    @property
    def complains(self) -> Bools:
        """Whether there was a complaint lately, or one is open."""
        ...

    @property
    def is_price_sensitive(self) -> Bools:
        """See `price_sensitive`."""
        ...


def segments(of: Dealings) -> npt.NDArray[np.int8]:
    """The segment of n customers, indices into SEGMENTS, shape (n,).

    It is the first that fits: what must not be overlooked stands before how somebody buys.
    """
    segment = _OF_STAGE[stages(of, NEVER_LOST)]
    for one, belong in reversed(_before_stages(of)):
        segment[belong] = one
    return segment


def _before_stages(of: Dealings) -> list[tuple[int, Bools]]:
    """The segments that come before those of the stages, the first that fits first, and who belongs to each."""
    usual = of.usual_amount
    is_vip = (of.order_days >= VIP_ORDER_DAYS) & (usual > 0) & (of.money >= VIP_MONEY * usual)
    is_vip &= of.recency <= VIP_SILENCE * np.maximum(of.mean_gap, 0.5)
    return [(COMPLAINING, of.complains), (VIP, is_vip), (PRICE_SENSITIVE, of.is_price_sensitive)]


def price_sensitive(orders: Floats, discounted: Floats, money: Floats, discount: Floats) -> Bools:
    """Whether most orders had a discount worth naming; one order alone may be chance, unless it was a deep one.

    Args:
        orders: that count, shape (n,).
        discounted: of them, those with a discount.
        money: paid for all of them.
        discount: saved on all of them.
    """
    whole = money + discount
    depth = np.where(whole > 0, discount / np.where(whole > 0, whole, 1.0), 0.0)
    often = (orders > 0) & (discounted >= CHEAP_SHARE * orders)
    return often & (depth >= np.where(orders > 1, CHEAP_DEPTH, 2 * CHEAP_DEPTH))


def segments_of(about: CustomerProfile) -> tuple[str, ...]:
    """Every segment to which one customer belongs; the first is the customer's segment."""
    alone = _Alone(about)
    found = [one for one, belong in _before_stages(alone) if belong[0]]
    return tuple(SEGMENTS[one] for one in (*found, _OF_STAGE[stages(alone, NEVER_LOST)][0]))


class _Alone:
    """One customer as columns."""

    def __init__(self, about: CustomerProfile) -> None:
        view = about.frame
        self.horizon, self.order_days = view.horizon, view.order_days
        self.recency, self.mean_gap, self.last_gap = view.recency, view.mean_gap, view.last_gap
        self.money = view["money"]
        self.usual_amount: Floats = np.array([about.shop.usual_amount])
        self.complains: Bools = np.array([bool(about.counter("complaints") or about.open_days)])
        self.is_price_sensitive = price_sensitive(view["orders"], view["discounted"], self.money, view["discount"])
