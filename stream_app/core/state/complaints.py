"""Complaints one by one: which are open, since when, and whether they were answered.

The state has CASES places. A complaint takes one, and one more for each further opening while the customer still
waits: the customer waits since the first of them, whatever is opened later. What is kept follows from the openings and
from the latest answer and resolution alone, so up to CASES openings and all their steps leave the same facts in any
order of arrival.

Where there are more, these are forgotten, in this order: further openings of a complaint, closed complaints, open ones
that are too old for anybody to act on, answered ones, and last the newest that waits for an answer. So the complaint
that has waited longest stays. What comes of a forgotten one afterwards looks like a case of which only that is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import xxhash

from stream_app.core.arrays import Floats
from stream_app.core.events.enumerations import ComplaintAction
from stream_app.core.events.schema import Complaint
from stream_app.core.state.vector import CASE_STEPS, CASES, NEVER, SLOT, StateVector

_STEPS: Final = len(CASE_STEPS)
_FIRST_KEY, _FIRST_STEP = SLOT["complaint_0_key"], SLOT["complaint_0_opened"]
_KEY_BITS: Final = 48  # exact in a float64


class ComplaintCase(NamedTuple):
    """One complaint, days since 1970, NEVER where a step has not been taken.

    `opened` is the first opening since the latest answer or resolution; where there is none, the latest opening.
    """

    opened: float
    answered: float
    resolved: float

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, and not resolved since."""
        return self.opened > self.resolved

    @property
    def was_answered(self) -> bool:
        """Whether it has been opened, and answered since."""
        return self.answered >= self.opened > NEVER


class _Place(NamedTuple):
    """A place of the state: the complaint's key, and one opening of it."""

    key: float
    case: ComplaintCase


_EMPTY: Final = _Place(0.0, ComplaintCase(NEVER, NEVER, NEVER))


def has_cases(vector: StateVector[float]) -> bool:
    """Whether any complaint is remembered; places are filled from the first one on."""
    return vector[_FIRST_KEY] != 0


def keys_of(vector: StateVector[float]) -> frozenset[float]:
    """Which complaints are remembered."""
    return frozenset(vector[_FIRST_KEY : _FIRST_KEY + CASES]) - {0.0}


def steps_of(vector: StateVector[float]) -> Iterator[ComplaintCase]:
    """The complaints that are remembered of a customer."""
    before = 0.0
    for key, case in _places(vector):
        if key != before:
            yield case
        before = key


def _places(vector: StateVector[float]) -> list[_Place]:
    """The places that are taken: by key, and the openings of a complaint in order."""
    places = []
    for place in range(CASES):
        if key := vector[_FIRST_KEY + place]:
            start = _FIRST_STEP + place * _STEPS
            places.append(_Place(key, ComplaintCase(*vector[start : start + _STEPS])))
    return places


def apply_complaint(vector: StateVector[float], event: Complaint, day: float, followed_days: float = math.inf) -> None:
    """Note a step of a complaint. Steps without a complaint_id belong to the order's case, or to one case for all.

    Args:
        vector: the customer's, changed in place.
        event: the step.
        day: when, days since 1970.
        followed_days: after which nobody acts on a complaint any more.
    """
    name = event.complaint_id or event.order_id or ""
    key = float((xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) >> (64 - _KEY_BITS)) | 1)
    places = _places(vector)
    others = [one for one in places if one.key != key]
    own = _after_step([one.case for one in places if one.key == key], event.action, day)
    kept = _that_fit([*others, *(_Place(key, case) for case in own)], day - followed_days)
    kept.sort(key=lambda one: (-one.key, one.case.opened))
    for place, (kept_key, case) in enumerate([*kept, *[_EMPTY] * (CASES - len(kept))]):
        vector[_FIRST_KEY + place] = kept_key
        for step, at in enumerate(case, _FIRST_STEP + place * _STEPS):
            vector[step] = at


def _after_step(known: Sequence[ComplaintCase], action: ComplaintAction, day: float) -> list[ComplaintCase]:
    """One complaint after a step: the openings for which the customer waits, or the latest one if he does not."""
    openings = {case.opened for case in known}
    answered = max((case.answered for case in known), default=NEVER)
    resolved = max((case.resolved for case in known), default=NEVER)
    if action is ComplaintAction.ANSWERED:
        answered = max(answered, day)
    elif action is ComplaintAction.RESOLVED:
        resolved = max(resolved, day)
    else:
        openings.add(day)
    waits = [opened for opened in openings if opened > max(answered, resolved)]
    return [ComplaintCase(opened, answered, resolved) for opened in waits or [max(openings, default=NEVER)]]


def _that_fit(places: list[_Place], expired: float) -> list[_Place]:
    """The places that are kept; an open complaint from before `expired` is one that nobody acts on any more."""

    def worth(one: _Place) -> tuple[int, float, float]:
        """What has the least is forgotten first."""
        key, (opened, answered, resolved) = one
        if any(other.key == key and other.case.opened < opened for other in places):
            return 0, opened, key
        if not one.case.is_open:
            return 1, max(opened, answered, resolved), key
        if opened < expired:
            return 2, opened, key
        return 3 if one.case.was_answered else 4, -opened, key

    while len(places) > CASES:
        places.remove(min(places, key=worth))
    return places


def open_since(vector: Floats) -> Floats:
    """When each open complaint was opened: days since 1970, NEVER where a case is closed or empty; shape (n, CASES)."""
    steps = vector[:, _FIRST_STEP : _FIRST_STEP + CASES * _STEPS].reshape(len(vector), CASES, _STEPS)
    opened, resolved = steps[:, :, 0], steps[:, :, 2]
    is_open = opened > resolved
    keys = vector[:, _FIRST_KEY : _FIRST_KEY + CASES]
    is_open[:, 1:] &= keys[:, 1:] != keys[:, :-1]  # a further opening of the complaint before it
    return np.where(is_open, opened, NEVER)
