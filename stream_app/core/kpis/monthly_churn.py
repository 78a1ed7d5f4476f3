"""Monthly churn: customers at the start of each calendar month, and those lost and won back during it.

Months are in the shop's time zone. Customers are kept as a histogram over the day of their last order: an order moves
one customer, and at midnight all customers of one day become lost. The histogram is derived from the customers' states;
the monthly counts are stored with every commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import msgspec
import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.customer import Customer
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import ShopRegistry, shop_key
from stream_app.core.state.vector import LAST_ORDER, NEVER, SHOP
from stream_app.core.units import DAY_US, EPOCH, micros

_EPOCH_DAY: Final = EPOCH.toordinal()
_NO_TIME: Final = -(1 << 62)  # stream time before the first event
_QUARTER_US: Final = DAY_US // 96  # midnight falls on a quarter of an hour in every time zone


class MonthCount(msgspec.Struct):
    """Customer counts of one month, by shop."""

    first_day: int  # days since 1970
    customers: dict[str, int] = {}  # customers who were not lost at the start of the month
    lost: dict[str, int] = {}
    returned: dict[str, int] = {}  # lost customers who ordered again during the month


class MonthlyChurn:
    """Counts of the current and the previous month.

    `advance` moves the calendar forward. Call `record_order` before the order updates the customer's state. The result
    does not depend on how often `advance` is called.

    Args:
        settings: the shop's settings; provides the time zone and the time after which a customer is lost.
        shops: registry of the partition.
    """

    def __init__(self, settings: Settings, shops: ShopRegistry) -> None:
        self._settings, self._shops = settings, shops
        self._lost_after = settings.lost_after_or_default // DAY_US  # calendar days
        # Customers who are not lost, by day of the last order and index of the shop.
        self._last_orders: Counter[tuple[int, int]] = Counter()
        self._next_midnight = _NO_TIME + 1  # microseconds
        self.today: int | None = None  # days since 1970; None before the first event
        self.months: list[MonthCount] = []  # newest first
        self.lost: Counter[int] = Counter()  # lost customers, by index of the shop

    def advance(self, at: int) -> None:
        """Advance the calendar to a stream time, given in microseconds."""
        if at < self._next_midnight:
            return
        day = self._settings.local_day(at)
        self._next_midnight = self._settings.local_midnights(at)[1]
        if self.today is None:
            self.today = day
            self.months = [MonthCount(_first_of_month(day))]
        while self.today < day:
            self.today += 1
            self._begin_day(self.today)

    def record_order(self, customer: Customer, at: int, shop: str, stream_time: int) -> None:
        """Record an order that counts. Times are in microseconds."""
        self.advance(stream_time)
        last = customer.vector[LAST_ORDER]
        if self.today is None or at < round(last * DAY_US):
            return  # a late order that precedes the last one changes nothing
        place, day = self._shops.place(shop), self._settings.local_day(at)
        if at == round(last * DAY_US):
            if shop_key(shop) > customer.vector[SHOP]:  # orders in two shops at the same instant: see update.py
                self._add_customers(day, self._shops.place_of_key(customer.vector[SHOP]), -1)
                self._add_customers(day, place, 1)
            return
        if last != NEVER:
            last_day = self._settings.local_day(round(last * DAY_US))
            if self._is_lost(last_day):
                _add(self.months[0].returned, self._shops.names[place], 1)
            self._add_customers(last_day, self._shops.place_of_key(customer.vector[SHOP]), -1)
        self._add_customers(day, place, 1)

    def restore(self, customers: Sequence[Customer], months: Sequence[MonthCount], at: int) -> None:
        """Restore the customers, months and stream time from the last commit."""
        self.months = list(months)
        self.today = self._settings.local_day(at) if at > _NO_TIME else None
        for start in range(0, len(customers), _AT_ONCE):
            vector = matrix([customer.vector for customer in customers[start : start + _AT_ONCE]])
            self._add_stored(vector[vector[:, LAST_ORDER] != NEVER])

    def start_of(self, month: MonthCount) -> int:
        """Return the start of a month in the shop's time zone, in microseconds."""
        day = date.fromordinal(month.first_day + _EPOCH_DAY)
        return micros(datetime(day.year, day.month, 1, tzinfo=self._settings.clock))

    def _begin_day(self, day: int) -> None:
        if _first_of_month(day) == day:
            self.months = [MonthCount(day, self._customers()), *self.months[:1]]
        lost = day - self._lost_after - 1
        for place, name in enumerate(self._shops.names):
            if count := self._last_orders.pop((lost, place), 0):
                self.lost[place] += count
                _add(self.months[0].lost, name, count)

    def _customers(self) -> dict[str, int]:
        customers: dict[str, int] = {}
        for (_, place), count in sorted(self._last_orders.items()):
            _add(customers, self._shops.names[place], count)
        return customers

    def _add_customers(self, last_order: int, place: int, count: int) -> None:
        """Add customers by the day of their last order and the index of their shop; a negative count removes them."""
        if self._is_lost(last_order):
            self.lost[place] += count
            return
        self._last_orders[last_order, place] += count
        if not self._last_orders[last_order, place]:
            del self._last_orders[last_order, place]

    def _is_lost(self, last_order: int) -> bool:
        return self.today is not None and self.today - last_order > self._lost_after

    def _add_stored(self, vector: Floats) -> None:
        quarters = np.round(vector[:, LAST_ORDER] * DAY_US).astype(np.int64) // _QUARTER_US
        pairs, counts = np.unique(quarters * _PLACES + self._shops.places_of_keys(vector[:, SHOP]), return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            quarter, place = divmod(pair, _PLACES)
            day = self._settings.local_day(quarter * _QUARTER_US)
            self._add_customers(day, place, count)


_PLACES: Final = 64  # greater than the maximum number of shops
_AT_ONCE: Final = 10_000  # number of customers whose state vectors are copied at once


def _first_of_month(day: int) -> int:
    return date.fromordinal(day + _EPOCH_DAY).replace(day=1).toordinal() - _EPOCH_DAY


def _add(counts: dict[str, int], name: str, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
