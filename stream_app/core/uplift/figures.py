"""Figures of a holdout experiment: what the calls change, how certain that is, what the holdout costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from stream_app.core.arrays import Bools, Floats
from stream_app.core.units import DAY_US
from stream_app.core.uplift.betting import ratio_mismatch
from stream_app.core.uplift.families import shrunk
from stream_app.core.uplift.holdout import HELD_OUT, TREATED, Holdout, draw
from stream_app.core.uplift.intervals import Boundary, intervals, is_early
from stream_app.core.uplift.outlook import YEARS, days_to_answer, detectable, drawn_within
from stream_app.core.uplift.regression import running_effect, unadjusted

MISMATCH: Final = 1_000.0  # above it the split is broken; see betting.ratio_mismatch
_FEWEST: Final = 10  # customers per arm of a family


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


class ArmFigures(msgspec.Struct, frozen=True):
    """Customers of one arm whose window has ended."""

    arm: str
    customers: int
    ordered: int
    revenue: float


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
        share: share of customers held out.
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


def figures(subjects: Sequence[Subject], holdout: Holdout, window: int, now: int) -> UpliftFigures:
    """Return the figures of an experiment.

    Args:
        subjects: all customers drawn, with the outcome so far.
        holdout: the experiment.
        window: time within which an order counts, microseconds.
        now: end of what is known, microseconds.
    """
    ripe = sorted(
        (one for one in subjects if one.drawn_at + window <= now), key=lambda one: (one.drawn_at, one.customer)
    )
    held_out = sum(one.arm == HELD_OUT for one in subjects)
    effect = _effect(ripe, [one.arm == TREATED for one in ripe], holdout)
    placebo = msgspec.structs.replace(holdout, share=0.5)
    halves = [draw(one.customer, f"{holdout.experiment}|placebo") < placebo.share for one in ripe]
    return UpliftFigures(
        holdout.experiment,
        holdout.share,
        window / DAY_US,
        len(subjects),
        len(subjects) - len(ripe),
        [_arm(ripe, arm) for arm in (TREATED, HELD_OUT)],
        effect,
        _effect(ripe, halves, placebo),
        ratio_mismatch(held_out, len(subjects), holdout.share),
        _families(ripe),
        _cost(ripe, effect),
        _outlook(subjects, effect, len(ripe), holdout, now),
    )


def _arm(subjects: Iterable[Subject], arm: str) -> ArmFigures:
    members = [one for one in subjects if one.arm == arm]
    revenue = float(sum(one.revenue for one in members))
    return ArmFigures(arm, len(members), sum(one.ordered for one in members), revenue)


def _effect(subjects: Sequence[Subject], treated: Sequence[bool], holdout: Holdout) -> Effect | None:
    """Return the effect after the last customer, or None while an arm is empty."""
    if len(set(treated)) < 2:
        return None
    estimates = running_effect(np.array(treated), _outcomes(subjects), covariates(subjects))
    lower, upper = intervals(estimates, holdout)
    last = len(subjects) - 1
    if holdout.ends:
        last = min(last, holdout.planned - 1)
    value, error = estimates.effect, estimates.error
    if is_early(estimates)[last]:
        value, error = unadjusted(estimates)  # the regression means little yet
    return Effect(*(float(one[last]) for one in (value, lower, upper, error)))


def _outcomes(subjects: Sequence[Subject]) -> Floats:
    return np.array([float(one.ordered) for one in subjects])


def covariates(subjects: Sequence[Subject]) -> Floats:
    """Return what the effect is adjusted for: P(lost) and the logarithm of the worth, at the draw."""
    worth = np.log1p(np.maximum([one.monthly_worth for one in subjects], 0.0))
    return np.stack([np.array([one.lost_probability for one in subjects]), worth], axis=-1)


def _families(subjects: Sequence[Subject]) -> list[FamilyEffect]:
    """Return the effects of families with enough customers in both arms, largest family first."""
    found: list[tuple[str, int, float, float]] = []
    for name in sorted({one.family for one in subjects}):
        members = [one for one in subjects if one.family == name]
        arms: Bools = np.array([one.arm == TREATED for one in members])
        if min(arms.sum(), (~arms).sum()) < _FEWEST:
            continue
        estimates = running_effect(arms, _outcomes(members), covariates(members))
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


def _cost(subjects: Sequence[Subject], effect: Effect | None) -> float | None:
    """Return effect × customers held out × revenue per customer who ordered."""
    ordered = [one.revenue for one in subjects if one.ordered]
    if effect is None or not ordered:
        return None
    return effect.effect * sum(one.arm == HELD_OUT for one in subjects) * float(np.mean(ordered))


def _outlook(
    subjects: Sequence[Subject], effect: Effect | None, ripe: int, holdout: Holdout, now: int
) -> Outlook | None:
    if effect is None or effect.error <= 0.0:  # too few customers to tell how much their outcomes vary
        return None
    days = max(1.0, (now - min(one.drawn_at for one in subjects)) / DAY_US)
    per_day, deviation, boundary = len(subjects) / days, effect.error * ripe**0.5, Boundary(holdout)
    answer = not effect.lower <= 0.0 <= effect.upper
    wait = 0.0 if answer else days_to_answer(boundary, deviation, ripe, per_day, effect.effect)
    return Outlook(answer, wait, detectable(boundary, deviation, drawn_within(ripe, per_day)))
