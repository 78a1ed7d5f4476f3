"""Figures of calls: what the shop lost, and what calls reached in time at several capacities, against the best rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.call_days import CallDays, Calls, simulate
from stream_app.replay.evaluation.distribution import lead_summary
from stream_app.replay.evaluation.evaluation import Evaluation, Protocol
from stream_app.replay.evaluation.intervals import share_interval
from stream_app.replay.evaluation.rankings import list_times, product_of, rules_of
from stream_app.replay.evaluation.reach import Reached, interval, most_reachable, reached_by, resampled
from stream_app.replay.evaluation.silences import ENOUGH, Silences, find_silences
from stream_app.replay.evaluation.worth import newest_decisions

STEPS: Final = (0.25, 0.5, 1, 2, 4, 8)  # capacities of the ladder, as multiples of the shop's own
PRODUCT: Final = "product"
MEASURES: Final = ("worth", "people")
PLENTY: Final = 0.95  # if a rule without a model reaches this share, a ranking hardly matters
Row = dict[str, Reached]  # ranking -> what it reached at one capacity


def ladder(protocol: Protocol, active: int) -> list[int]:
    """Return the capacities to show: from a quarter of the shop's own to eight times, up to a fifth of the customers.

    If the policy has rules that a simulation does not know, only the shop's own is shown.
    """
    steps = {max(1, int(protocol.capacity * step + 0.5)) for step in STEPS}
    simulated = {n for n in steps if protocol.reserve < n <= max(active / 5, 1) and not protocol.is_limited}
    return sorted(simulated | {protocol.capacity})


def call_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the figures of the product's calls and of the best rule."""
    own, everybody = alert_calls(evaluation), silences_of(evaluation)
    moments = list_times(evaluation, first_call(evaluation, own), evaluation.end_at)
    figures = header(evaluation, everybody, len(moments))
    silences = everybody.among(evaluation.compared)
    if not silences.enough:
        return {**figures, "ladder": [], "lead": lead_summary(np.zeros(0)), "per_call": None}
    capacity = evaluation.protocol.capacity
    steps = ladder(evaluation.protocol, len(newest_decisions(evaluation)))
    calls = {n: calls_per_day(evaluation, own, moments, n) for n in steps}
    rankings = {**rules_of(evaluation), PRODUCT: product_of(evaluation)}
    made = simulate(CallDays(evaluation, moments), rankings, calls)
    rows: dict[int, Row] = {
        n: {name: reached_by(evaluation, silences, found[n]) for name, found in made.items()} for n in steps
    }
    simulated = rows[capacity][PRODUCT]
    rows[capacity][PRODUCT] = reached_by(evaluation, silences, own)
    draws = Draws(silences, rows)
    measure = str(figures["measure"])
    best = rows[capacity][best_rule(silences, rows[capacity], measure)]
    return {
        **figures,
        "everyone_callable": bool(figures["everyone_callable"]) or (share(silences, best, measure) or 0.0) >= PLENTY,
        "simulated_at_capacity": {name: share(silences, simulated, name) for name in MEASURES},
        "ladder": [
            {
                "capacity": n,
                "from_alerts": n == capacity,
                **step_figures(silences, row, draws),
                "oracle": oracle(evaluation, silences, moments, calls[n]),
            }
            for n, row in rows.items()
        ],
        "lead": lead_summary(rows[capacity][PRODUCT].lead_days),
        "per_call": per_call(evaluation, rows[capacity][PRODUCT]),
    }


def silences_of(evaluation: Evaluation) -> Silences:
    """Return the silences that count for the calls of a replay."""
    return find_silences(evaluation, first_call(evaluation, alert_calls(evaluation)))


def first_call(evaluation: Evaluation, own: Calls) -> int:
    """Return the time of the product's first call, or the end of the warm-up if it made none."""
    return int(own.at[0]) if len(own.at) else evaluation.warm_at


def alert_calls(evaluation: Evaluation) -> Calls:
    """Return the calls that the alerts of the daily lists asked for.

    Urgent alerts are not part of the lists. Calls count neither for the product nor for the rules if they go to
    customers that a holdout experiment leaves alone unless they are exempt, or that staff contacted about a complaint.
    """
    index = {name: i for i, name in enumerate(evaluation.results.decisions.customers)}
    opened = [a for a in evaluation.results.alerts if a.kind == "opened" and a.customer_id in index]
    opened.sort(key=lambda a: (a.at, a.rank))
    customer, at = (np.array(one, np.int64) for one in ([index[a.customer_id] for a in opened], [a.at for a in opened]))
    available = evaluation.is_available(customer, at) & (at >= evaluation.callable_from[customer])
    return Calls(customer[available], at[available])


def calls_per_day(evaluation: Evaluation, own: Calls, moments: Ints, capacity: int) -> Ints:
    """Return how many calls may be made on each list day: the capacity without the reserve for complaints.

    If the policy has rules that a simulation does not know, such as costs, as many as the product made on that day.
    """
    if not evaluation.protocol.is_limited:
        return np.full(len(moments), capacity - evaluation.protocol.reserve)
    place = np.searchsorted(moments, own.at, side="right") - 1
    return np.bincount(place[place >= 0], minlength=len(moments))


def header(evaluation: Evaluation, silences: Silences, days: int) -> dict[str, object]:
    """Return what the figures are about: the rule, the time, and what the shop lost in it."""
    p, zone, months = evaluation.protocol, evaluation.protocol.zone, silences.months
    known = silences.total_worth > 0
    active = len(newest_decisions(evaluation))
    calls_before_deadline = p.capacity * 5 / 7 * (p.lost_after_days - p.act_before_days)
    lost_by_customer = np.bincount(silences.orders.customer[silences.lost]) if silences.count else np.zeros(0)
    return {
        "measure": "worth" if known and p.rank_by != "reach" else "people",
        "rank_by": p.rank_by,
        "act_before_days": p.act_before_days,
        "lost_after_days": p.lost_after_days,
        "from": iso_day(silences.since, zone),
        "until": iso_day(silences.until, zone),
        "months": months,
        "list_days": days,
        "planned_per_day": p.capacity - p.reserve,
        "held_out_share": float(evaluation.held_out.mean()) if len(evaluation.held_out) else 0.0,
        "complaints": complaint_figures(evaluation, silences),
        "lost": {
            "enough": silences.enough,
            "needed": ENOUGH,
            "silences": silences.count,
            "customers": int((lost_by_customer > 0).sum()),
            "per_month": silences.count / months if months else None,
            "monthly_worth": silences.total_worth if known else None,
            "monthly_worth_per_month": silences.total_worth / months if known and months else None,
        },
        "everyone_callable": bool(active and calls_before_deadline >= active),
    }


def complaint_figures(evaluation: Evaluation, silences: Silences) -> dict[str, object]:
    """Return the lost silences in which staff worked on a complaint; they are left out of what calls reach."""
    by_staff = silences.among(~(evaluation.compared | evaluation.left_alone))
    total = silences.total_worth
    return {"silences": by_staff.count, "worth_share": by_staff.total_worth / total if total else None}


def share(silences: Silences, reached: Reached, measure: str) -> float | None:
    """Return the share of the lost silences, or of their worth, that was reached in time; None if unknown."""
    if measure == "people":
        return reached.count / silences.count
    return reached.worth / silences.total_worth if silences.total_worth > 0 else None


def best_rule(silences: Silences, row: Row, measure: str) -> str:
    """Return the rule that reached most."""
    rules = [name for name in row if name != PRODUCT]
    return max(rules, key=lambda name: (share(silences, row[name], measure) or 0.0, -rules.index(name)))


class Draws:
    """Sums over resampled customers, of what was lost and what was reached.

    Args:
        silences: the silences.
        rows: what was reached, by capacity.
    """

    def __init__(self, silences: Silences, rows: Mapping[int, Row]) -> None:
        lost = np.flatnonzero(silences.lost)
        customers, who = np.unique(silences.orders.customer[lost], return_inverse=True)
        columns = {"people": np.bincount(who).astype(np.float64), "worth": np.bincount(who, silences.worth[lost])}
        self._place: dict[tuple[int, str], int] = {}
        found = [columns[measure] for measure in MEASURES]
        for row in rows.values():
            names = {PRODUCT, *(best_rule(silences, row, measure) for measure in MEASURES)}
            for reached in (row[name] for name in sorted(names)):
                for measure in MEASURES:
                    self._place[id(reached), measure] = len(found)
                    found.append(reached.by_customer(customers, worth=measure == "worth"))
        self._sums = resampled(np.column_stack(found))

    def share(self, reached: Reached, measure: str) -> Floats:
        """Return the share that was reached in each draw."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sums[:, self._place[id(reached), measure]] / self._sums[:, MEASURES.index(measure)]


def step_figures(silences: Silences, row: Row, draws: Draws) -> dict[str, object]:
    """Return the figures of one capacity."""
    best = {measure: best_rule(silences, row, measure) for measure in MEASURES}
    return {
        PRODUCT: reach_figures(silences, row[PRODUCT]) | with_intervals(row[PRODUCT], draws),
        "best_rule": best,
        "rules": {
            name: reach_figures(silences, reached) | (with_intervals(reached, draws) if name in best.values() else {})
            for name, reached in row.items()
            if name != PRODUCT
        },
        "against_best_rule": {
            measure: against(silences, row[PRODUCT], row[name], measure, draws) for measure, name in best.items()
        },
    }


def reach_figures(silences: Silences, reached: Reached) -> dict[str, object]:
    """Return what was reached, of how many, and the share of calls without an order in the horizon after them."""
    low, high = share_interval(reached.stayed_away, reached.caller)
    known = len(reached.stayed_away)
    return {
        "calls": reached.calls,
        "reached": reached.count,
        "of": silences.count,
        "people_share": share(silences, reached, "people"),
        "monthly_worth_reached": reached.worth,
        "worth_share": share(silences, reached, "worth"),
        "lead_median_days": float(np.median(reached.lead_days)) if reached.count else None,
        "right": reached.stayed_away.mean() if known else None,
        "right_low": low,
        "right_high": high,
        "right_n": known,
    }


def with_intervals(reached: Reached, draws: Draws) -> dict[str, object]:
    """Return the intervals of the shares that were reached."""
    found: dict[str, object] = {}
    for measure in MEASURES:
        low, high = interval(draws.share(reached, measure))
        found |= {f"{measure}_share_low": low, f"{measure}_share_high": high}
    return found


def against(silences: Silences, mine: Reached, best: Reached, measure: str, draws: Draws) -> dict[str, object]:
    """Return the ratio and the difference of the product's share and the best rule's, with intervals."""
    a, b = share(silences, mine, measure), share(silences, best, measure)
    x, y = draws.share(mine, measure), draws.share(best, measure)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = interval(x / y)
    difference_low, difference_high = interval(x - y)
    return {
        "ratio": a / b if a is not None and b else None,
        "low": low,
        "high": high,
        "difference": a - b if a is not None and b is not None else None,
        "difference_low": difference_low,
        "difference_high": difference_high,
    }


def oracle(evaluation: Evaluation, silences: Silences, moments: Ints, calls: Ints) -> dict[str, float | None]:
    """Return the shares that as many calls on the same days reach if the future is known; upper bounds."""
    lost = np.flatnonzero(silences.lost)
    lost_at, begun = silences.lost_at[lost].tolist(), silences.orders.at[lost].tolist()
    value = {"people": np.ones(len(lost)), "worth": silences.worth[lost]}
    lists, most = moments.tolist(), calls.tolist()
    lead = evaluation.protocol.act_before_us
    return {
        f"{measure}_share": most_reachable(lost_at, begun, each.tolist(), lists, most, lead) / each.sum()
        if each.sum() > 0
        else None
        for measure, each in value.items()
    }


def per_call(evaluation: Evaluation, reached: Reached) -> dict[str, object] | None:
    """Return what one call reaches on average, and the share of those reached that must stay for a call to pay.

    The share is for one month of staying: twelve months need a twelfth of it. It is None without a cost of a contact.
    """
    if not reached.calls or not reached.worth:
        return None
    worth = reached.worth / reached.calls
    cost = float(evaluation.results.settings.get("contact_cost") or 0.0)
    return {
        "reached_per_call": reached.count / reached.calls,
        "monthly_worth_reached_per_call": worth,
        "mean_monthly_worth": reached.worth / reached.count,
        "contact_cost": cost or None,
        "pays_if_kept_for_a_month": cost / worth if cost else None,
    }
