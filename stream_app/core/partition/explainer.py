"""What a partition keeps to explain its customers, and the explanation of one of them."""

from __future__ import annotations

from typing import Final

from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.inference import explain
from stream_app.core.customers.customer import Customer
from stream_app.core.events.schema import Complaint, Event, Order
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.state.complaint_kinds import Classifier
from stream_app.core.state.counter_updates import count_event
from stream_app.core.state.counters import SHOP, count_contact
from stream_app.core.state.profile import CustomerProfile
from stream_app.core.units import DAY_US

DEFAULT_SOLVE: Final = 3 * DAY_US  # from when on an open complaint is a sign, where the shop has set no target


class Explainer:
    """Notes what events tell of shops and customers, and explains.

    Args:
        settings: of the shop.
        classify: says what a complaint's text is about, where the shop gives no category.
    """

    def __init__(self, settings: Settings, classify: Classifier) -> None:
        self.shops = Shops()
        self._settings = settings
        self._classify = classify

    def register(self, customer: Customer, shop: str) -> None:
        """Note the shop of a new customer."""
        customer.counters[SHOP] = self.shops.number(shop)

    def note(self, customer: Customer, event: Event, at: int, counts: bool) -> None:
        """Note an event; `counts`: as an order."""
        shop = self.shops.known[customer.counters[SHOP]]
        shop.record(event)
        if counts and isinstance(event, Order):
            shop.record_order(event.amount or 0.0)
        count_event(customer.counters, event, at, counts, self._classify)

    def note_step(self, customer: Customer, event: Event, stream_time: int) -> None:
        """Note that a shop tells what becomes of complaints."""
        if isinstance(event, Complaint):
            self.shop_of(customer).record_step(event.action, stream_time)

    def note_contact(self, customer: Customer, at: int) -> None:
        """Note a message to a customer."""
        self.shop_of(customer).record_contact()
        count_contact(customer.counters, at / DAY_US)

    def shop_of(self, customer: Customer) -> KnownShop:
        """A customer's shop."""
        return self.shops[customer.counters[SHOP]]

    def profile(self, customer: Customer, at: int) -> CustomerProfile:
        """A customer at a moment, as an explanation looks at him."""
        settings = self._settings
        return CustomerProfile(
            customer.vector,
            customer.counters,
            now=at / DAY_US,
            horizon=settings.horizon / DAY_US,
            shop=self.shop_of(customer),
            solve_days=(settings.solve_within or DEFAULT_SOLVE) / DAY_US,
        )

    def explain(self, about: CustomerProfile) -> Explanation:
        """Why a customer may leave, by the priors of his kind of buyer."""
        settings = self._settings
        return explain(about, settings.repeat_priors if about.repeats else settings.one_time_priors)
