"""KPIs of one partition, combined from three counters.

`event_counts.py` counts events, orders and visits, `population.py` the customers by segment, stage and risk, and
`monthly_churn.py` the customers lost per month. `services/worker/kpi_publisher.py` exports them to Prometheus;
`metrics/index.py` says where every other number is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.customers.customer import Customer
from stream_app.core.kpis.event_counts import EventCounts
from stream_app.core.kpis.monthly_churn import MonthCount, MonthlyChurn
from stream_app.core.kpis.population import Population
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import ShopRegistry
from stream_app.core.state.complaint_kinds import Classifier, unclassified
from stream_app.core.state.vector import SHOP
from stream_app.core.units import DAY_US

UNKNOWN: Final = "unknown"  # stands for a missing cause or segment of an alert


class KpiState(msgspec.Struct, frozen=True):
    """KPI state that cannot be derived from the customers' states; stored with every commit."""

    shops: list[str] = []
    months: list[MonthCount] = []


class KpiAggregator:
    """Aggregates the KPIs of one partition.

    Before a customer's state is updated, count every event in `event_counts`, and call `monthly_churn.record_order`
    for orders that count. After an order, a complaint or a new counter period, call `population.mark_changed`.
    """

    def __init__(self, settings: Settings, classify: Classifier = unclassified) -> None:
        self.shops = shops = ShopRegistry()
        self.event_counts = EventCounts(settings, shops, classify)
        self.monthly_churn = MonthlyChurn(settings, shops)
        self.population = Population(shops, settings.horizon / DAY_US, settings.lost_after_or_default / DAY_US)

    def record_opened(self, customer: Customer, alert: Alert) -> None:
        """Count an opened alert."""
        self.event_counts.opened[self._key(customer, alert)] += 1

    def record_closed(self, customer: Customer, alert: Alert, reason: str) -> None:
        """Count a closed alert."""
        self.event_counts.closed[self.shop_of(customer), reason, alert.opening_segment or UNKNOWN] += 1

    def count_open(self, customers: Iterable[Customer]) -> Counter[tuple[str, str, str]]:
        """Return the number of open alerts by shop, cause and segment."""
        opened = ((customer, customer.alert) for customer in customers)
        return Counter(self._key(one, alert) for one, alert in opened if alert is not None and not alert.is_held_out)

    def _key(self, customer: Customer, alert: Alert) -> tuple[str, str, str]:
        cause = "" if alert.blind else alert.likeliest_cause
        return self.shop_of(customer), cause or UNKNOWN, alert.opening_segment or UNKNOWN

    def shop_of(self, customer: Customer) -> str:
        """Return the shop where a customer ordered last."""
        return self.shops.names[self.shops.place_of_key(customer.vector[SHOP])]

    @property
    def state(self) -> KpiState:
        """State to store with the commit."""
        return KpiState(self.shops.names, self.monthly_churn.months)

    def restore(self, customers: Sequence[Customer], state: KpiState, stream_time: int) -> None:
        """Restore the KPIs from the last commit. `stream_time` is in microseconds."""
        for name in state.shops:
            self.shops.place(name)
        for customer in customers:
            self.population.mark_changed(customer)
        self.monthly_churn.restore(customers, state.months, stream_time)
