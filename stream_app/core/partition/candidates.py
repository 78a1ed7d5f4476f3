"""Selection of a partition's alert candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stream_app.core.alerts.call_plan import call_weight, calls_until, planned_with_holdout
from stream_app.core.alerts.lifecycle import AlertCandidate, best_candidates
from stream_app.core.alerts.ranking import top_indices
from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.customers.codec.vectors import matrix
from stream_app.core.customers.consent import has_opted_out
from stream_app.core.customers.customer import Customer
from stream_app.core.model.scores import Model
from stream_app.core.partition.explainer import Explainer
from stream_app.core.partition.working_set import WorkingSet
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.state.vector import LAST_ORDER, NEVER as NO_DAY
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM


class CandidateSelection:
    """Selects a partition's customers that are worth an alert, and describes them.

    Args:
        settings: the shop's settings.
        working_set: the customers of the partition.
        explainer: explains why a customer may leave.

    Attributes:
        suppressed: customers left out by the last call of `best`, by reason (labels.SUPPRESSIONS).
    """

    def __init__(self, settings: Settings, working_set: WorkingSet, explainer: Explainer) -> None:
        self._settings, self._working_set, self._explainer = settings, working_set, explainer
        self.suppressed: Counter[str] = Counter()

    def best(self, at: int, model: Model) -> list[AlertCandidate]:
        """Return the candidates for the allocator, best first, without explanations.

        Args:
            at: time of the allocation, microseconds; all earlier events and decisions must have been scored.
            model: the current model.
        """
        self.suppressed = Counter()
        if self._settings.plans_calls:
            return self._planned(at, model)
        return best_candidates(self._riskiest(at), self._settings)

    def _riskiest(self, at: int) -> list[AlertCandidate]:
        """Return the `capacity` customers at the highest risk, plus ties."""
        settings, customers = self._settings, self._working_set.by_index
        risk = self._working_set.ranking.agreed(len(customers))
        with np.errstate(invalid="ignore"):  # comparisons with NaN are false, so customers without a risk are excluded
            risk[risk < settings.alert_above] = np.nan
        risk[[index for index in np.flatnonzero(risk >= 0) if self.is_lost(customers[index], at)]] = np.nan
        top = top_indices(risk, settings.capacity)
        return [self.candidate(customers[index], float(risk[index]), at) for index in top]

    def _planned(self, at: int, model: Model) -> list[AlertCandidate]:
        """Return the customers who are planned to be called, in the order of `planned`, with the deadline of each.

        Held-out customers who would be planned follow.
        """
        settings, customers = self._settings, self._working_set.by_index
        ranking = self._working_set.ranking
        risk = ranking.latest_of(0, len(customers))
        indices = np.flatnonzero(~np.isnan(risk) & ~ranking.open[: len(customers)])
        vectors = matrix([customers[index].vector for index in indices])
        view = StateFrame(vectors, np.full(len(indices), at / DAY_US), settings.horizon / DAY_US)
        last_order = np.round(vectors[:, LAST_ORDER] * DAY_US).astype(np.int64)
        act_by = last_order + settings.lost_after_or_default - settings.act_before_or_default
        lost, worth = model.lost_probability(view.recency, risk[indices]), monthly_worth(view)
        weight = call_weight(lost, worth if settings.rank_by == "worth" else np.ones(len(worth)))
        usual_gap = np.where(view.repeats > 0, view.mean_gap, np.nan)
        rows = np.flatnonzero((act_by >= at) & (at >= last_order + ordinary_silence(usual_gap, settings)))
        rows = rows[self._may_contact(indices[rows])]
        owners = [customers[index] for index in indices[rows]]
        names = [one.name for one in owners]
        arms = self._arms(names, rows, worth, view)
        calls, held_out = calls_until(settings, at, act_by[rows]).tolist(), [arm == HELD_OUT for arm in arms]
        plan, others = planned_with_holdout(calls, weight[rows].tolist(), names, held_out)
        chosen = [*plan, *others]
        return [
            replace(
                self._undescribed(owners[place], at),
                rank_value=float(weight[row]),
                probability=float(risk[indices[row]]),
                monthly_worth=float(worth[row]),
                silent_days=float(view.recency[row]),
                usual_gap_days=float(usual_gap[row]),
                lost_probability=float(lost[row]),
                act_by=int(act_by[row]),
                arm=arms[place],
            )
            for place, row in zip(chosen, rows[chosen], strict=True)
        ]

    def _arms(self, names: Sequence[str], rows: Ints, worth: Floats, view: StateFrame) -> list[str]:
        """Return the arms of the customers in some rows in the holdout experiment."""
        holdout = self._settings.holdout
        if not holdout.share:
            return [NO_ARM] * len(names)
        complains = (view.complaint_opened != NO_DAY).any(axis=1)
        return [holdout.arm(*one) for one in zip(names, worth[rows].tolist(), complains[rows].tolist(), strict=True)]

    def _may_contact(self, indices: npt.NDArray[np.intp]) -> Bools:
        """Return for each index of a customer whether they may be contacted, and count those who may not."""
        customers = self._working_set.by_index
        allowed = np.array([not has_opted_out(customers[index].consent) for index in indices], dtype=np.bool_)
        self.suppressed["opted_out"] += len(allowed) - int(allowed.sum())
        return allowed

    def is_lost(self, customer: Customer, at: int) -> bool:
        """Return whether a customer is already lost by the shop's own definition, so that an alert is pointless."""
        return at - round(customer.vector[LAST_ORDER] * DAY_US) > self._settings.lost_after_or_default

    def candidate(self, customer: Customer, risk: float, at: int) -> AlertCandidate:
        """Return a customer as an alert candidate, without an explanation."""
        profile = self._explainer.profile(customer, at)
        return replace(
            self._undescribed(customer, at),
            rank_value=risk,
            probability=risk,
            monthly_worth=float(monthly_worth(profile.frame)[0]),
            silent_days=profile.silent_days,
            usual_gap_days=profile.usual_gap_days,
        )

    def _undescribed(self, customer: Customer, at: int) -> AlertCandidate:
        last = customer.waiting[-1] if customer.waiting else None
        source, version = (last.source, last.version) if last else (0, 0)
        shop = self._explainer.shop_of(customer).name
        return AlertCandidate(customer.name, at, 0.0, 0.0, 0.0, 0.0, 0.0, source, version, shop)

    def explained(self, candidate: AlertCandidate) -> AlertCandidate:
        """Return a candidate with its explanation added.

        Explanations are computed late because they are expensive, and there are many more candidates than alerts.
        """
        profile = self._explainer.profile(self._working_set.by_name[candidate.customer], candidate.at)
        return replace(candidate, explanation=self._explainer.explain(profile))


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
    return view["money"] / (view.age + view.horizon) * 30.44
