"""Counts of a partition's customers by segment, lifecycle stage and risk band.

Customers are kept as columns derived from their states and counted in chunks. A million customers take tens of
milliseconds, and each chunk blocks the event loop for only a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.alerts.ranking import Ranking
from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.customer import Customer
from stream_app.core.kpis.risk_bands import BANDS, bands
from stream_app.core.segments.lifecycle_stage import STAGES, stages
from stream_app.core.segments.segments import SEGMENTS, price_sensitive, segments
from stream_app.core.shops.registry import MAX_SHOPS, ShopRegistry
from stream_app.core.state.complaints import open_since
from stream_app.core.state.counters import COUNTER, SHOP as COUNTERS_SHOP, matrix as counters_matrix
from stream_app.core.state.frame import mean_gap
from stream_app.core.state.vector import FIRST_ORDER, LAST_ORDER, MONEY, NEVER, ORDER_DAYS, ORDERS, RING_END, SHOP, SLOT
from stream_app.core.units import DAY_US

CHUNK: Final = 16_384  # number of customers counted at once, which takes about 3 ms
_CHANGED_AT_ONCE: Final = 4_096  # number of customers whose state vectors are copied at once
_DISCOUNTED, _DISCOUNT = SLOT["discounted"], SLOT["discount"]
_COMPLAINTS: Final = [COUNTER["complaints"], COUNTER["complaints_before"]]


class BuyerColumns:
    """Columns of n buyers, from which stages and segments are derived.

    Args:
        rows: rows of the buyers.
        now: days since 1970-01-01 UTC.
        horizon: days.
        usual: usual order amount by shop number.
    """

    def __init__(self, rows: npt.NDArray[np.void], now: float, horizon: float, usual: Floats) -> None:
        self.horizon = horizon
        self.order_days: Floats = rows["order_days"].astype(np.float64)
        self.recency: Floats = np.maximum(now - rows["last_order"], 0.0)
        repeats = np.maximum(self.order_days - 1.0, 0.0)
        span = np.maximum(rows["last_order"] - rows["first_order"], 0.0)
        self.mean_gap = mean_gap(repeats, span, np.maximum(now - rows["first_order"], 0.0), horizon)
        last_gap = rows["last_gap"].astype(np.float64)
        self.last_gap: Floats = np.where(np.isnan(last_gap), self.mean_gap, last_gap)
        self.money: Floats = rows["money"]
        self.usual_amount: Floats = usual[rows["counters_shop"]]
        self.complains: Bools = rows["complains"]
        self.is_price_sensitive: Bools = rows["price_sensitive"]


_ROW: Final = np.dtype([
    ("last_order", "f8"),
    ("first_order", "f8"),
    ("last_gap", "f4"),  # whole days; NaN if there is none
    ("order_days", "f4"),
    ("repeats", "?"),  # whether the customer has two or more orders
    ("buyer", "?"),
    ("shop", "u1"),
    ("counters_shop", "u1"),  # number of the customer's first shop in capabilities.Shops, as used by explanations
    ("money", "f8"),
    ("complains", "?"),
    ("price_sensitive", "?"),
])  # fmt: skip


def _zeros(kinds: int) -> Ints:
    return np.zeros((MAX_SHOPS + 1, kinds), dtype=np.int64)


@dataclass
class PopulationCounts:
    """Tables of customer counts, with one row per shop."""

    bands: Ints = field(default_factory=lambda: _zeros(len(SEGMENTS) * len(BANDS)))  # by segment and band
    segments: Ints = field(default_factory=lambda: _zeros(len(SEGMENTS)))  # buyers, by segment
    stages: Ints = field(default_factory=lambda: _zeros(len(STAGES)))  # buyers, by stage
    buyers: Ints = field(default_factory=lambda: _zeros(1)[:, 0])
    repeat_buyers: Ints = field(default_factory=lambda: _zeros(1)[:, 0])


class Population:
    """Columns of a partition's customers, by customer index.

    Args:
        shops: registry of the partition.
        horizon: days.
        lost_after: days.
    """

    def __init__(self, shops: ShopRegistry, horizon: float, lost_after: float) -> None:
        self._shops, self._horizon, self._lost_after = shops, horizon, lost_after
        self._rows = np.zeros(1024, dtype=_ROW)
        self._changed: list[Customer] = []

    def mark_changed(self, customer: Customer) -> None:
        """Mark a customer, whose index must be set, for update before the next count."""
        self._changed.append(customer)
        if len(self._changed) >= _CHANGED_AT_ONCE:
            self._flush()

    def count(self, counted: PopulationCounts, ranking: Ranking, size: int, now: int, usual: Floats) -> Iterator[None]:
        """Add the first `size` customers to `counted`, as of `now` (microseconds), yielding after each chunk.

        `usual` is as in BuyerColumns.
        """
        self._flush()
        yield
        self._reserve(size)
        for start in range(0, size, CHUNK):
            end = min(start + CHUNK, size)
            rows = self._rows[start:end]
            places = np.flatnonzero(rows["buyer"])
            buyers = rows.take(places)
            columns = BuyerColumns(buyers, now / DAY_US, self._horizon, usual)
            self._count(counted, buyers, ranking.latest_of(start, end)[places], columns)
            yield

    def _flush(self) -> None:
        changed, self._changed = self._changed, []
        self._update_rows(changed)

    def _count(
        self, counted: PopulationCounts, buyers: npt.NDArray[np.void], latest: Floats, columns: BuyerColumns
    ) -> None:
        shop = buyers["shop"].astype(np.int64)
        segment = segments(columns).astype(np.int64)
        counted.segments += _by_shop(shop, segment, counted.segments.shape)
        band = bands(latest)
        scored = band >= 0
        kind = segment[scored] * len(BANDS) + band[scored]
        counted.bands += _by_shop(shop[scored], kind, counted.bands.shape)
        counted.stages += _by_shop(shop, stages(columns, self._lost_after), counted.stages.shape)
        counted.buyers += np.bincount(shop, minlength=len(counted.buyers))
        counted.repeat_buyers += np.bincount(shop[buyers["repeats"]], minlength=len(counted.buyers))

    def _update_rows(self, customers: Sequence[Customer]) -> None:
        indices = np.array([customer.index for customer in customers], dtype=np.int64)
        if not len(indices):
            return
        self._reserve(int(indices.max()) + 1)
        vector = matrix([customer.vector for customer in customers])
        rows = np.zeros(len(indices), dtype=_ROW)
        rows["last_order"], rows["first_order"] = vector[:, LAST_ORDER], vector[:, FIRST_ORDER]
        before, last = vector[:, RING_END - 2], vector[:, RING_END - 1]
        rows["last_gap"] = np.where(before != NEVER, last - before, np.nan)
        rows["order_days"], rows["repeats"] = vector[:, ORDER_DAYS], vector[:, ORDERS] >= 2
        rows["buyer"] = buyer = vector[:, LAST_ORDER] != NEVER
        rows["shop"][buyer] = self._shops.places_of_keys(vector[buyer, SHOP])
        counters = counters_matrix([customer.counters for customer in customers])
        rows["counters_shop"], rows["money"] = counters[:, COUNTERS_SHOP], vector[:, MONEY]
        rows["complains"] = counters[:, _COMPLAINTS].any(axis=1) | (open_since(vector) != NEVER).any(axis=1)
        rows["price_sensitive"] = price_sensitive(
            vector[:, ORDERS], vector[:, _DISCOUNTED], vector[:, MONEY], vector[:, _DISCOUNT]
        )
        self._rows[indices] = rows

    def _reserve(self, size: int) -> None:
        room = len(self._rows)
        if size > room:
            self._rows = np.concatenate([self._rows, np.zeros(max(size, 2 * room) - room, dtype=_ROW)])


def _by_shop(shop: Ints, kind: npt.NDArray[np.integer], shape: tuple[int, ...]) -> Ints:
    return np.bincount(shop * shape[1] + kind, minlength=shape[0] * shape[1]).reshape(shape)
