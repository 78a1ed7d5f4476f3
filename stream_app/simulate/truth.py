"""What only the simulator knows of each customer. Evaluations may compare with it; the product never reads it."""

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
    """The hidden facts of one customer.

    `joined_at` lies before the log for established customers. `left_at` is None, and `causes` empty, for those who are
    still with the shop when the log ends. `signs` are the causes that their events show: the true ones, none where the
    evidence is missing, another one where it misleads; stayers may show some too.
    """

    customer_id: str
    joined_at: datetime
    left_at: datetime | None
    one_time: bool
    causes: tuple[str, ...]
    signs: tuple[str, ...]


def truth(settings: ShopSettings, seed: int) -> Iterator[Truth]:
    """The hidden facts of every customer of a log, in the order of their numbers.

    >>> vector = next(truth(ShopSettings(customers=1), seed=1))
    >>> vector.customer_id, len(vector.causes) > 0 or vector.left_at is None
    ('c00000000', True)
    """
    shop = draw_shop(settings, seed)
    for block in blocks(settings):
        yield from _facts(shop, draw_customers(shop, block, block_streams(seed, block).customers))


def _facts(shop: Shop, customers: Customers) -> Iterator[Truth]:
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
            signs=tuple(name for name, shown in zip(CAUSES, customers.signs[row], strict=True) if shown),
        )
