"""Rules of the policy that exclude customers from planned calls, and the chance to help the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_app.core.alerts.contact_history import CONTACT_LIMIT, COOLDOWN, OPT_OUT
from stream_app.core.arrays import Bools, Floats
from stream_app.core.customers.consent import has_opted_out
from stream_app.core.customers.customer import Customer
from stream_app.core.messages.contact_rules import is_stopped
from stream_app.core.partition.explainer import Explainer
from stream_app.core.settings import Settings
from stream_app.core.state.vector import LAST_ORDER
from stream_app.core.units import DAY_US

STOPPED: Final = "stopped"
BELOW_COST: Final = "below_cost"
CAMPAIGN: Final = "campaign"
RULES: Final = (CAMPAIGN, OPT_OUT, COOLDOWN, CONTACT_LIMIT, STOPPED, BELOW_COST)  # in the order in which they apply


class CallRules:
    """Applies the policy to the customers of a partition who could be called in time.

    Args:
        settings: the shop's settings.
        explainer: explains why a customer may leave.
    """

    def __init__(self, settings: Settings, explainer: Explainer) -> None:
        self.suppressed: Counter[str] = Counter()  # customers who were not called, by reason
        self._settings, self._explainer = settings, explainer

    def use(self, settings: Settings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def take_suppressed(self) -> Counter[str]:
        """Return the numbers of customers who were not called since the last call, by reason."""
        suppressed, self.suppressed = self.suppressed, Counter()
        return suppressed

    def apply(self, customers: Sequence[Customer], silent_days: Floats, value: Floats, at: int) -> tuple[Bools, Floats]:
        """Return who may be called, and the factor of the chance to help each customer.

        Count the others by the first rule that excludes them.

        Args:
            customers: who could be called in time.
            silent_days: days since the last order of each customer.
            value: P(lost) × monthly worth of each customer.
            at: time of the allocation, microseconds.
        """
        settings, benefit = self._settings, self._settings.policy.benefit
        reasons = [_obstacle(one, at, settings) for one in customers]
        again = np.array([_is_called(one) for one in customers], dtype=bool)
        factors = benefit.factors(silent_days) * np.where(again, benefit.again, 1.0)
        if benefit.needs_causes:
            for row, customer in enumerate(customers):
                if not reasons[row]:
                    reasons[row], factor = self._by_cause(customer, at)
                    factors[row] *= factor
        for row in np.flatnonzero(~benefit.pays(value, factors)).tolist():
            reasons[row] = reasons[row] or BELOW_COST
        self.suppressed.update(reason for reason in reasons if reason)
        return np.array([not reason for reason in reasons], dtype=bool), factors

    def _by_cause(self, customer: Customer, at: int) -> tuple[str, float]:
        """Return STOPPED if the measure for the likeliest cause is stopped, and the expected factor of the causes."""
        benefit = self._settings.policy.benefit
        found = self._explainer.explain(self._explainer.profile(customer, at))
        stopped = bool(found.causes) and is_stopped(benefit.stopped, found.causes[0].key, found.segments)
        factor = 1.0 + sum(one.probability * (benefit.by_cause.get(one.key, 1.0) - 1.0) for one in found.causes)
        return STOPPED if stopped else "", factor


def _obstacle(customer: Customer, at: int, settings: Settings) -> str:
    """Return the rule that forbids a call to a customer, or "" if there is none."""
    if has_opted_out(customer.consent):
        return OPT_OUT
    if customer.has_cases and any(not one.resolved and one.expires_at >= at for one in customer.cases.values()):
        return COOLDOWN  # staff work on a complaint of theirs
    return customer.history.obstacle(at, settings, -customer.consent) if customer.history else ""


def _is_called(customer: Customer) -> bool:
    """Return whether a customer had a planned call since their last order.

    A case about a complaint is none. It does not ask the customer to come back, and those who complain often leave.
    """
    history = customer.history
    return history is not None and history.has_call_since(round(customer.vector[LAST_ORDER] * DAY_US))
