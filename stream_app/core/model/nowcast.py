"""Is the whole shop returning faster or slower than expected just now? A chain ladder over the decisions still waiting.

Labels are late by a whole horizon, but returns are not: of a cohort decided on 20 days ago we know who has come back
within 20 days, and from complete cohorts which share of all returns comes that early. Observed over expected returns of
the recent cohorts tells whether a season or a sale is lifting everybody, weeks before the first label says so. This is
the chain-ladder method of insurers (Mack, ASTIN Bulletin 1993), the nowcasting of reporting delays in epidemiology.

How far the shop's present level tells the level of the next horizon differs from shop to shop: the coefficient is
learned.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.experts.recursive import DAY_EFFECT, FORGET_HORIZONS, Span

WINDOW_HORIZONS: Final = 0.5  # of the recent cohorts that are looked at
HISTORY_HORIZONS: Final = 3  # of complete cohorts from which the development is read
CALM_PERIODS: Final = 20.0  # returns, times horizon / decide_every, that are added to both sides of the ratio
COEFFICIENT: Final = 0.2  # little, until the shop has shown that its level tells something
COEFFICIENT_DEVIATION: Final = 0.8
_SHORTEST: Final = 4  # days; a shorter horizon leaves no recent cohort to look at


class Nowcast:
    """The deviation of the shop's return level: log(observed / expected), 0 when all is as usual."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._days = int(span.horizon)
        self._began: int | None = None  # day of the first decision ever
        self._first_day = 0  # day of the oldest cohort that is kept
        self._returns: Floats = np.zeros((0, max(self._days, 1)))  # by cohort day and age in days
        self._expected = np.zeros(0)  # returns that the mixture expected of each cohort
        self._deviations: dict[int, float] = {}  # by day, for as long as its decisions wait
        self._precision = COEFFICIENT_DEVIATION**-2.0
        self.coefficient = COEFFICIENT
        self.deviation = 0.0  # of the present day

    @property
    def shift(self) -> float:
        """What is added to every customer's log-odds of churn today; a shop above its level is never thought worse."""
        return -max(self.coefficient, 0.0) * self.deviation

    def record(self, cohorts: Cohorts) -> None:
        """Note the decisions that were made, and the orders that were heard of, since the last time."""
        if cohorts.expected:
            self._reserve(min(cohorts.expected), max(cohorts.expected))
        for day, expected in cohorts.expected.items():
            if day >= self._first_day:
                self._expected[day - self._first_day] += expected
        for (day, age), count in cohorts.returns.items():
            if age < self._days and self._first_day <= day < self._first_day + len(self._expected):
                self._returns[day - self._first_day, age] += count

    def begin_day(self, day: int) -> None:
        """Measure the deviation on the morning of a day."""
        self.deviation = self._measure(day) if self._began is not None else 0.0
        self._deviations[day] = self.deviation
        self._deviations.pop(day - self._days - 10, None)

    def learn_day(self, decided_day: int, churn: Floats, labels: npt.NDArray[np.int8]) -> None:
        """Learn how far a day's deviation told what became of its decisions: one step of a scalar Kalman filter.

        The residual level of the day, in log-odds, is - coefficient · deviation + noise; the noise is the day's random
        effect and the sampling error of correlated rows.
        """
        deviation = self._deviations.get(decided_day, 0.0)
        variance = float((churn * (1.0 - churn)).sum())
        if variance <= 0:
            return
        residual = float((labels - churn).sum()) / variance
        information = 1.0 / (DAY_EFFECT**2 * self._span.horizon + 1.0 / (self._span.weight * variance))
        fading = self._span.fading(FORGET_HORIZONS)
        rest = COEFFICIENT_DEVIATION**-2.0
        precision = (1.0 - fading) * self._precision + fading * rest
        mean = ((1.0 - fading) * self._precision * self.coefficient + fading * rest * COEFFICIENT) / precision
        self._precision = precision + information * deviation * deviation
        self.coefficient = mean + information * -deviation * (residual + mean * deviation) / self._precision

    def _measure(self, today: int) -> float:
        """log(observed / expected) over the cohorts of the window, on the morning of a day since 1970.

        The cohort of yesterday is left out: its customers have not had a whole day.
        """
        history = today - self._days - 1 - (self._began or 0)  # complete cohorts so far
        if self._days < _SHORTEST or history < self._days // 4 + 5:
            return 0.0
        today -= self._first_day
        complete = today - self._days - 1
        development = self._returns[max(0, complete - self._days * HISTORY_HORIZONS) : complete].sum(axis=0)
        developed = np.cumsum(development) / max(float(development.sum()), 1.0)
        first = max(0, today - int(WINDOW_HORIZONS * self._days))
        cohorts = np.arange(first, min(today - 1, len(self._expected)))
        ages = np.minimum(today - 1 - cohorts, self._days)
        observed = float(np.cumsum(self._returns[cohorts], axis=1)[np.arange(len(cohorts)), ages - 1].sum())
        expected = float((self._expected[cohorts] * developed[ages - 1]).sum())
        calm = CALM_PERIODS / self._span.weight
        return float(np.log((observed + calm) / (expected + calm)))

    def _reserve(self, first: int, last: int) -> None:
        """Make room for the cohorts up to a day, and drop those that nobody looks at any more."""
        if self._began is None:
            self._began = self._first_day = first
        old = last - (HISTORY_HORIZONS + 2) * max(self._days, 1) - self._first_day
        if old > len(self._expected) // 2:  # rarely, since all that is kept is copied
            self._first_day += old
            self._expected, self._returns = self._expected[old:].copy(), self._returns[old:].copy()
        missing = last + 1 - self._first_day - len(self._expected)
        if missing > 0:
            self._expected = np.concatenate([self._expected, np.zeros(missing)])
            self._returns = np.concatenate([self._returns, np.zeros((missing, self._returns.shape[1]))])
