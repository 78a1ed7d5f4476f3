"""Figures of a holdout experiment: what the calls change, how certain that is, what the holdout costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import msgspec
import numpy as np

from stream_app.core.arrays import Bools, Floats
from stream_app.core.units import DAY_US
from stream_app.core.uplift.betting import ratio_mismatch
from stream_app.core.uplift.families import shrunk
from stream_app.core.uplift.holdout import HELD_OUT, TREATED, Holdout, draw
from stream_app.core.uplift.intervals import Boundary, clock_of, intervals, is_early, pace
from stream_app.core.uplift.outlook import YEAR_DAYS, YEARS, Forecast
from stream_app.core.uplift.regression import running_effect, unadjusted

MISMATCH: Final = 1_000.0  # above it the split is broken; see betting.ratio_mismatch
OTHERS: Final = "others"  # families with too few customers, together
_FEWEST: Final = 10  # customers per arm of a family
_MOST: Final = 1e300  # JSON has no infinity


@dataclass(frozen=True, slots=True)
class Subject:
    """A customer at their first draw in an experiment, with what they did afterwards."""

    customer: str
    arm: str
    drawn_at: int  # microseconds
    lost_probability: float
    monthly_worth: float
    family: str  # most likely cause at the draw; empty: unknown
    ordered: bool = False  # within the window
    revenue: float = 0.0  # within the window
    share: float = 0.0  # share of customers held out at the draw; 0: that of the experiment
    measure: str = ""  # what the playbook recommended at the draw, for both arms
    channel: str = ""  # the same


class ArmFigures(msgspec.Struct, frozen=True):
    """Customers of one arm whose window has ended."""

    arm: str
    customers: int
    ordered: int
    revenue: float


class ShareFigures(msgspec.Struct, frozen=True):
    """Customers drawn while one share applied."""

    share: float
    drawn: int
    held_out: int


class Effect(msgspec.Struct, frozen=True):
    """A difference between the arms, as shares (0.05: five points), with the interval that holds at every look."""

    effect: float
    lower: float
    upper: float
    error: float  # standard error


class FamilyEffect(msgspec.Struct, frozen=True):
    """The effect in a family of customers, shrunk towards that of all; its error does not hold at every look."""

    family: str
    customers: int
    effect: float
    error: float
    unshrunk: float


class Outlook(msgspec.Struct, frozen=True):
    """When the experiment answers.

    Attributes:
        answer: whether the interval excludes zero.
        days: until an effect as large as the present estimate is shown; None: not within `years`.
        detectable: smallest effect that is shown within `years`.
    """

    answer: bool
    days: float | None
    detectable: float
    years: int = YEARS


class UpliftFigures(msgspec.Struct, frozen=True):
    """Everything that is known about an experiment.

    Attributes:
        experiment: its name.
        share: share of customers held out, at first if it has changed.
        window_days: time within which an order counts.
        drawn: number of customers drawn.
        waiting: number of them whose window has not ended.
        arms: outcomes by arm.
        effect: on the share of customers who order; None while an arm is empty.
        placebo: the same between two halves drawn by another name, where the truth is zero.
        mismatch: evidence that the arms are not split as they should be; broken above 1,000.
        families: effects by cause.
        cost: revenue that those held out would have brought if called, by the present estimate; None if unknown.
        outlook: when the experiment answers; None if too little is known.
        shares: all shares that have applied, with the numbers drawn.
        measures: effects by measure. As for the families, what was recommended counts, not what was done.
        channels: effects by channel, in the same way.
    """

    experiment: str
    share: float
    window_days: float
    drawn: int
    waiting: int
    arms: list[ArmFigures]
    effect: Effect | None
    placebo: Effect | None
    mismatch: float
    families: list[FamilyEffect]
    cost: float | None
    outlook: Outlook | None
    shares: list[ShareFigures] = []
    measures: list[FamilyEffect] = []
    channels: list[FamilyEffect] = []


def figures(subjects: Sequence[Subject], holdout: Holdout, window: int, now: int) -> UpliftFigures:
    """Return the figures of an experiment.

    Args:
        subjects: all customers drawn, with the outcome so far.
        holdout: the experiment.
        window: time within which an order counts, microseconds.
        now: end of what is known, microseconds.
    """
    known = sorted(
        (replace(one, share=one.share or holdout.share) for one in subjects),
        key=lambda one: (one.drawn_at, one.customer),
    )
    if known:  # boundaries depend on the share at first
        later_share = min(holdout.shares[-1], known[0].share)
        holdout = msgspec.structs.replace(holdout, share=known[0].share, later_share=later_share)
    ripe = [one for one in known if one.drawn_at + window <= now]
    shares = _shares(known)
    effect = _effect(ripe, [one.arm == TREATED for one in ripe], holdout)
    return UpliftFigures(
        holdout.experiment,
        holdout.share,
        window / DAY_US,
        len(known),
        len(known) - len(ripe),
        [_arm(ripe, arm) for arm in (TREATED, HELD_OUT)],
        effect,
        _placebo(ripe, holdout),
        min(prod(ratio_mismatch(one.held_out, one.drawn, one.share) for one in shares), _MOST),
        _families(ripe, lambda one: one.family),
        _cost(ripe, effect),
        _outlook(known, ripe, effect, holdout, now),
        shares,
        _families(ripe, lambda one: one.measure),
        _families(ripe, lambda one: one.channel),
    )


def _shares(subjects: Iterable[Subject]) -> list[ShareFigures]:
    """Return the shares that have applied, in order of time."""
    drawn: dict[float, list[bool]] = {}
    for one in subjects:
        drawn.setdefault(one.share, []).append(one.arm == HELD_OUT)
    return [ShareFigures(share, len(arms), sum(arms)) for share, arms in drawn.items()]


def _arm(subjects: Iterable[Subject], arm: str) -> ArmFigures:
    members = [one for one in subjects if one.arm == arm]
    revenue = float(sum(one.revenue for one in members))
    return ArmFigures(arm, len(members), sum(one.ordered for one in members), revenue)


def _effect(subjects: Sequence[Subject], treated: Sequence[bool], holdout: Holdout) -> Effect | None:
    """Return the effect after the last customer, or None while an arm is empty."""
    if len(set(treated)) < 2:
        return None
    shares = np.array([one.share for one in subjects])
    estimates = running_effect(np.array(treated), _outcomes(subjects), covariates(subjects), shares)
    lower, upper = intervals(estimates, holdout)
    last = len(subjects) - 1
    if holdout.ends:
        last = min(last, int(np.searchsorted(clock_of(estimates.strata), holdout.planned, "right")) - 1)
    value, error = estimates.effect, estimates.error
    if is_early(estimates)[last]:
        value, error = unadjusted(estimates)  # the regression means little yet
    return Effect(*(float(one[last]) for one in (value, lower, upper, error)))


def _placebo(subjects: Sequence[Subject], holdout: Holdout) -> Effect | None:
    """Return the effect between two halves drawn by another name."""
    halves = msgspec.structs.replace(holdout, share=0.5, later_share=0.5)
    names = [draw(one.customer, f"{holdout.experiment}|placebo") for one in subjects]
    return _effect([replace(one, share=0.5) for one in subjects], [one < 0.5 for one in names], halves)


def _outcomes(subjects: Sequence[Subject]) -> Floats:
    return np.array([float(one.ordered) for one in subjects])


def covariates(subjects: Sequence[Subject]) -> Floats:
    """Return what the effect is adjusted for: P(lost) and the logarithm of the worth, at the draw."""
    worth = np.log1p(np.maximum([one.monthly_worth for one in subjects], 0.0))
    return np.stack([np.array([one.lost_probability for one in subjects]), worth], axis=-1)


def _families(subjects: Sequence[Subject], family_of: Callable[[Subject], str]) -> list[FamilyEffect]:
    """Return the effects of families with enough customers in both arms, largest first; the others count as one."""
    groups: dict[str, list[Subject]] = {}
    for one in subjects:
        groups.setdefault(family_of(one), []).append(one)
    small = [name for name, members in groups.items() if not _is_large(members)]
    others = [one for one in subjects if family_of(one) in small]
    large = {name: members for name, members in groups.items() if name not in small}
    if large and _is_large(others):
        large[OTHERS] = others
    found: list[tuple[str, int, float, float]] = []
    for name, members in sorted(large.items()):
        arms: Bools = np.array([one.arm == TREATED for one in members])
        shares = np.array([one.share for one in members])
        estimates = running_effect(arms, _outcomes(members), covariates(members), shares)
        if estimates.error[-1] > 0.0:
            found.append((name, len(members), float(estimates.effect[-1]), float(estimates.error[-1])))
    if not found:
        return []
    effects, errors = shrunk(np.array([one[2] for one in found]), np.array([one[3] for one in found]))
    families = [
        FamilyEffect(name, size, float(effect), float(error), raw)
        for (name, size, raw, _), effect, error in zip(found, effects, errors, strict=True)
    ]
    return sorted(families, key=lambda one: (-one.customers, one.family))


def _is_large(members: Sequence[Subject]) -> bool:
    called = sum(one.arm == TREATED for one in members)
    return min(called, len(members) - called) >= _FEWEST


def _cost(subjects: Sequence[Subject], effect: Effect | None) -> float | None:
    """Return effect × customers held out × revenue per customer who ordered."""
    ordered = [one.revenue for one in subjects if one.ordered]
    if effect is None or not ordered:
        return None
    return effect.effect * sum(one.arm == HELD_OUT for one in subjects) * float(np.mean(ordered))


def _outlook(
    subjects: Sequence[Subject], ripe: Sequence[Subject], effect: Effect | None, holdout: Holdout, now: int
) -> Outlook | None:
    if effect is None or effect.error <= 0.0:  # too few customers to tell how much their outcomes vary
        return None
    days = max(1.0, (now - subjects[0].drawn_at) / DAY_US)
    passed = sum(pace(one.share) for one in ripe) / pace(holdout.share)
    deviation = effect.error * len(ripe) / passed**0.5
    forecast = Forecast(Boundary(holdout), deviation, len(ripe), passed, len(subjects) / days)
    answer = not effect.lower <= 0.0 <= effect.upper
    wait = 0.0 if answer else forecast.days_to_answer(effect.effect)
    return Outlook(answer, wait, forecast.detectable(YEARS * YEAR_DAYS))
