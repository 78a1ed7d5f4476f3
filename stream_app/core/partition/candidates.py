"""Selection of a partition's alert candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream_app.core.alerts.lifecycle import AlertCandidate
from stream_app.core.alerts.ranking import top_indices
from stream_app.core.arrays import Floats, Ints
from stream_app.core.customers.customer import Customer
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import FIRST_ORDER, LAST_ORDER, MONEY
from stream_app.core.units import DAY_US


class CandidateSelection:
    """Selects a partition's customers that are worth an alert, and describes them.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        explainer: explains why a customer may leave.
    """

    def __init__(self, settings: Settings, working_set: WorkingSet, explainer: Explainer) -> None:
        self._settings, self._working_set, self._explainer = settings, working_set, explainer

    def best(self, at: int) -> list[AlertCandidate]:
        """Return at most `capacity` candidates for the allocator, best first.

        Args:
            at: time of the allocation, microseconds; all earlier events and decisions must have been scored.
        """
        settings, customers = self._settings, self._working_set.by_index
        risk = self._working_set.ranking.agreed(len(customers))
        with np.errstate(invalid="ignore"):  # comparisons with NaN are false, so customers without a risk are excluded
            risk[risk < settings.alert_above] = np.nan
        risk[[index for index in np.flatnonzero(risk >= 0) if self.is_lost(customers[index], at)]] = np.nan
        rank = risk if settings.rank_by == "risk" else risk * self._worth(np.flatnonzero(risk >= 0), at)
        top = top_indices(rank, settings.capacity)
        candidates = [self.candidate(customers[index], float(risk[index]), at) for index in top]
        candidates.sort(key=lambda one: (-one.rank_value, one.customer))
        return [self.explained(one) for one in candidates[: settings.capacity]]

    def is_lost(self, customer: Customer, at: int) -> bool:
        """Return whether a customer is already lost by the shop's own definition, so that an alert is pointless."""
        return at - round(customer.vector[LAST_ORDER] * DAY_US) > self._settings.lost_after_or_default

    def candidate(self, customer: Customer, risk: float, at: int) -> AlertCandidate:
        """Return a customer as an alert candidate, without an explanation."""
        profile = self._explainer.profile(customer, at)
        worth = float(monthly_worth(profile.frame)[0])
        last = customer.waiting[-1] if customer.waiting else None
        return AlertCandidate(
            customer=customer.name,
            at=at,
            rank_value=risk if self._settings.rank_by == "risk" else risk * worth,
            probability=risk,
            monthly_worth=worth,
            silent_days=profile.silent_days,
            usual_gap_days=profile.usual_gap_days,
            source=last.source if last else 0,
            version=last.version if last else 0,
            shop_id=profile.shop.name,
        )

    def explained(self, candidate: AlertCandidate) -> AlertCandidate:
        """Return a candidate with its explanation added.

        Explanations are computed late because they are expensive, and many more candidates may tie for last place than
        are sent.
        """
        profile = self._explainer.profile(self._working_set.by_name[candidate.customer], candidate.at)
        return replace(candidate, explanation=self._explainer.explain(profile))

    def _worth(self, indices: Ints, at: int) -> Floats:
        """Return the monthly worth of the customers with these indices, and NaN for all others."""
        customers = self._working_set.by_index
        vectors = [customers[index].vector for index in indices]
        money = np.array([vector[MONEY] for vector in vectors])
        age = np.maximum(at / DAY_US - np.array([vector[FIRST_ORDER] for vector in vectors]), 0.0)
        worth = np.full(len(customers), np.nan)
        worth[indices] = _per_month(money, age, self._settings.horizon / DAY_US)
        return worth


def monthly_worth(view: StateFrame) -> Floats:
    """Return customers' average spending per month, shrunk towards zero during their first horizon."""
    return _per_month(view["money"], view.age, view.horizon)


def _per_month(money: Floats, age: Floats, horizon: float) -> Floats:
    return money / (age + horizon) * 30.44
