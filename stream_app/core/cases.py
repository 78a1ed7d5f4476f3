"""Complaints one by one: which are open, since when, and whether they were answered.

The state keeps the CASES complaints that moved last. Each step of a case keeps its latest time and cases are kept in
order of their keys, so that the steps of as many cases may arrive in any order and leave the same facts. Of more cases
than that, the one that moved longest ago is forgotten, and what comes of it afterwards looks like a case of which only
that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.events import Complaint, ComplaintAction
from stream_app.core.state import CASE_STEPS, CASES, NEVER, SLOT, Facts

_STEPS: Final = len(CASE_STEPS)
_FIRST_KEY, _FIRST_STEP = SLOT["complaint_0_key"], SLOT["complaint_0_opened"]
_KEY_BITS: Final = 48  # exact in a float64
_STEP_OF: Final = {
    ComplaintAction.OPENED: 0,
    ComplaintAction.REOPENED: 0,
    ComplaintAction.ANSWERED: 1,
    ComplaintAction.RESOLVED: 2,
}


class Case(NamedTuple):
    """One complaint: the latest time of each step, days since 1970, NEVER where it has not been taken."""

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


def has_cases(facts: Facts[float]) -> bool:
    """Whether any complaint is remembered; places are filled from the first one on."""
    return facts[_FIRST_KEY] != 0


def keys_of(facts: Facts[float]) -> frozenset[float]:
    """Which complaints are remembered."""
    return frozenset(facts[_FIRST_KEY : _FIRST_KEY + CASES]) - {0.0}


def steps_of(facts: Facts[float]) -> Iterator[Case]:
    """The complaints that are remembered of a customer."""
    for case in range(CASES):
        if facts[_FIRST_KEY + case]:
            start = _FIRST_STEP + case * _STEPS
            yield Case(*facts[start : start + _STEPS])


def follow_case(facts: Facts[float], event: Complaint, day: float) -> None:
    """Note a step of a complaint. Steps without a complaint_id belong to the order's case, or to one case for all."""
    name = event.complaint_id or event.order_id or ""
    key = float((xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) >> (64 - _KEY_BITS)) | 1)
    keys = facts[_FIRST_KEY : _FIRST_KEY + CASES]
    case = keys.index(key) if key in keys else _place_for(facts, day)
    if case is None:
        return
    start = _FIRST_STEP + case * _STEPS
    new = keys[case] != key
    if new:
        facts[_FIRST_KEY + case] = key
        for step in range(_STEPS):
            facts[start + step] = NEVER
    step = start + _STEP_OF[event.action]
    facts[step] = max(facts[step], day)
    if new:
        _sort(facts)


def _sort(facts: Facts[float]) -> None:
    """Bring the cases into the order of their keys, empty places last."""
    keys = facts[_FIRST_KEY : _FIRST_KEY + CASES]
    steps = facts[_FIRST_STEP : _FIRST_STEP + CASES * _STEPS]
    for place, case in enumerate(sorted(range(CASES), key=keys.__getitem__, reverse=True)):
        facts[_FIRST_KEY + place] = keys[case]
        start = _FIRST_STEP + place * _STEPS
        facts[start : start + _STEPS] = steps[case * _STEPS : (case + 1) * _STEPS]


def _place_for(facts: Facts[float], day: float) -> int | None:
    """Where a new case goes: an empty place, else the place of the case that moved longest ago, if that is older."""
    moved = []
    for case in range(CASES):
        if facts[_FIRST_KEY + case] == 0:
            return case
        start = _FIRST_STEP + case * _STEPS
        moved.append(max(facts[start : start + _STEPS]))
    oldest = min(range(CASES), key=moved.__getitem__)
    return oldest if moved[oldest] < day else None


def open_since(facts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """When each open complaint was opened: days since 1970, NEVER where a case is closed or empty; shape (n, CASES)."""
    steps = facts[:, _FIRST_STEP : _FIRST_STEP + CASES * _STEPS].reshape(len(facts), CASES, _STEPS)
    opened, resolved = steps[:, :, 0], steps[:, :, 2]
    return np.where(opened > resolved, opened, NEVER)
