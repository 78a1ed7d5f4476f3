"""A customer's complaints: which are open, since when, and whether they were answered.

The state vector has CASES places. A complaint takes one place, plus one for each time it is opened again while the
customer is still waiting; the waiting time starts with the first opening. The stored values depend only on the openings
and on the latest answer and resolution, so up to CASES openings and their steps give the same state in any order of
arrival.

If there are more, places are freed in this order: further openings of a complaint, closed complaints, open ones that
are too old to be acted on, answered ones, and the newest unanswered one. The longest waiting complaint is therefore
kept. Later steps of a dropped complaint look like a new complaint with only these steps.
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
    """Times of one complaint's steps, in days since 1970; NEVER for a missing step.

    `opened` is the first opening after the latest answer or resolution, or the latest opening if none came after.
    """

    opened: float
    answered: float
    resolved: float

    @property
    def is_open(self) -> bool:
        """Whether the complaint was opened and has not been resolved since."""
        return self.opened > self.resolved

    @property
    def was_answered(self) -> bool:
        """Whether the complaint was opened and has been answered since."""
        return self.answered >= self.opened > NEVER


class _Place(NamedTuple):
    """A place in the state vector: the key of a complaint, and one of its openings."""

    key: float
    case: ComplaintCase


_EMPTY: Final = _Place(0.0, ComplaintCase(NEVER, NEVER, NEVER))


def has_cases(vector: StateVector[float]) -> bool:
    """Return whether any complaint is stored. The first place is always filled first."""
    return vector[_FIRST_KEY] != 0


def keys_of(vector: StateVector[float]) -> frozenset[float]:
    """Return the keys of the stored complaints."""
    return frozenset(vector[_FIRST_KEY : _FIRST_KEY + CASES]) - {0.0}


def steps_of(vector: StateVector[float]) -> Iterator[ComplaintCase]:
    """Yield the stored complaints of a customer."""
    before = 0.0
    for key, case in _places(vector):
        if key != before:
            yield case
        before = key


def _places(vector: StateVector[float]) -> list[_Place]:
    """Return the places in use, grouped by complaint, with each complaint's openings in order."""
    places = []
    for place in range(CASES):
        if key := vector[_FIRST_KEY + place]:
            start = _FIRST_STEP + place * _STEPS
            places.append(_Place(key, ComplaintCase(*vector[start : start + _STEPS])))
    return places


def apply_complaint(vector: StateVector[float], event: Complaint, day: float, followed_days: float = math.inf) -> None:
    """Apply a step to the complaints.

    Steps without a complaint_id are grouped into one complaint per order, or into a single complaint if they have no
    order.

    Args:
        vector: state vector of the customer, changed in place.
        event: the complaint step.
        day: time of the step, days since 1970.
        followed_days: age at which a complaint is too old to be acted on.
    """
    name = event.complaint_id or event.order_id or ""
    key = float((xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) >> (64 - _KEY_BITS)) | 1)
    places = _places(vector)
    others = [one for one in places if one.key != key]
    own = _after_step([one.case for one in places if one.key == key], event.action, day)
    kept = _truncated([*others, *(_Place(key, case) for case in own)], day - followed_days)
    kept.sort(key=lambda one: (-one.key, one.case.opened))
    for place, (kept_key, case) in enumerate([*kept, *[_EMPTY] * (CASES - len(kept))]):
        vector[_FIRST_KEY + place] = kept_key
        for step, at in enumerate(case, _FIRST_STEP + place * _STEPS):
            vector[step] = at


def _after_step(known: Sequence[ComplaintCase], action: ComplaintAction, day: float) -> list[ComplaintCase]:
    """Return a complaint's unanswered openings after a step, or its latest opening if all have been answered."""
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


def _truncated(places: list[_Place], expired: float) -> list[_Place]:
    """Return the places to keep. Open complaints from before `expired` are too old to be acted on."""

    def priority(one: _Place) -> tuple[int, float, float]:
        key, (opened, answered, resolved) = one
        if any(other.key == key and other.case.opened < opened for other in places):
            return 0, opened, key
        if not one.case.is_open:
            return 1, max(opened, answered, resolved), key
        if opened < expired:
            return 2, opened, key
        return 3 if one.case.was_answered else 4, -opened, key

    while len(places) > CASES:
        places.remove(min(places, key=priority))
    return places


def open_since(vector: Floats) -> Floats:
    """Return when open complaints were opened, in days since 1970; NEVER if closed or empty. Shape (n, CASES)."""
    steps = vector[:, _FIRST_STEP : _FIRST_STEP + CASES * _STEPS].reshape(len(vector), CASES, _STEPS)
    opened, resolved = steps[:, :, 0], steps[:, :, 2]
    is_open = opened > resolved
    keys = vector[:, _FIRST_KEY : _FIRST_KEY + CASES]
    is_open[:, 1:] &= keys[:, 1:] != keys[:, :-1]  # not another opening of the complaint in the previous place
    return np.where(is_open, opened, NEVER)
