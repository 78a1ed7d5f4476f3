"""Ground truth about customers, for evaluation only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from stream_app.simulate.calendar import SHOP_ZONE
from stream_app.simulate.customers import NO_CAUSE, Customers, draw_customers
from stream_app.simulate.log import block_streams, blocks
from stream_app.simulate.shop import Shop, ShopSettings, draw_shop
from stream_app.simulate.typed import customer_ids
from stream_app.simulate.vocabulary import CAUSES


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """Hidden attributes of one customer.

    Attributes:
        customer_id: id in the log.
        joined_at: time at which the customer joined; before the start of the log for established customers.
        left_at: time at which the customer left; None for customers who stay until the end of the log.
        one_time: whether the customer orders only once.
        causes: causes of leaving; empty for customers who stay.
        shown: causes that the events show, which may be fewer than or different from `causes`.
    """

    customer_id: str
    joined_at: datetime
    left_at: datetime | None
    one_time: bool
    causes: tuple[str, ...]
    shown: tuple[str, ...]


def truth(settings: ShopSettings, seed: int) -> Iterator[Truth]:
    """Yield the hidden attributes of every customer in a log, in order of their numbers.

    >>> first = next(truth(ShopSettings(customers=1), seed=1))
    >>> first.customer_id, len(first.causes) > 0 or first.left_at is None
    ('c00000000', True)
    """
    shop = draw_shop(settings, seed)
    for block in blocks(settings):
        yield from _truths(shop, draw_customers(shop, block, block_streams(seed, block)[0]))


def _truths(shop: Shop, customers: Customers) -> Iterator[Truth]:
    start = shop.settings.start.astimezone(SHOP_ZONE)
    for row, customer_id in enumerate(customer_ids(customers.number)):
        left = float(customers.left[row])
        gone = left < shop.clock.end
        yield Truth(
            customer_id=customer_id,
            joined_at=start + timedelta(seconds=float(customers.joined[row])),
            left_at=start + timedelta(seconds=left) if gone else None,
            one_time=bool(customers.one_time[row]),
            causes=tuple(CAUSES[cause] for cause in customers.causes[row] if gone and cause != NO_CAUSE),
            shown=tuple(name for name, is_shown in zip(CAUSES, customers.shown[row], strict=True) if is_shown),
        )
