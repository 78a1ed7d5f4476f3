"""Explanations of why a customer may leave, and the shop data needed for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from stream_app.core.causes.explanation import Explanation
from stream_app.core.causes.feedback import Confirmation, Feedback, FiledText
from stream_app.core.causes.inference import explain, read_evidence
from stream_app.core.causes.learning import LearnedCauses
from stream_app.core.causes.rule import EvidenceRule
from stream_app.core.customers.customer import Customer
from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Order
from stream_app.core.partition.text_classifier import TextClassifier
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.state.complaint_kinds import TextReader, kind_of
from stream_app.core.state.counter_updates import count_browsing, count_event
from stream_app.core.state.counters import SHOP, count_contact, place_in
from stream_app.core.state.profile import CustomerProfile
from stream_app.core.units import DAY_US

DEFAULT_SOLVE: Final = 3 * DAY_US  # age at which an open complaint becomes evidence if the shop has not set a target


class _Learned(NamedTuple):
    """Priors and rules as of a number of confirmations, which are the same for all customers."""

    causes: LearnedCauses
    total: int
    priors: tuple[dict[str, float], dict[str, float]]
    rules: tuple[EvidenceRule, ...]


class Explainer:
    """Records what events reveal about shops and customers, explains customers' risk, and collects staff's feedback.

    Args:
        settings: the shop's settings.
        reader: reads a complaint's text if the shop does not send its category.
    """

    def __init__(self, settings: Settings, reader: TextReader) -> None:
        self.shops = Shops()
        self.classify = TextClassifier(reader)
        self._settings = settings
        self._feedback = Feedback()
        self._learned: _Learned | None = None

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
            if event.action is ComplaintAction.REFILED and event.text and event.category:
                reading = self.classify.read(event.text)
                kind = kind_of(event, self.classify)
                self._feedback.filed.append(FiledText(at, event.event_id, kind, reading.kind, list(reading.buckets)))
        count_event(customer.counters, event, at, counts, self.classify)

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
        """Explain why a customer may leave, using the priors for one-time or repeat buyers, and what was learned."""
        settings, model = self._settings, self.classify.model
        feedback = model.feedback if model is not None and settings.learn_causes else None
        priors = settings.one_time_priors, settings.repeat_priors
        if feedback is None:
            return explain(profile, priors[profile.repeats > 0])
        causes = feedback.causes
        if self._learned is None or self._learned.causes is not causes or self._learned.total != causes.total:
            self._learned = _Learned(causes, causes.total, causes.priors(*priors), causes.rules())
        return explain(profile, self._learned.priors[profile.repeats > 0], self._learned.rules)

    def record_cause(
        self, customer: Customer, at: int, alert_id: str, cause: str, named: Sequence[str], blind: bool
    ) -> None:
        """Record the cause that staff confirmed for a customer.

        Args:
            customer: the customer.
            at: time of the confirmation, microseconds.
            alert_id: id of the alert or urgent case.
            cause: the confirmed cause.
            named: the likeliest causes when the alert opened, most likely first; empty if unknown.
            blind: whether staff were not shown them.
        """
        profile = self.profile(customer, at)
        readings = read_evidence(profile)
        present, absent = (
            tuple(key for key, reading in readings.items() if reading.present is kind) for kind in (True, False)
        )
        self._feedback.confirmed.append(
            Confirmation(at, alert_id, cause, profile.repeats > 0, blind, tuple(named), present, absent)
        )

    def take_feedback(self) -> Feedback:
        """Return the feedback from staff since the last call."""
        feedback, self._feedback = self._feedback, Feedback()
        return feedback
