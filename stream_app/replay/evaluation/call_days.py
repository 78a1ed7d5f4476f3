"""Simulation of daily call lists: who could be called on each working day, and who is called by a ranking.

On each working day, at the hour of the list, customers can be called who are not lost and have not been called since
their last order. Nobody calls customers who are held out, have opted out, or complained since their last order so that
staff worked on it: the policy forbids it, or puts them last. Calls do not change the replay: their effect is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.units import DAY_US
from stream_app.replay.evaluation.evaluation import Evaluation


@dataclass(frozen=True)
class Calls:
    """Calls in order of time, as columns."""

    customer: Ints
    at: Ints  # microseconds


@dataclass(frozen=True)
class CallDay:
    """The customers who are not lost on one day, as columns."""

    number: int  # of the day among all list days
    at: int  # microseconds
    customer: Ints
    silent_days: Floats
    span_days: Floats  # from the first to the last order
    left_days: Floats  # until the latest time of a call; negative: too late
    worth: Floats  # net money so far ÷ (age + horizon), per day
    decision: Ints  # newest decision since the last order, or -1
    earlier: Ints  # the decision before it, or -1


class Ranking(Interface):
    """Chooses who is called."""

    def scores(self, day: CallDay) -> Floats:
        """Return the score of each customer of a day; NaN: not to be called."""

    def choose(self, day: CallDay, scores: Floats, free: Ints, capacity: int) -> Ints:
        """Return the rows of a day to be called, among the `free` ones."""


class CallDays:
    """Iterates over the list days of a replay.

    Args:
        evaluation: of the replay.
        moments: times of the lists, ascending.
    """

    def __init__(self, evaluation: Evaluation, moments: Ints) -> None:
        results, self.protocol, self.moments = evaluation.results, evaluation.protocol, moments
        self.customers = len(results.decisions.customers)
        self.decisions = results.decisions
        customer, at, amount = (np.concatenate(pair) for pair in zip(results.orders, results.refunds, strict=True))
        is_order = np.arange(len(at)) < len(results.orders[1])
        order = np.argsort(at, kind="stable")  # an order precedes a refund of the same time
        self._customer, self._at, self._amount = customer[order], at[order], amount[order]
        self._is_order = is_order[order]
        self._callable_from = evaluation.callable_from
        who, begin, end = evaluation.unavailable
        self._unavailable = np.zeros(self.customers, np.int64)  # number of reasons for which each gets no call
        self._reasons = np.concatenate((who, who)), np.concatenate((begin, end)), np.repeat((1, -1), len(who))
        self._last = np.full(self.customers, -1)
        self._first = np.full(self.customers, -1)
        self._spent = np.zeros(self.customers)
        self._decision = np.full(self.customers, -1)
        self._earlier = np.full(self.customers, -1)

    def __iter__(self) -> Iterator[tuple[CallDay, Ints]]:
        """Yield each day and the customers who have ordered since the day before."""
        events = np.searchsorted(self._at, self.moments, side="left").tolist()
        decided = np.searchsorted(self.decisions.decided_at, self.moments, side="right").tolist()
        seen = seen_decisions = 0
        before = np.iinfo(np.int64).min
        for number, now in enumerate(self.moments.tolist()):
            self._set_unavailable(before, now)
            before = now
            buyers = self._add_events(slice(seen, events[number]))
            self._add_decisions(np.arange(seen_decisions, decided[number]))
            seen, seen_decisions = events[number], decided[number]
            yield self._day(number, now), buyers

    def _set_unavailable(self, after: int, until: int) -> None:
        """Apply the begins and ends, in (after, until], of times in which customers get no call."""
        who, at, change = self._reasons
        rows = (at > after) & (at <= until)
        np.add.at(self._unavailable, who[rows], change[rows])

    def _add_events(self, rows: slice) -> Ints:
        customer, at, is_order = self._customer[rows], self._at[rows], self._is_order[rows]
        np.add.at(self._spent, customer, self._amount[rows])
        buyers, at = customer[is_order], at[is_order]
        new = self._first[buyers] < 0
        self._first[buyers[new][::-1]] = at[new][::-1]  # reversed, so that the earliest order stays
        self._last[buyers] = at
        return buyers

    def _add_decisions(self, rows: Ints) -> None:
        """Keep the two newest decisions of each customer."""
        by_customer = rows[np.argsort(self.decisions.customer[rows], kind="stable")]
        customer = self.decisions.customer[by_customer]
        last = np.append(customer[1:] != customer[:-1], True)[: len(customer)]
        again = np.flatnonzero(~last[:-1] & last[1:]) + 1 if len(last) else np.zeros(0, np.int64)
        who = customer[last]
        self._earlier[who] = self._decision[who]
        self._earlier[customer[again]] = by_customer[again - 1]
        self._decision[who] = by_customer[last]

    def _day(self, number: int, now: int) -> CallDay:
        protocol = self.protocol
        silent = now - self._last
        left = protocol.lost_after_us - protocol.act_before_us - silent
        may_be_called = (self._callable_from <= now) & (self._unavailable == 0)
        who = np.flatnonzero((self._last >= 0) & (silent < protocol.lost_after_us) & may_be_called)
        age_days = (now - self._first[who]) / DAY_US
        return CallDay(
            number=number,
            at=now,
            customer=who,
            silent_days=silent[who] / DAY_US,
            span_days=(self._last[who] - self._first[who]) / DAY_US,
            left_days=left[who] / DAY_US,
            worth=np.maximum(self._spent[who], 0.0) / (age_days + protocol.horizon_days),
            decision=self._current(self._decision[who], who, now),
            earlier=self._current(self._earlier[who], who, now - round(protocol.every_days * DAY_US)),
        )

    def _current(self, decision: Ints, who: Ints, now: int) -> Ints:
        """Return the decisions made since the last order and no longer ago than a period and a half, or -1."""
        fresh = round((self.protocol.every_days * 1.5 + 1) * DAY_US)
        decided_at = np.where(decision >= 0, self.decisions.decided_at[decision] if len(who) else 0, -1)
        return np.where((decided_at >= self._last[who]) & (decided_at > now - fresh), decision, -1)


def simulate(days: CallDays, rankings: Mapping[str, Ranking], calls: Mapping[int, Ints]) -> dict[str, dict[int, Calls]]:
    """Return the calls of each ranking at each capacity. Nobody is called twice between two orders.

    Args:
        days: the list days.
        rankings: how to choose.
        calls: capacity -> maximum number of calls on each day.
    """
    free = {(name, n): np.ones(days.customers, bool) for name in rankings for n in calls}
    made: dict[tuple[str, int], list[tuple[Ints, int]]] = {key: [] for key in free}
    for day, buyers in days:
        for mask in free.values():
            mask[buyers] = True
        for name, ranking in rankings.items():
            scores = ranking.scores(day)
            callable_ = ~np.isnan(scores)
            for n, most in calls.items():
                mask = free[name, n]
                chosen = _chosen(day, ranking, scores, callable_ & mask[day.customer], int(most[day.number]))
                mask[chosen] = False
                made[name, n].append((chosen, day.at))
    return {name: {n: _calls(made[name, n]) for n in calls} for name in rankings}


def _chosen(day: CallDay, ranking: Ranking, scores: Floats, free: Bools, capacity: int) -> Ints:
    rows = np.flatnonzero(free)
    return day.customer[ranking.choose(day, scores, rows, capacity)] if len(rows) and capacity else rows[:0]


def _calls(days: list[tuple[Ints, int]]) -> Calls:
    customer = np.concatenate([np.zeros(0, np.int64), *(who for who, _ in days)])
    at = np.concatenate([np.zeros(0, np.int64), *(np.full(len(who), now) for who, now in days)])
    return Calls(customer, at)
