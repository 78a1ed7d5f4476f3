"""What a partition counts for those who watch the shop: flows, months, and how its customers stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import Episode
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Event
from stream_app.core.kpis.event_counts import Flows
from stream_app.core.kpis.monthly_churn import Month, Months
from stream_app.core.kpis.population import Standing
from stream_app.core.settings import Settings
from stream_app.core.shops.registry import ShopNames
from stream_app.core.state.complaint_kinds import Classifier, unread
from stream_app.core.state.vector import SHOP
from stream_app.core.units import DAY_US

UNKNOWN: Final = "unknown"  # a cause or a segment that an episode does not tell


class Memory(msgspec.Struct, frozen=True):
    """What of it does not follow from the customers' states; stored with every commit."""

    shops: list[str] = []
    months: list[Month] = []


class Tally:
    """The counts of one partition.

    Use: `flows.note` every new event, and `ordered` for an order that counts, before the customer's facts are changed;
    `moved` when what he stands by has changed.
    """

    def __init__(self, settings: Settings, classify: Classifier = unread) -> None:
        self._settings, self._classify = settings, classify
        self._begin(ShopNames())

    def _begin(self, shops: ShopNames) -> None:
        settings = self._settings
        self.shops = shops
        self.flows, self.months = Flows(settings, shops, self._classify), Months(settings, shops)
        self.standing = Standing(shops, settings.horizon / DAY_US, settings.lost_after_or_default / DAY_US)

    def ordered(self, customer: Customer, event: Event, at: int, stream_time: int) -> None:
        """Count an order that counts; times in microseconds."""
        self.months.turn(stream_time)
        self.months.ordered(customer, at, event.shop_id)

    def moved(self, customer: Customer) -> None:
        """Note that a customer has ordered or complained, or that what he once complained of is past."""
        self.standing.moved(customer)

    def opened(self, customer: Customer, episode: Episode) -> None:
        """Count an episode that has opened."""
        self.flows.opened[self.shop_of(customer), cause_of(episode), segment_in(episode)] += 1

    def closed(self, customer: Customer, episode: Episode, reason: str) -> None:
        """Count an episode that has ended."""
        self.flows.closed[self.shop_of(customer), reason, segment_in(episode)] += 1

    def open_now(self, customers: Iterable[Customer]) -> Counter[tuple[str, str, str]]:
        """Open episodes by shop, cause and segment."""
        episodes = ((customer, customer.episode) for customer in customers)
        return Counter(
            (self.shop_of(one), cause_of(episode), segment_in(episode))
            for one, episode in episodes
            if episode is not None
        )

    def shop_of(self, customer: Customer) -> str:
        """The shop that a customer belongs to: that of his last order."""
        return self.shops.names[self.shops.place_of_key(customer.facts[SHOP])]

    @property
    def memory(self) -> Memory:
        """What is to be stored."""
        return Memory(self.shops.names, self.months.known)

    def restore(self, customers: Sequence[Customer], memory: Memory, stream_time: int) -> None:
        """Take up where the last commit stood; `stream_time`: its, microseconds."""
        self._begin(ShopNames(memory.shops))
        self.standing.restore(customers)
        self.months.restore(customers, memory.months, stream_time)


def cause_of(episode: Episode) -> str:
    """The likeliest cause of an episode; UNKNOWN without one."""
    return episode.likeliest_cause or UNKNOWN


def segment_in(episode: Episode) -> str:
    """The segment of the customer when an episode was opened; UNKNOWN if it was not told."""
    return episode.told_segment or UNKNOWN
