"""Which customers to call: rules that any shop can follow without a model, and the product's own ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.alerts.call_order import call_priority, first_calls
from stream_app.core.alerts.call_plan import active_worth, name_order, plan
from stream_app.core.alerts.ranking import top_indices
from stream_app.core.arrays import Floats, Ints
from stream_app.core.partition.candidates import ordinary_silence
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.calendar import call_times
from stream_app.replay.evaluation.call_days import CallDay, Ranking
from stream_app.replay.evaluation.evaluation import Evaluation

Score = Callable[[CallDay], Floats]
DUE_FIRST: Final = 1e6  # puts those who are due soon before all others


def due_within(days: int) -> Score:
    """Return the rule that calls the highest worth among those due within some days, then by worth per day left."""

    def score(day: CallDay) -> Floats:
        due = day.left_days <= days
        return day.worth * np.where(due, DUE_FIRST, 1 / np.maximum(day.left_days, 1))

    return score


# Rule -> score, the highest first. `worth` is per customer and time, so it needs no model.
RULES: Final[dict[str, Score]] = {
    "longest_silence": lambda day: day.silent_days,
    "longest_silence_worth": lambda day: np.floor(day.silent_days) * 1e9 + day.worth,
    "due_7": due_within(7),
    "due_14": due_within(14),
    "worth_per_day": lambda day: day.worth / np.maximum(day.left_days, 1),
    "rfm": lambda day: np.where(day.silent_days >= (day.silent_days + day.left_days) / 2, day.worth, np.nan),
    "money": lambda day: day.worth,
}


@dataclass(frozen=True)
class TopScores:
    """Calls the highest scores; equal ones in random order, the same in every run."""

    score: Score
    chance: Ints  # of each customer
    in_time: bool = True  # call only those who can be called in time

    def scores(self, day: CallDay) -> Floats:
        """Return the score of each customer of a day."""
        scores = self.score(day)
        return np.where(day.left_days >= 0, scores, np.nan) if self.in_time else scores

    def choose(self, day: CallDay, scores: Floats, free: Ints, capacity: int) -> Ints:
        """Return the free rows with the highest scores."""
        best = free[top_indices(scores[free], capacity)]
        order = np.lexsort((self.chance[day.customer[best]], -scores[best]))
        return best[order[:capacity]]


@dataclass(frozen=True)
class PlannedCalls:
    """Calls the customers that the product's plan puts first (`core/alerts/call_plan.py`)."""

    evaluation: Evaluation
    lost_probability: Floats  # of each decision
    moments: Ints  # times of the lists, also those after the log
    name_order: Ints  # of each customer

    def scores(self, day: CallDay) -> Floats:
        """Return the weight of a call to each customer, by their newest decision."""
        decisions = self.evaluation.results.decisions
        row, settings = day.decision, self.evaluation.protocol.planning
        unusual = day.silent_days * DAY_US >= ordinary_silence(decisions.usual_gap_days[row], settings)
        known = (row >= 0) & (day.left_days >= 0) & unusual
        by_worth = self.evaluation.protocol.rank_by == "worth"
        horizon_days = self.evaluation.protocol.horizon_days
        worth = active_worth(decisions.money[row], day.span_days, horizon_days) if by_worth else 1.0
        return np.where(known, self.lost_probability[row] * worth, np.nan)

    def choose(self, day: CallDay, scores: Floats, free: Ints, capacity: int) -> Ints:
        """Return the free rows that the plan calls today."""
        act_by = day.at + np.round(day.left_days[free] * DAY_US).astype(np.int64)
        days = np.searchsorted(self.moments, act_by, side="right") - np.searchsorted(self.moments, day.at)
        planned = plan(capacity * days, scores[free], self.name_order[day.customer[free]])
        rows = free[planned]
        priorities = call_priority(scores[rows], self.evaluation.results.decisions.probability[day.decision[rows]])
        return rows[first_calls(capacity * days[planned], priorities, capacity)]


def agreed_risk(evaluation: Evaluation) -> Score:
    """Return the score of alerts by risk: the smaller of the last two probabilities, if above the threshold."""
    decisions, threshold = evaluation.results.decisions, evaluation.protocol.alert_above

    def score(day: CallDay) -> Floats:
        both = (day.decision >= 0) & (day.earlier >= 0)
        risk = np.minimum(decisions.probability[day.decision], decisions.probability[day.earlier])
        return np.where(both & (risk >= threshold), risk, np.nan)

    return score


def rules_of(evaluation: Evaluation) -> dict[str, Ranking]:
    """Return the rules that need no model."""
    chance = chances(evaluation)
    return {name: TopScores(score, chance) for name, score in RULES.items()}


def product_of(evaluation: Evaluation) -> Ranking:
    """Return the product's way of choosing, by `rank_by`."""
    lost = evaluation.results.decisions.lost_probability
    if lost is None or not evaluation.plans_calls:
        return TopScores(agreed_risk(evaluation), chances(evaluation), in_time=False)
    protocol = evaluation.protocol
    after = evaluation.end_at + protocol.lost_after_us
    moments = list_times(evaluation, evaluation.results.log.first_at, after)
    return PlannedCalls(evaluation, lost, moments, name_order(evaluation.results.decisions.customers))


def chances(evaluation: Evaluation) -> Ints:
    """Return a random number per customer, which depends only on the ids."""
    place = name_order(evaluation.results.decisions.customers)
    return np.random.default_rng(0).permutation(len(place))[place]


def list_times(evaluation: Evaluation, first: int, last: int) -> Ints:
    """Return the times of the product's lists in [first, last]: working days outside campaigns."""
    p = evaluation.protocol
    times = call_times(first, last, p.zone, p.working_days, p.hour)
    return np.array([at for at in times.tolist() if p.opens_alerts(at)], np.int64)
