"""Comparison of contact policies on a recorded log: one replay per policy.

The models do not depend on the policy, so the replays differ in their calls only. A lost customer is reached in time
if the first call of their silence came at least `act_before` before they counted as lost. Reached is not saved: what a
call changes cannot be seen in a log.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.policy.policy import Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.ingest import LogFormat, open_log
from stream_app.replay.runner import OnProgress, Outcome, Replay
from stream_app.replay.session import collector_off

MONTH_DAYS: Final = 30.44
_Silence = tuple[str, int]  # customer, and time of the order that it follows, microseconds


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
    """

    policy: str
    lost: int = 0
    lost_money: float = 0.0
    total: Reached = field(default_factory=Reached)
    break_even: float | None = None
    repeats: int = 0
    segments: dict[str, Reached] = field(default_factory=dict)
    suppressed: dict[str, int] = field(default_factory=dict)


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
        UnusableLog: the log cannot be replayed.
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="policy-") as folder, open_log(logs, form, Path(folder)) as log:
        events = log.scan().events
        for place, policy in enumerate(policies):
            shop = settings.with_policy(policy)
            with collector_off():
                outcome = Replay(shop, on_progress=on_progress(place, events)).run(log.batches())
            figures.append(figures_of(outcome, shop))
    return figures


def figures_of(outcome: Outcome, settings: Settings) -> TrialFigures:
    """Return the figures of a replay whose calls were planned."""
    orders = _orders(outcome)
    lost = _lost(orders, outcome.last_at, settings)
    figures = TrialFigures(settings.policy.version, len(lost), sum(lost.values()), suppressed=dict(outcome.suppressed))
    figures.break_even = _break_even(outcome, settings)
    latest = settings.lost_after_or_default - settings.act_before_or_default
    called: set[_Silence] = set()
    for alert in _called(outcome):
        times = [at for at, _ in orders[alert.customer]]
        silence = (alert.customer, times[bisect_left(times, alert.opened_at) - 1])
        in_time = silence in lost and silence not in called and alert.opened_at <= silence[1] + latest
        figures.repeats += silence in called
        called.add(silence)
        segment = figures.segments.setdefault(alert.opening_segment, Reached())
        for one in (figures.total, segment):
            one.calls += 1
            one.people += in_time
            one.money += lost[silence] if in_time else 0.0
    return figures


def _break_even(outcome: Outcome, settings: Settings) -> float | None:
    """Return the cost of all calls ÷ what they would bring if each helped for sure."""
    benefit, candidates = settings.policy.benefit, [alert.candidate for alert in _called(outcome)]
    at_stake = sum(one.lost_probability * one.monthly_worth * benefit.months for one in candidates)
    return benefit.cost * len(candidates) / at_stake if benefit.cost and at_stake > 0.0 else None


def _called(outcome: Outcome) -> list[Alert]:
    """Return the alerts of customers who are called, without those held out."""
    return [alert for alert in outcome.opened if not alert.is_held_out]


def _orders(outcome: Outcome) -> dict[str, list[tuple[int, float]]]:
    """Return the times and amounts of every customer's orders, in order of time."""
    names = outcome.columns.decisions().customers
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, at, amount in zip(*(column.tolist() for column in outcome.money.orders()), strict=True):
        found[names[place]].append((at, amount))
    return {name: sorted(orders) for name, orders in found.items()}


def _lost(orders: dict[str, list[tuple[int, float]]], end: int, settings: Settings) -> dict[_Silence, float]:
    """Return the silences of customers who were lost before the log's end, with their monthly worth at the time."""
    lost_after, horizon, found = settings.lost_after_or_default, settings.horizon / DAY_US, {}
    for name, made in orders.items():
        times = [at for at, _ in made]
        money = list(accumulate(amount for _, amount in made))
        for at, following in pairwise([*dict.fromkeys(times), end]):
            if following - at >= lost_after:
                age = (at + lost_after - times[0]) / DAY_US
                found[name, at] = money[bisect_right(times, at) - 1] / (age + horizon) * MONTH_DAYS
    return found
