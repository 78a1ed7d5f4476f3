"""How long until an experiment gives an answer, and which effect it can show at all."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from stream_app.core.uplift.intervals import Boundary

YEARS: Final = 2  # an answer that takes longer is "not within two years"
CHANCE: Final = 0.8  # with which an effect of the size named is shown
YEAR_DAYS: Final = 365.25
_MARGIN: Final = NormalDist().inv_cdf(CHANCE)  # standard errors


@dataclass(frozen=True, slots=True)
class Forecast:
    """How precisely an experiment will measure.

    Attributes:
        boundary: of the experiment.
        deviation: standard error × customers ÷ √time; see `intervals.clock_of`.
        drawn: number of customers so far.
        passed: time so far.
        per_day: customers drawn per day.
    """

    boundary: Boundary
    deviation: float
    drawn: int
    passed: float
    per_day: float

    def detectable(self, days: float) -> float:
        """Return the smallest effect that is shown after some more days with a probability of `CHANCE`."""
        drawn = max(1.0, self.drawn + self.per_day * days)
        passed = max(1.0, self.passed + self.boundary.clock(drawn) - self.boundary.clock(self.drawn))
        if self.boundary.holdout.ends and passed > self.boundary.holdout.planned:
            drawn = passed = float(self.boundary.holdout.planned)
        return float(self.boundary.at(passed) + _MARGIN) * self.deviation * passed**0.5 / drawn

    def days_to_answer(self, effect: float) -> float | None:
        """Return the days until an effect of this size is shown as likely as `CHANCE`; None: not within `YEARS`."""
        days = range(round(YEARS * YEAR_DAYS) + 1)
        return next((float(day) for day in days if self.detectable(day) <= abs(effect)), None)
