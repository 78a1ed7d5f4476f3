"""KPIs of one partition: event counts, monthly churn and the population of customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Event
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

    Before a customer's state is updated, call `event_counts.record` for every event and `record_order` for orders that
    count. After a state change that affects the population, call `record_change`.
    """

    def __init__(self, settings: Settings, classify: Classifier = unclassified) -> None:
        self._settings, self._classify = settings, classify
        self._begin(ShopRegistry())

    def _begin(self, shops: ShopRegistry) -> None:
        settings = self._settings
        self.shops = shops
        self.event_counts, self.monthly_churn = (
            EventCounts(settings, shops, self._classify),
            MonthlyChurn(settings, shops),
        )
        self.population = Population(shops, settings.horizon / DAY_US, settings.lost_after_or_default / DAY_US)

    def record_order(self, customer: Customer, event: Event, at: int, stream_time: int) -> None:
        """Record an order that counts. Times are in microseconds."""
        self.monthly_churn.advance(stream_time)
        self.monthly_churn.record_order(customer, at, event.shop_id)

    def record_change(self, customer: Customer) -> None:
        """Record that a customer ordered or complained, or that a complaint is no longer recent."""
        self.population.mark_changed(customer)

    def record_opened(self, customer: Customer, alert: Alert) -> None:
        """Count an opened alert."""
        self.event_counts.opened[self.shop_of(customer), cause_of(alert), segment_in(alert)] += 1

    def record_closed(self, customer: Customer, alert: Alert, reason: str) -> None:
        """Count a closed alert."""
        self.event_counts.closed[self.shop_of(customer), reason, segment_in(alert)] += 1

    def count_open(self, customers: Iterable[Customer]) -> Counter[tuple[str, str, str]]:
        """Return the number of open alerts by shop, cause and segment."""
        alerts = ((customer, customer.alert) for customer in customers)
        return Counter(
            (self.shop_of(one), cause_of(alert), segment_in(alert)) for one, alert in alerts if alert is not None
        )

    def shop_of(self, customer: Customer) -> str:
        """Return the shop where a customer ordered last."""
        return self.shops.names[self.shops.place_of_key(customer.vector[SHOP])]

    @property
    def state(self) -> KpiState:
        """State to store with the commit."""
        return KpiState(self.shops.names, self.monthly_churn.months)

    def restore(self, customers: Sequence[Customer], state: KpiState, stream_time: int) -> None:
        """Restore the KPIs from the last commit. `stream_time` is in microseconds."""
        self._begin(ShopRegistry(state.shops))
        self.population.restore(customers)
        self.monthly_churn.restore(customers, state.months, stream_time)


def cause_of(alert: Alert) -> str:
    """Return the most likely cause of an alert, or UNKNOWN if it has none."""
    return alert.likeliest_cause or UNKNOWN


def segment_in(alert: Alert) -> str:
    """Return the customer's segment when the alert opened, or UNKNOWN if it is missing."""
    return alert.opening_segment or UNKNOWN
