"""Which segment a customer belongs to: what is done must fit the cause and the segment."""

from __future__ import annotations

from typing import Final

from stream_app.core.circumstances import Circumstances
from stream_app.core.lifecycle import DECLINING, GROWING, LOST, NEW, ONE_TIME, stages

SEGMENTS: Final = ("complaining", "vip", "price_sensitive", "one_time", "growing", "declining", "loyal")
NEVER_LOST: Final = float("inf")  # days: who is lost keeps the segment that he had
VIP_SCORE: Final = 4  # of 5, for frequency and for money
FREQUENT: Final = (2, 3, 5, 9)  # order days from which on frequency scores 2, 3, 4, 5
RICH: Final = (1.5, 3.0, 6.0, 12.0)  # usual orders of the shop that the money of all orders makes
RECENT: Final = (8.0, 4.0, 2.0, 1.0)  # usual gaps of silence down to which recency scores 2, 3, 4, 5
CHEAP_SHARE: Final = 0.75  # of the orders, that had a discount
CHEAP_DEPTH: Final = 0.10  # of the money


def scores(about: Circumstances) -> tuple[int, int, int]:
    """Recency, frequency and money, from 1 to 5 each: worth is judged on all three, never on money alone.

    Recency is measured in the customer's own gaps, money in what an order of the shop is usually worth.
    """
    silence = about.silent_days / max(float(about.view.mean_gap[0]), 0.5)
    recency = 1 + sum(silence <= bar for bar in RECENT)
    frequency = 1 + sum(about.view.order_days[0] >= bar for bar in FREQUENT)
    usual = about.shop.usual_amount
    money = 1 + sum(about.fact("money") >= bar * usual for bar in RICH) if usual > 0 else 1
    return recency, int(frequency), int(money)


def segment_of(about: Circumstances) -> str:
    """The segment: the first of SEGMENTS that fits; what must not be overlooked stands before how he buys."""
    if about.count("complaints") or about.open_days:
        return "complaining"
    recency, frequency, money = scores(about)
    if frequency >= VIP_SCORE and money >= VIP_SCORE and recency > 1:
        return "vip"
    if _is_price_sensitive(about):
        return "price_sensitive"
    stage = int(stages(about.view, NEVER_LOST)[0])
    if stage in (NEW, ONE_TIME):
        return "one_time"
    return {GROWING: "growing", DECLINING: "declining", LOST: "declining"}.get(stage, "loyal")


def _is_price_sensitive(about: Circumstances) -> bool:
    """Whether most orders had a discount worth naming; one order alone may be chance, unless it was a deep one."""
    paid, saved = about.fact("money"), about.fact("discount")
    depth = saved / (paid + saved) if paid + saved > 0 else 0.0
    often = about.orders > 0 and about.fact("discounted") / about.orders >= CHEAP_SHARE
    return often and depth >= (CHEAP_DEPTH if about.orders > 1 else 2 * CHEAP_DEPTH)
