"""What happened in a shop since it was last asked: visits, steps of the funnel, orders, complaints."""

from __future__ import annotations

from typing import Final

FUNNEL: Final = ("browse", "favourite", "cart", "checkout", "order", "paid", "delivered", "complained")
AMOUNTS: Final = ("cart", "checkout", "abandoned", "order", "paid", "refunded")  # whose money is counted
CHECKOUT_LOSSES: Final = ("abandoned", "payment_failed")
ORDER_KINDS: Final = ("first", "repeat")
CATEGORIES: Final = (  # of complaints; a shop's own words are "other", none at all is "unknown"
    "quality",
    "description",
    "logistics",
    "service",
    "refund",
    "promise",
    "price",
    "messages",
    "privacy",
    "unsubscribe",
    "other",
    "unknown",
)
