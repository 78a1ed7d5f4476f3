"""The churn model, which computes the churn probability (risk) of customers.

It combines experts by an ensemble, a nowcast of the shop's return level, and drift detection.

The trainer and the workers use the same class. `decide` and `score` never change the model; `learn_day` updates it to
its next version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.causes.feedback import Feedback
from stream_app.core.expert_spec import DEFAULT, EVENTS, ExpertSpec
from stream_app.core.model.bg_nbd import bg_nbd_log_odds
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.drift import Drift, DriftWatch
from stream_app.core.model.ensemble import Ensemble
from stream_app.core.model.expected_value import TypicalOrder, expected_value
from stream_app.core.model.experts.baselines import BgNbdExpert, RecencyExpert
from stream_app.core.model.experts.binned import BinnedExpert
from stream_app.core.model.experts.expert import Expert, Rows, probability_of
from stream_app.core.model.experts.linear import LinearExpert
from stream_app.core.model.experts.recursive import Span
from stream_app.core.model.experts.river_expert import river_expert
from stream_app.core.model.experts.river_models import RiverBaselineExpert, TreeExpert
from stream_app.core.model.features import NAMES, features
from stream_app.core.model.labels import CHURNED, Matured, repeated
from stream_app.core.model.lost_probability import LostModel, StepCounts, StepGrid
from stream_app.core.model.next_order import next_order_days
from stream_app.core.model.nowcast import Nowcast
from stream_app.core.model.scores import MIXTURE, MODEL_SOURCE, PRIOR_SOURCE, LogOddsColumns, Scores
from stream_app.core.model.staff_feedback import StaffFeedback
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import DAY_US

_ModelT = TypeVar("_ModelT")
ENOUGH: Final = 100  # number of labels of each class needed before the model replaces the prior


class ChurnModel:
    """The model of one shop.

    Args:
        horizon: churn horizon, microseconds.
        decide_every: time between decisions on a customer, microseconds.
        seed: stored with the model; experts that use randomness have seeds of their own.
        specs: its experts.

    Raises:
        ContradictorySettings: an expert cannot be made.
    """

    def __init__(self, horizon: int, decide_every: int, seed: int, specs: Sequence[ExpertSpec] = DEFAULT) -> None:
        span = Span(horizon / DAY_US, decide_every / DAY_US)
        self.seed = seed
        self.span = span
        self.specs = tuple(specs)
        self.experts = [made(spec, span) for spec in self.specs]
        self._mixture = Ensemble(self._start, span)
        self._nowcast = Nowcast(span)
        self._drift = DriftWatch()
        self.lost: LostModel | None = None  # only if calls are planned
        self.typical_order: TypicalOrder | None = None  # as well
        self.feedback: StaffFeedback | None = None  # until staff give any
        self.version = 0
        self.churned = self.retained = 0
        self.importances = dict.fromkeys(NAMES, 0.0)

    @classmethod
    def of(cls, settings: Settings) -> ChurnModel:
        """Return the untrained model of a shop."""
        churn_model = cls(settings.horizon, settings.decide_every, settings.seed, settings.experts)
        churn_model.track_lost(settings)
        return churn_model

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `Scores.log_odds`."""
        return (*(spec.name for spec in self.specs), MIXTURE)

    @property
    def examples(self) -> int:
        """Number of labelled decisions learned so far."""
        return self.churned + self.retained

    @property
    def source(self) -> int:
        """Source of the current scores: PRIOR_SOURCE or MODEL_SOURCE."""
        return MODEL_SOURCE if min(self.churned, self.retained) >= ENOUGH else PRIOR_SOURCE

    @property
    def level(self) -> float:
        """Shift of every customer's log-odds due to the shop's current return level."""
        return self._nowcast.shift

    @property
    def drift(self) -> list[Drift]:
        """Changes of the model's loss detected so far."""
        return self._drift.seen

    @property
    def drift_window(self) -> tuple[int, float]:
        """Number of days since the latest change, and their mean log-loss; see DriftWatch.window."""
        return self._drift.window

    def shares(self) -> dict[str, float]:
        """Return the share of each expert in the ensemble."""
        # A stored ensemble may have earlier names.
        return dict(zip(self._start, self._mixture.shares().values(), strict=True))

    @property
    def _start(self) -> dict[str, float]:
        """Initial share of each expert in the ensemble."""
        return {spec.name: spec.share for spec in self.specs if not spec.compared}

    @property
    def _mixed(self) -> list[int]:
        """Columns of the ensemble's experts."""
        return [at for at, spec in enumerate(self.specs) if not spec.compared]

    def relist(self, specs: Sequence[ExpertSpec], experts: Sequence[Expert]) -> None:
        """Use another list of experts. Those that stay keep what they learned.

        Args:
            specs: the new list.
            experts: its experts; one that is new is untrained.
        """
        before = {spec.key for spec in self.specs if not spec.compared}
        kept = {spec.name for spec in specs if spec.key in before and not spec.compared}
        self.specs, self.experts = tuple(specs), list(experts)
        self._mixture.relist(self._start, kept)

    def decide(self, view: StateFrame) -> Scores:
        """See Model."""
        kept = features(view)
        rows = Rows(kept.astype(np.float64), bg_nbd_log_odds(view))
        log_odds, probability = self.predict(rows)
        shown = log_odds.astype(np.float32)
        stored = LogOddsColumns(self.specs).pack(shown, rows.prior.astype(np.float32))
        return Scores(kept, shown, _rounded(probability), self.source, self.version, stored)

    def predict(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return the log-odds of n rows, shape (n, len(names)), and their churn probabilities."""
        table = np.stack([expert.log_odds(rows) for expert in self.experts], axis=1)
        mixed = self._mixture.log_odds(table[:, self._mixed])
        probability = probability_of(self._with_level(mixed, rows.prior))
        return np.concatenate([table, mixed[:, None]], axis=1), probability

    def score(self, view: StateFrame) -> Floats:
        """See Model."""
        rows = Rows(features(view).astype(np.float64), bg_nbd_log_odds(view))
        mixed = self._mixed
        columns = [column for column, at in enumerate(mixed) if self.specs[at].scored == EVENTS]
        table = np.stack([self.experts[mixed[column]].log_odds(rows) for column in columns], axis=1)
        return _rounded(probability_of(self._with_level(self._mixture.log_odds(table, columns), rows.prior)))

    def lost_probability(self, silent_days: Floats, churn_probability: Floats) -> Floats:
        """See Model. Call `track_lost` first."""
        return _tracked(self.lost).probability(silent_days, churn_probability)

    def expected_value(self, view: StateFrame, churn_probability: Floats) -> Floats:
        """See Model."""
        return expected_value(view, churn_probability, _tracked(self.typical_order))

    def next_order_days(self, silent_days: Floats, churn_probability: Floats) -> tuple[Floats, Floats]:
        """See Model. Call `track_lost` first."""
        return next_order_days(_tracked(self.lost), silent_days, churn_probability)

    def track_lost(self, settings: Settings) -> None:
        """Start to learn what a plan of calls needs, if calls are planned and the settings are new."""
        grid = StepGrid.of(settings)
        if settings.plans_calls and (self.lost is None or self.lost.grid != grid):
            self.lost = LostModel(grid)
        if settings.plans_calls and self.typical_order is None:
            self.typical_order = TypicalOrder()

    def record_cohorts(self, cohorts: Cohorts) -> None:
        """Record decisions and returns for the nowcast, which compares expected with observed returns."""
        self._nowcast.record(cohorts)

    def learn_day(
        self,
        matured: Sequence[Matured],
        moment: int,
        steps: StepCounts | None = None,
        feedback: Feedback | None = None,
    ) -> None:
        """Learn from a day's labels, in order of (matured_at, customer), and become the version used from `moment` on.

        The version number increases whenever predictions change.
        """
        before = self._nowcast.shift
        matured = repeated(matured)
        if matured:
            self._learn(matured, moment)
        self._nowcast.begin_day(moment // DAY_US)
        changed = self.lost is not None and steps is not None and self.lost.learn_day(steps, moment)
        if feedback:
            self.feedback = self.feedback or StaffFeedback()
            self.feedback.learn(feedback)
        if matured or changed or feedback or self._nowcast.shift != before:
            self.version += 1

    def _learn(self, matured: Sequence[Matured], moment: int) -> None:
        labels = np.array([one.label for one in matured], dtype=np.int8)
        decisions = [one.pending for one in matured]
        kept = np.frombuffer(b"".join(p.features for p in decisions), dtype=np.float16).reshape(len(labels), -1)
        table, prior = LogOddsColumns(self.specs).unpack([p.log_odds for p in decisions])
        rows = Rows(kept.astype(np.float64), prior)
        probability = np.array([pending.probability for pending in decisions])
        losses = -np.log(np.where(labels == CHURNED, probability, 1.0 - probability))
        self._drift.observe(moment, float(losses.mean()))
        expected = probability_of(table[:, -1])
        days = np.array([pending.decided_at // DAY_US for pending in decisions])
        for day in np.unique(days).tolist():  # a single day if the horizon is a whole number of days
            self._nowcast.learn_day(day, expected[days == day], labels[days == day])
        self._mixture.learn_day(table[:, self._mixed], labels, table[:, -1])
        for expert in self.experts:
            expert.learn(rows, labels)
        self._weigh_features(rows)
        if self.typical_order is not None:
            self.typical_order.learn_day(rows.features, moment)
        self.churned += int((labels == CHURNED).sum())
        self.retained += int((labels != CHURNED).sum())

    def _with_level(self, mixed: Floats, prior: Floats) -> Floats:
        """Return the ensemble's log-odds shifted to the shop's current level, or the prior while labels are too few."""
        return mixed + self._nowcast.shift if self.source == MODEL_SOURCE else prior

    def _weigh_features(self, rows: Rows) -> None:
        """Store each feature's mean absolute contribution to the linear expert's log-odds over the last day."""
        linear = next((expert for expert in self.experts if isinstance(expert, LinearExpert)), None)
        if linear is not None:
            contributions = linear.contributions(rows)
            moved = np.stack(list(contributions.values()))  # one call for all features is faster
            weights = np.abs(moved - moved.mean(axis=1, keepdims=True)).mean(axis=1)
            self.importances = dict(zip(contributions, weights.tolist(), strict=True))


def made(spec: ExpertSpec, span: Span) -> Expert:
    """Return an untrained expert. Raises ContradictorySettings if it cannot be made."""
    if spec.model:
        return river_expert(spec)
    makers: dict[str, Callable[[], Expert]] = {
        "linear": lambda: LinearExpert(span),
        "cells": lambda: BinnedExpert(span),
        "prior": BgNbdExpert,
        "tree": TreeExpert,
        "recency": RecencyExpert,
        "plain": RiverBaselineExpert,
    }
    return makers[spec.name]()


def _tracked(model: _ModelT | None) -> _ModelT:
    if model is None:
        raise ValueError("the model does not learn what a plan of calls needs: call `track_lost` first")
    return model


def _rounded(probability: Floats) -> Floats:
    """Round to float32 so that stored and reported probabilities are equal."""
    return probability.astype(np.float32).astype(np.float64)
