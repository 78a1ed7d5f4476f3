"""Comparison of contact policies on a recorded log: one replay per policy.

The models do not depend on the policy, so the replays differ in their calls only. Lost customers, their worth and what
calls reach in time are those of the report (`evaluation/silences.py`, `evaluation/reach.py`). Customers count from the
first call of any of the policies on. Reached is not saved: what a call changes cannot be seen in a log.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.arrays import Floats
from stream_app.core.policy.policy import Policy
from stream_app.core.settings import Settings
from stream_app.ingest import LogFormat, open_log
from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.call_days import Calls
from stream_app.replay.evaluation.evaluation import Evaluation, evaluate
from stream_app.replay.evaluation.reach import reached_by
from stream_app.replay.evaluation.silences import Silences, find_silences
from stream_app.replay.evaluation.worth import currency_of
from stream_app.replay.request import Request
from stream_app.replay.runner import OnProgress, Replay
from stream_app.replay.session import check_length, check_orders, collector_off, results_of


@dataclass
class Reached:
    """Calls, and what they reached in time."""

    calls: int = 0
    people: int = 0  # lost customers, once per silence
    money: float = 0.0  # what these customers brought per month


@dataclass
class TrialFigures:
    """Figures of a policy.

    Attributes:
        policy: version of the policy.
        lost: number of lost customers, once per silence.
        lost_money: what they brought per month.
        total: all calls.
        break_even: chance to help at which the calls would have paid, if they have a cost and could bring something.
        repeats: calls to customers who were called since their last order.
        segments: calls by segment of the customer.
        suppressed: customers who were not called, by reason, once per day.
        since: date from which lost customers count.
        until: date until which they count.
        currency: of the amounts; empty if unknown.
    """

    policy: str
    lost: int = 0
    lost_money: float = 0.0
    total: Reached = field(default_factory=Reached)
    break_even: float | None = None
    repeats: int = 0
    segments: dict[str, Reached] = field(default_factory=dict)
    suppressed: dict[str, int] = field(default_factory=dict)
    since: str = ""
    until: str = ""
    currency: str = ""


@dataclass(frozen=True)
class Trial:
    """A replay under a policy."""

    settings: Settings
    evaluation: Evaluation
    called: list[Alert]  # without customers held out
    suppressed: dict[str, int]


def try_policies(
    logs: Sequence[str],
    form: LogFormat,
    settings: Settings,
    policies: Sequence[Policy],
    on_progress: Callable[[int, int], OnProgress],
) -> list[TrialFigures]:
    """Replay a log under each policy and return the figures, in the same order.

    Args:
        logs: log files or folders.
        form: format of the log.
        settings: the shop's settings, which plan the calls.
        policies: the policies to compare.
        on_progress: returns the observer of a replay, given the index of its policy and the number of events.

    Raises:
        UnusableLog: the log cannot be replayed, is not longer than the horizon, or has no orders.
    """
    trials = []
    with tempfile.TemporaryDirectory(prefix="policy-") as folder, open_log(logs, form, Path(folder)) as log:
        summary = log.scan()
        for place, policy in enumerate(policies):
            shop = settings.with_policy(policy)
            request = Request(tuple(logs), form, shop, Path(folder))
            check_length(request, summary)
            replay = Replay(shop, on_progress=on_progress(place, summary.events))
            with collector_off():
                outcome = replay.run(log.batches())
            check_orders(request, summary, outcome)
            evaluation = evaluate(results_of(request, summary, replay, outcome, seconds=1.0))
            called = [alert for alert in outcome.opened if not alert.is_held_out]
            trials.append(Trial(shop, evaluation, called, dict(outcome.suppressed)))
    return figures_of(trials)


def figures_of(trials: Sequence[Trial]) -> list[TrialFigures]:
    """Return the figures of replays of the same log. The same lost customers count for all of them."""
    first_calls = [alert.opened_at for trial in trials for alert in trial.called]
    first = min(first_calls, default=trials[0].evaluation.warm_at)
    return [_figures(trial, find_silences(trial.evaluation, first)) for trial in trials]


def _figures(trial: Trial, silences: Silences) -> TrialFigures:
    evaluation, zone = trial.evaluation, trial.evaluation.protocol.zone
    figures = TrialFigures(trial.settings.policy.version, silences.count, silences.total_worth)
    figures.suppressed = trial.suppressed
    figures.break_even = _break_even(trial)
    figures.since, figures.until = iso_day(silences.since, zone), iso_day(silences.until, zone)
    figures.currency = currency_of(evaluation)
    called = sorted(trial.called, key=lambda alert: alert.opened_at)
    calls = _calls(evaluation, called)
    reached = reached_by(evaluation, silences, calls)
    orders = silences.orders.last_before(calls.customer, calls.at - 1)
    figures.repeats = len(orders) - len(np.unique(orders))
    people = np.bincount(reached.call, minlength=len(called))
    money: Floats = np.bincount(reached.call, silences.worth[reached.silence], len(called)).astype(np.float64)
    segments = [alert.opening_segment for alert in called]
    for name in sorted(set(segments)):
        rows = np.array([one == name for one in segments])
        figures.segments[name] = Reached(int(rows.sum()), int(people[rows].sum()), float(money[rows].sum()))
    figures.total = Reached(len(called), int(people.sum()), float(money.sum()))
    return figures


def _calls(evaluation: Evaluation, called: Sequence[Alert]) -> Calls:
    index = {name: place for place, name in enumerate(evaluation.results.decisions.customers)}
    customer = np.array([index[alert.customer] for alert in called], np.int64)
    return Calls(customer, np.array([alert.opened_at for alert in called], np.int64))


def _break_even(trial: Trial) -> float | None:
    """Return the cost of all calls ÷ what they would bring if each helped for sure."""
    benefit, candidates = trial.settings.policy.benefit, [alert.candidate for alert in trial.called]
    at_stake = sum(one.lost_probability * one.monthly_worth * benefit.months for one in candidates)
    return benefit.cost * len(candidates) / at_stake if benefit.cost and at_stake > 0.0 else None
