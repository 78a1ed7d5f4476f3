"""What the trainer learns besides labels: expected and observed returns by decision day, and feedback from staff.

Partitions send sums of returns to the trainer instead of individual decisions. The sums are exact and therefore
independent of how decisions are distributed over batches and partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_app.core.causes.feedback import Feedback
from stream_app.core.messages.batches import LabelledBatch
from stream_app.core.model.experts.expert import LIMIT
from stream_app.core.model.labels import Pending, Returned
from stream_app.core.model.lost_probability import StepCounts
from stream_app.core.model.scores import LogOddsColumns
from stream_app.core.units import DAY_US

_GRAIN: Final = 2.0**32  # sums of multiples of 2^-32 below 2^20 are exact in a float64


class Cohorts:
    """Sums over each day's decisions.

    >>> cohorts = Cohorts()
    >>> cohorts.record_returns([Returned(decided_at=0, returned_at=3 * DAY_US)])
    >>> cohorts.returns
    Counter({(0, 3): 1})
    """

    def __init__(self) -> None:
        self.expected: dict[int, float] = {}  # day since 1970 -> returns expected by the ensemble
        self.returns: Counter[tuple[int, int]] = Counter()  # (day since 1970, age in whole days) -> returns
        self.steps = StepCounts()
        self.feedback = Feedback()

    def __bool__(self) -> bool:
        return bool(self.expected or self.returns or self.steps or self.feedback)

    def record_decisions(self, decisions: Sequence[Pending]) -> None:
        """Add the expected returns of new decisions."""
        if not decisions:
            return
        mixture, _ = LogOddsColumns(()).unpack([pending.log_odds for pending in decisions])
        stays = 1.0 / (1.0 + np.exp(np.clip(mixture[:, 0], -LIMIT, LIMIT)))
        grains = np.round(stays * _GRAIN) / _GRAIN
        days = np.array([pending.decided_at // DAY_US for pending in decisions], dtype=np.int64)
        for day in np.unique(days).tolist():
            self.expected[day] = self.expected.get(day, 0.0) + float(grains[days == day].sum())

    def record_returns(self, returned: Sequence[Returned]) -> None:
        """Add the returns of decisions whose customers have ordered, before the labels are released."""
        for one in returned:
            self.returns[one.decided_at // DAY_US, (one.returned_at - one.decided_at) // DAY_US] += one.copies

    def merge(self, batch: LabelledBatch) -> None:
        """Add the sums and the feedback of a partition's batch."""
        for day, expected in batch.expected.items():
            self.expected[day] = self.expected.get(day, 0.0) + expected
        self.returns.update({(day, age): count for day, age, count in batch.returns})
        self.steps.merge(batch.steps)
        self.feedback.add(batch.confirmed, batch.filed)
