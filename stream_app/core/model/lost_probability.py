"""Probability that a customer is lost: that they do not order until `lost_after` after their last order.

The label of the churn model says only that there is no order within the horizon. Raising its probability to the power
of days left / horizon is biased, because the longer customers are silent, the less often they return. A discrete-time
hazard model (Efron, Journal of the American Statistical Association 1988) with the complementary log-log link (Prentice
and Gloeckler, Biometrics 1978) learns how the hazard differs from the constant one that the horizon's probability
implies. An untrained model returns that power.

Each step of a silence is counted when it ends, whether or not the customer has returned. The model therefore learns
after one step instead of after `lost_after`, and early returns do not bias it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Pending
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US

MAX_STEPS: Final = 26  # number of steps until `lost_after`; more only if a step would not fit into the horizon
BINS: Final = 24  # bins of the log-odds, each 0.5 wide
_LIMIT: Final = BINS / 4  # log-odds beyond it are counted in the outermost bins
_RIDGE: Final = 10.0  # precision of the coefficients' prior around 0
_NEWTON_STEPS: Final = 3  # per day; the previous day's coefficients are the start
_TERMS: Final = 8  # a power of two, see _sum
_AT_ONCE: Final = 256  # customers whose hazards are computed at once, so that they fit into the processor's cache
_RECENCY: Final = NAMES.index("recency")


class Ended(NamedTuple):
    """A step of a silence that has ended.

    Attributes:
        pending: the decision it is counted from.
        lead: number of steps from the decision to the beginning of this one.
        returned: whether the customer had returned when it ended.
    """

    pending: Pending
    lead: int
    returned: bool


@dataclass(frozen=True)
class StepGrid:
    """Steps of a silence.

    Args:
        step: length of a step, microseconds; a multiple of the time between decisions.
        horizon: churn horizon, microseconds.
        lost_after: microseconds.
    """

    step: int
    horizon: int
    lost_after: int

    @classmethod
    def of(cls, settings: Settings) -> StepGrid:
        """Return the finest grid with at most MAX_STEPS steps, or the coarsest whose steps fit into the horizon.

        >>> grid = StepGrid.of(Settings(horizon=60 * DAY_US, decide_every=7 * DAY_US, lost_after=180 * DAY_US))
        >>> grid.step // DAY_US, grid.steps, grid.leads
        (7, 26, 8)
        """
        period, lost_after = settings.decide_every, settings.lost_after_or_default
        periods = min(-(-lost_after // (MAX_STEPS * period)), settings.horizon // period)
        return cls(periods * period, settings.horizon, lost_after)

    @property
    def steps(self) -> int:
        """Number of steps until `lost_after`."""
        return -(-self.lost_after // self.step)

    @property
    def leads(self) -> int:
        """Number of steps that are counted from one decision: those within the horizon."""
        return self.horizon // self.step

    @property
    def cells(self) -> int:
        """Number of combinations of silence, lead and log-odds."""
        return self.steps * self.leads * BINS

    def begins_step(self, decided_at: int, decide_every: int) -> bool:
        """Return whether steps begin and end at a decision."""
        return decided_at // decide_every % (self.step // decide_every) == 0

    def codes(self, decisions: Sequence[Pending], leads: Ints) -> Ints:
        """Return the cell of each step, or -1 if the step begins after `lost_after`."""
        stored = np.frombuffer(b"".join([one.features for one in decisions]), dtype=np.float16)
        silent_days = np.expm1(stored.reshape(len(decisions), -1)[:, _RECENCY].astype(np.float64))
        silence = (silent_days * DAY_US / self.step).astype(np.int64)
        bins = np.floor(2.0 * (_log_odds(np.array([one.probability for one in decisions])) + _LIMIT))
        cells = (silence * self.leads + leads) * BINS + np.clip(bins, 0, BINS - 1).astype(np.int64)
        return np.where(silence + leads < self.steps, cells, -1)


class StepCounts:
    """Numbers of steps by cell: all steps, and those in which the customer returned.

    The counts are whole numbers and therefore independent of how customers are distributed over partitions.
    """

    def __init__(self) -> None:
        self.ended: Counter[int] = Counter()
        self.returned: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self.ended)

    def record(self, grid: StepGrid, ended: Sequence[Ended]) -> None:
        """Count steps that have ended."""
        if not ended:
            return
        decisions = [one.pending for one in ended]
        codes = grid.codes(decisions, np.array([one.lead for one in ended], dtype=np.int64))
        codes = np.repeat(codes, [one.pending.copies for one in ended])
        returned = np.repeat([one.returned for one in ended], [one.pending.copies for one in ended])
        self.ended.update(codes[codes >= 0].tolist())
        self.returned.update(codes[(codes >= 0) & returned].tolist())

    def merge(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Add rows of another partition or batch; see `rows`."""
        for code, ended, returned in rows:
            self.ended[code] += ended
            self.returned[code] += returned

    def rows(self) -> list[tuple[int, int, int]]:
        """Return tuples of cell, number of steps, and number of steps with a return, sorted by cell."""
        return [(code, count, self.returned[code]) for code, count in sorted(self.ended.items())]


class LostModel:
    """Hazards of returning, by silence, lead and the horizon's log-odds.

    The counts are forgotten with a half-life of `lost_after`.

    Args:
        grid: steps of a silence.

    >>> model = LostModel(StepGrid.of(Settings(lost_after=180 * DAY_US)))
    >>> model.probability(np.array([120.0]), np.array([0.8])).round(3).tolist()  # untrained: 60 days are left
    [0.8]
    """

    def __init__(self, grid: StepGrid) -> None:
        self.grid = grid
        self.coefficients = np.zeros(_TERMS)
        self._ended, self._returned = np.zeros(grid.cells), np.zeros(grid.cells)
        self._learned_at = 0  # microseconds

    def learn_day(self, counts: StepCounts, moment: int) -> bool:
        """Learn a day's steps. Return whether predictions have changed.

        Args:
            counts: steps that ended since the last call.
            moment: time, microseconds.
        """
        if not counts:
            return False
        kept = 0.5 ** (max(moment - self._learned_at, 0) / self.grid.lost_after)
        self._learned_at = moment
        self._ended, self._returned = self._ended * kept, self._returned * kept
        for code, ended, returned in counts.rows():
            if code < self.grid.cells:
                self._ended[code] += ended
                self._returned[code] += returned
        self._fit()
        return True

    def probability(self, silent_days: Floats, churn_probability: Floats) -> Floats:
        """Return the probability of each customer to be lost.

        Args:
            silent_days: days since the last order, shape (n,).
            churn_probability: probability of no order within the horizon, shape (n,).
        """
        left = (self.grid.lost_after / DAY_US - silent_days) / (self.grid.step / DAY_US)
        hazards = self.hazards(silent_days, churn_probability, int(np.ceil(left.max(initial=0.0))))
        total = np.zeros(len(left))
        for lead, hazard in enumerate(hazards):
            total += np.clip(left - lead, 0.0, 1.0) * hazard
        return np.exp(-total)

    def hazards(self, silent_days: Floats, churn_probability: Floats, steps: int) -> Floats:
        """Return the hazards of returning in each of the next steps, shape (steps, n).

        Args:
            silent_days: days since the last order, shape (n,).
            churn_probability: probability of no order within the horizon, shape (n,).
            steps: number of steps.
        """
        silence, log_odds = silent_days / (self.grid.step / DAY_US) - 0.5, _log_odds(churn_probability)
        leads = np.arange(steps, dtype=np.float64)[:, None]
        hazards = np.empty((steps, len(silence)))
        for start in range(0, len(silence), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            offset, terms = self._terms(silence[rows], leads, log_odds[rows])
            products = [one * own for one, own in zip(terms, self.coefficients, strict=True)]
            hazards[:, rows] = _hazard(offset + _sum(products))
        return hazards

    def _fit(self) -> None:
        """Maximize the penalized likelihood by Newton's method."""
        used = np.flatnonzero(self._ended > 0.0)
        lead, bins = used // BINS % self.grid.leads, used % BINS
        silence = used // (BINS * self.grid.leads)
        log_odds = (bins + 0.5) / 2.0 - _LIMIT
        offset, columns = self._terms(silence.astype(np.float64), lead.astype(np.float64), log_odds.astype(np.float64))
        terms = np.stack(np.broadcast_arrays(*columns), axis=1)
        ended, returned = self._ended[used], self._returned[used]
        for _ in range(_NEWTON_STEPS):
            hazard = _hazard(offset + terms @ self.coefficients)
            chance = np.clip(-np.expm1(-hazard), 1e-9, 1.0 - 1e-9)
            odds = (1.0 - chance) / chance
            slope = terms.T @ (hazard * (returned * odds - (ended - returned))) - _RIDGE * self.coefficients
            curvature = terms.T @ ((ended * hazard**2 * odds)[:, None] * terms) + _RIDGE * np.eye(_TERMS)
            self.coefficients = self.coefficients + np.clip(np.linalg.solve(curvature, slope), -1.0, 1.0)

    def _terms(self, silence: Floats, lead: Floats, log_odds: Floats) -> tuple[Floats, list[Floats]]:
        """Return the log-hazard implied by the horizon's log-odds, and the terms of its correction.

        The arguments are broadcast, and so are the results.

        Args:
            silence: steps since the last order at the decision.
            lead: steps since the decision.
            log_odds: of no order within the horizon.
        """
        per_horizon = self.grid.step / self.grid.horizon
        implied = np.log(np.log1p(np.exp(-log_odds)))  # log of the hazard over the horizon
        # Silences beyond `lost_after` are not learned; their hazards continue like those at `lost_after`.
        since = np.minimum((silence + lead + 0.5) * self.grid.step / self.grid.lost_after, 1.0)
        after = np.log1p(lead * per_horizon)
        terms = [
            np.ones(1),
            after,
            since,
            since**2,
            implied,
            implied * after,
            implied * since,
            after * since,
        ]
        return implied + np.log(per_horizon), terms


def _sum(terms: Sequence[Floats]) -> Floats:
    """Return the sum of arrays that are broadcast, added in pairs: those of equal shape first, in a fixed order."""
    while len(terms) > 1:
        terms = [first + second for first, second in zip(terms[::2], terms[1::2], strict=True)]
    return terms[0]


def _log_odds(probability: Floats) -> Floats:
    bounded = np.clip(probability, 1e-4, 1.0 - 1e-4)
    return np.log(bounded / (1.0 - bounded))


def _hazard(log_hazard: Floats) -> Floats:
    return np.exp(np.clip(log_hazard, -15.0, 2.0))
