"""A uniform sample of labelled decisions, bounded, and the same whatever the partitions, restarts and orders are."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

ROWS: Final = 20_000  # at most; a ROC-AUC of so many has a standard error of about 0.004
EVERYBODY: Final = 1 << 32


def row_type(columns: int) -> np.dtype[np.void]:
    """How a decision is kept; `columns`: of log-odds."""
    return np.dtype([
        ("key", "<u4"),  # a hash of customer and moment: who is in the sample
        ("day", "<i4"),  # of the decision, since 1970
        ("churned", "?"),
        ("probability", "<f4"),  # as it was given
        ("log_odds", "<f2", (columns,)),  # of the experts and their mixture
    ])  # fmt: skip


class Sample:
    """All decisions whose key lies below a bar; the bar falls by half whenever there are too many.

    Args:
        columns: of log-odds.
        rows: as they were stored.
        bar: as it was stored.

    >>> sample = Sample(1)
    >>> sample.add(np.zeros(3, dtype=row_type(1)))
    >>> len(sample.rows), sample.bar == EVERYBODY
    (3, True)
    """

    def __init__(self, columns: int, rows: bytes = b"", bar: int = EVERYBODY) -> None:
        self.rows: npt.NDArray[np.void] = np.frombuffer(rows, dtype=row_type(columns))
        self.bar = bar

    def add(self, rows: npt.NDArray[np.void]) -> None:
        """Take decisions in."""
        self.rows = np.concatenate([self.rows, rows[rows["key"] < self.bar]])
        while len(self.rows) > ROWS:
            self.bar //= 2
            self.rows = self.rows[self.rows["key"] < self.bar]

    def forget_before(self, day: int) -> None:
        """Let go of decisions before a day."""
        self.rows = self.rows[self.rows["day"] >= day]
