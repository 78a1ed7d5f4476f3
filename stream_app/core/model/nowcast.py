"""Nowcast of the shop's return level, using the chain-ladder method on unlabelled decisions.

Labels are delayed by a whole horizon, but returns are not: for a cohort of decisions made 20 days ago, the returns
within 20 days are known, and complete cohorts show what share of all returns happens that early. The ratio of observed
to expected returns in recent cohorts reveals the effect of a season or a sale weeks before the first label. Insurers
know this as the chain-ladder method (Mack, ASTIN Bulletin 1993), and epidemiologists as nowcasting of reporting delays.

How well the current level predicts the level over the next horizon differs between shops, so the coefficient is
learned.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.experts.recursive import DAY_EFFECT, FORGET_HORIZONS, Span

WINDOW_HORIZONS: Final = 0.5  # length of the window of recent cohorts
HISTORY_HORIZONS: Final = 3  # length of the history used to estimate the development pattern
CALM_PERIODS: Final = 20.0  # pseudo-returns, times horizon / decide_every, added to both sides of the ratio
COEFFICIENT: Final = 0.2  # initial value
COEFFICIENT_DEVIATION: Final = 0.8
_SHORTEST: Final = 4  # days; shorter horizons have no recent cohorts


class Nowcast:
    """Tracks the deviation of the shop's return level: log(observed / expected), which is 0 at the usual level."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._days = int(span.horizon)
        self._began: int | None = None  # day of the first decision
        self._first_day = 0  # day of the oldest stored cohort
        self._returns: Floats = np.zeros((0, max(self._days, 1)))  # returns by cohort day and age in days
        self._expected = np.zeros(0)  # returns of each cohort expected by the ensemble
        self._deviations: dict[int, float] = {}  # deviation by day, until the day's decisions are labelled
        self._precision = COEFFICIENT_DEVIATION**-2.0
        self.coefficient = COEFFICIENT
        self.deviation = 0.0  # deviation of the current day

    @property
    def shift(self) -> float:
        """Today's shift of every customer's log-odds. It is never in the same direction as the deviation."""
        return -max(self.coefficient, 0.0) * self.deviation

    def record(self, cohorts: Cohorts) -> None:
        """Add new decisions and customer returns."""
        if cohorts.expected:
            self._reserve(min(cohorts.expected), max(cohorts.expected))
        for day, expected in cohorts.expected.items():
            if day >= self._first_day:
                self._expected[day - self._first_day] += expected
        for (day, age), count in cohorts.returns.items():
            if age < self._days and self._first_day <= day < self._first_day + len(self._expected):
                self._returns[day - self._first_day, age] += count

    def begin_day(self, day: int) -> None:
        """Start a day: measure the current deviation."""
        self.deviation = self._measure(day) if self._began is not None else 0.0
        self._deviations[day] = self.deviation
        self._deviations.pop(day - self._days - 10, None)

    def learn_day(self, decided_day: int, churn: Floats, labels: npt.NDArray[np.int8]) -> None:
        """Update the coefficient from one day's labelled decisions, as one step of a scalar Kalman filter.

        The day's residual level, in log-odds, is - coefficient · deviation + noise, where the noise combines the day's
        random effect with the sampling error of correlated rows.
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
        """Return log(observed / expected) over the cohorts in the window, as of the start of day `today`.

        Yesterday's cohort is omitted, since its customers have had less than a day to order.
        """
        history = today - self._days - 1 - (self._began or 0)  # number of complete cohorts so far
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
        """Allocate the cohorts from `first` to `last`, and drop those that are no longer used."""
        if self._began is None:
            self._began = self._first_day = first
        old = last - (HISTORY_HORIZONS + 2) * max(self._days, 1) - self._first_day
        if old > len(self._expected) // 2:  # only rarely, since it copies the rest
            self._first_day += old
            self._expected, self._returns = self._expected[old:].copy(), self._returns[old:].copy()
        missing = last + 1 - self._first_day - len(self._expected)
        if missing > 0:
            self._expected = np.concatenate([self._expected, np.zeros(missing)])
            self._returns = np.concatenate([self._returns, np.zeros((missing, self._returns.shape[1]))])
