"""Selection of a partition's alert candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from stream_app.core.alerts.call_plan import active_worth
from stream_app.core.alerts.contact_history import OPT_OUT
from stream_app.core.alerts.lifecycle import AlertCandidate, best_candidates
from stream_app.core.alerts.planner import Jobs, plan_calls
from stream_app.core.alerts.ranking import top_indices
from stream_app.core.arrays import Floats, Ints
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.consent import has_opted_out
from stream_app.core.customers.customer import Customer
from stream_app.core.model.scores import Model
from stream_app.core.partition.call_rules import CAMPAIGN, CallRules
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import LAST_ORDER, NEVER as NO_DAY
from stream_app.core.units import DAY_US, MONTH_DAYS
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM

_AT_ONCE: Final = 4_096  # customers whose states are copied at once


class CandidateSelection:
    """Selects a partition's customers that are worth an alert, and describes them.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        explainer: explains why a customer may leave.
    """

    def __init__(self, settings: Settings, working_set: WorkingSet, explainer: Explainer) -> None:
        self._settings, self._working_set, self._explainer = settings, working_set, explainer
        self.rules = CallRules(settings, explainer)

    def use(self, settings: Settings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self.rules.use(settings)

    def best(self, at: int, model: Model) -> list[AlertCandidate]:
        """Return the candidates for the allocator, best first, without explanations; none during campaigns.

        Args:
            at: time of the allocation, microseconds; all earlier events and decisions must have been scored.
            model: the current model.
        """
        if self._settings.plans_calls:
            return self._planned(at, model)
        best = best_candidates(self._riskiest(at), self._settings)
        if self._settings.opens_alerts(at):
            return best
        self.rules.suppressed[CAMPAIGN] += len(best)
        return []

    def _riskiest(self, at: int) -> list[AlertCandidate]:
        """Return the `capacity` customers at the highest risk, plus ties. Count those who opted out."""
        settings, customers = self._settings, self._working_set.by_index
        risk = self._working_set.ranking.agreed(len(customers))
        with np.errstate(invalid="ignore"):  # comparisons with NaN are false, so customers without a risk are excluded
            risk[risk < settings.alert_above] = np.nan
        risk[[index for index in np.flatnonzero(risk >= 0) if self.is_lost(customers[index], at)]] = np.nan
        opted_out = [index for index in np.flatnonzero(risk >= 0) if has_opted_out(customers[index].consent)]
        if opted_out and settings.opens_alerts(at):
            self.rules.suppressed[OPT_OUT] += len(opted_out)
        risk[opted_out] = np.nan
        top = top_indices(risk, settings.capacity)
        return [self.candidate(customers[index], float(risk[index]), at) for index in top]

    def _planned(self, at: int, model: Model) -> list[AlertCandidate]:
        """Return the customers who are planned to be called, in the order of `planned`, with the deadline of each.

        Held-out customers who would be planned follow. If the share held out will fall or has fallen, those who would
        be planned under its other value follow, too: the allocator knows which of the two applies.
        """
        settings, customers = self._settings, self._working_set.by_index
        ranking = self._working_set.ranking
        risk = ranking.latest_of(0, len(customers))
        indices, view = self._in_time(np.flatnonzero(~np.isnan(risk) & ~ranking.open[: len(customers)]), at)
        if not settings.opens_alerts(at):
            self.rules.suppressed[CAMPAIGN] += len(indices)
            return []
        act_by, usual_gap = _deadlines(view, settings), _usual_gaps(view)
        owners, risk = [customers[index] for index in indices], risk[indices]
        lost, worth = model.lost_probability(view.recency, risk), np.maximum(monthly_worth(view), 0.0)
        allowed, factors = self.rules.apply(owners, view.recency, lost * worth, at)
        by_worth = settings.rank_by == "worth"
        weight = lost * factors * (active_worth(view["money"], view.span, view.horizon) if by_worth else 1.0)
        rows = np.flatnonzero(allowed)
        names, one_time = [owners[row].name for row in rows], np.isnan(usual_gap[rows])
        places: dict[int, None] = {}  # of the planned customers in `rows`, in order
        shares = [self._share_of(owner) for owner in owners]
        arms = [self._arms(owners, worth, view, shares, share) for share in settings.holdout.shares]
        for one in arms:
            held_out = [one[row] == HELD_OUT for row in rows]
            plan, others = plan_calls(settings, at, Jobs(act_by[rows], weight[rows], names, one_time, held_out))
            places |= dict.fromkeys([*plan, *others])
        picked = rows[np.array([*places], dtype=np.int64)]
        value, begin, end = prospects(model, settings, view.rows(picked), risk[picked])
        return [
            AlertCandidate(
                owners[row].name,
                at,
                float(weight[row]),
                float(risk[row]),
                float(worth[row]),
                float(view.recency[row]),
                float(usual_gap[row]),
                *_origin(owners[row]),
                self._explainer.shop_of(owners[row]).name,
                lost_probability=float(lost[row]),
                act_by=int(act_by[row]),
                expected_value=float(value[place]),
                next_order_from=int(begin[place]),
                next_order_to=int(end[place]),
                arm=arms[0][row],
                share=shares[row],
            )
            for place, row in enumerate(picked.tolist())
        ]

    def _in_time(self, indices: Ints, at: int) -> tuple[Ints, StateFrame]:
        """Return the customers whose silence is unusual and whose deadline has not passed, and their states.

        The states of all customers would take more memory than the customers do, so they are copied in chunks.
        """
        settings, kept = self._settings, [indices[:0]]
        for start in range(0, len(indices), _AT_ONCE):
            chosen = indices[start : start + _AT_ONCE]
            view = self._states(chosen, at)
            unusual = at >= _last_orders(view) + ordinary_silence(_usual_gaps(view), settings)
            kept.append(chosen[(_deadlines(view, settings) >= at) & unusual])
        found = np.concatenate(kept)
        return found, self._states(found, at)

    def _states(self, indices: Ints, at: int) -> StateFrame:
        vectors = matrix([self._working_set.by_index[index].vector for index in indices])
        return StateFrame(vectors, np.full(len(indices), at / DAY_US), self._settings.horizon / DAY_US)

    def _share_of(self, customer: Customer) -> float:
        """Return the share of customers held out when a customer was drawn first in the experiment; 0: not drawn."""
        drawn = customer.draw
        return drawn.share if drawn is not None and drawn.experiment == self._settings.holdout.key else 0.0

    def _arms(
        self, owners: Sequence[Customer], worth: Floats, view: StateFrame, drawn: Sequence[float], share: float
    ) -> list[str]:
        """Return the arms of customers in the holdout experiment.

        Args:
            owners: the customers.
            worth: what they bring per month.
            view: their states.
            drawn: shares at their first draws; 0: not drawn yet.
            share: share for those who were not drawn yet.
        """
        holdout = self._settings.holdout
        if not holdout.share:
            return [NO_ARM] * len(owners)
        complains = (view.complaint_opened != NO_DAY).any(axis=1).tolist()
        rows = zip(owners, worth.tolist(), complains, drawn, strict=True)
        return [holdout.arm(owner.name, brings, complaint, first or share) for owner, brings, complaint, first in rows]

    def is_lost(self, customer: Customer, at: int) -> bool:
        """Return whether a customer is already lost by the shop's own definition, so that an alert is pointless."""
        return at - round(customer.vector[LAST_ORDER] * DAY_US) > self._settings.lost_after_or_default

    def candidate(self, customer: Customer, risk: float, at: int) -> AlertCandidate:
        """Return a customer as an alert candidate, without an explanation."""
        profile = self._explainer.profile(customer, at)
        return AlertCandidate(
            customer.name,
            at,
            risk,
            risk,
            float(monthly_worth(profile.frame)[0]),
            profile.silent_days,
            profile.usual_gap_days,
            *_origin(customer),
            self._explainer.shop_of(customer).name,
        )

    def explained(self, candidate: AlertCandidate) -> AlertCandidate:
        """Return a candidate with its explanation added.

        Explanations are computed late because they are expensive, and there are many more candidates than alerts.
        """
        profile = self._explainer.profile(self._working_set.by_name[candidate.customer], candidate.at)
        return replace(candidate, explanation=self._explainer.explain(profile))


def _last_orders(view: StateFrame) -> Ints:
    """Return the times of the last orders, microseconds."""
    return np.round(view.columns[LAST_ORDER] * DAY_US).astype(np.int64)


def _deadlines(view: StateFrame, settings: Settings) -> Ints:
    """Return the latest time of a call to each customer, microseconds."""
    return _last_orders(view) + settings.lost_after_or_default - settings.act_before_or_default


def _usual_gaps(view: StateFrame) -> Floats:
    """Return the mean gap between the order days of each customer, in days; NaN for one-time buyers."""
    return np.where(view.repeats > 0, view.mean_gap, np.nan)


def _origin(customer: Customer) -> tuple[int, int]:
    """Return the source and the model version of a customer's last decision."""
    return (customer.waiting[-1].source, customer.waiting[-1].version) if customer.waiting else (0, 0)


class Prospects(NamedTuple):
    """What customers are expected to do. One item per customer.

    Attributes:
        value: what they are expected to bring within the horizon, net of returns and by the shop's margin.
        begin: beginning of the interval that holds their next order with a probability of 80 %, microseconds.
        end: its end; 0: open.
    """

    value: Floats
    begin: Ints
    end: Ints


def prospects(model: Model, settings: Settings, view: StateFrame, risk: Floats) -> Prospects:
    """Return what customers are expected to do.

    Args:
        model: the current model, if calls are planned.
        settings: of the shop.
        view: states of n customers.
        risk: their churn probabilities.
    """
    first, last = model.next_order_days(view.recency, risk)
    at = np.round(view.now * DAY_US).astype(np.int64)
    begin, end = (at + np.where(np.isinf(days), 0.0, days).astype(np.int64) * DAY_US for days in (first, last))
    value = settings.margin * model.expected_value(view, risk)
    return Prospects(value, begin, np.where(np.isinf(last), 0, end))


def ordinary_silence(usual_gap_days: Floats, settings: Settings) -> Floats:
    """Return how long each customer's silence is not unusual yet, in microseconds: their usual gap between orders.

    The minimum is a twelfth of `lost_after`, also for one-time buyers, who have no usual gap (NaN). Half of the time in
    which a call must come is left for it even if customers rarely order.

    >>> ordinary_silence(np.array([np.nan, 3.0, 30.0, 300.0]), Settings(lost_after=180 * DAY_US)) / DAY_US
    array([15. , 15. , 30. , 67.5])
    """
    lost_after = settings.lost_after_or_default
    latest = (lost_after - settings.act_before_or_default) / 2
    return np.clip(np.nan_to_num(usual_gap_days) * DAY_US, min(lost_after / 12, latest), latest)


def monthly_worth(view: StateFrame) -> Floats:
    """Return customers' average spending per month, shrunk towards zero during their first horizon."""
    return view["money"] / (view.age + view.horizon) * MONTH_DAYS
