"""Explanations of why a customer may leave, and the shop data needed for them."""

from __future__ import annotations

from typing import Final

from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.inference import explain
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Browsing, Cart, Complaint, Order
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.state.complaint_kinds import Classifier
from stream_app.core.state.counter_updates import count_browsing, count_event
from stream_app.core.state.counters import SHOP, count_contact, place_in
from stream_app.core.state.profile import CustomerProfile
from stream_app.core.units import DAY_US

DEFAULT_SOLVE: Final = 3 * DAY_US  # age at which an open complaint becomes evidence if the shop has not set a target


class Explainer:
    """Records what events reveal about shops and customers, and explains customers' risk.

    Args:
        settings: the shop's settings.
        classify: derives a complaint's category from its text if the shop does not send one.
    """

    def __init__(self, settings: Settings, classify: Classifier) -> None:
        self.shops = Shops()
        self._settings = settings
        self._classify = classify

    def record_event(
        self, customer: Customer, event: Cart | Order | Complaint, at: int, counts: bool, stream_time: int
    ) -> None:
        """Record an event other than a page view for its customer and the customer's shop.

        Args:
            customer: customer of the event.
            event: the applied event.
            at: time of the event, microseconds.
            counts: whether the event is an order that counts.
            stream_time: microseconds.
        """
        shop = self.shops.known[customer.counters[SHOP]]
        shop.record(event)
        if counts and isinstance(event, Order):
            shop.record_order(event.amount or 0.0)
        elif isinstance(event, Complaint):
            shop.record_step(event.action, stream_time)
        count_event(customer.counters, event, at, counts, self._classify)

    def record_browsing(self, customer: Customer, event: Browsing, at: int) -> None:
        """Record a page view at a time, in microseconds."""
        counters = customer.counters
        self.shops.known[counters[SHOP]].record(event)
        place = place_in(counters, at)
        if place is not None:
            count_browsing(counters, place, event)

    def record_contact(self, customer: Customer, at: int) -> None:
        """Record a message to a customer."""
        self.shop_of(customer).record_contact()
        count_contact(customer.counters, at / DAY_US)

    def shop_of(self, customer: Customer) -> KnownShop:
        """Return the shop of a customer."""
        return self.shops[customer.counters[SHOP]]

    def profile(self, customer: Customer, at: int) -> CustomerProfile:
        """Return the profile of a customer at a time, in microseconds, for use in explanations."""
        settings = self._settings
        return CustomerProfile(
            customer.vector,
            customer.counters,
            now=at / DAY_US,
            horizon=settings.horizon / DAY_US,
            shop=self.shop_of(customer),
            solve_days=(settings.solve_within or DEFAULT_SOLVE) / DAY_US,
        )

    def explain(self, profile: CustomerProfile) -> Explanation:
        """Explain why a customer may leave, using the priors for one-time or repeat buyers."""
        settings = self._settings
        return explain(profile, settings.repeat_priors if profile.repeats else settings.one_time_priors)
