"""A bounded uniform sample of labelled decisions, independent of partitions, restarts and order."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

ROWS: Final = 20_000  # maximum; a ROC-AUC over 20,000 rows has a standard error of about 0.004
EVERYBODY: Final = 1 << 32


def row_type(columns: int) -> np.dtype[np.void]:
    """Return the row format of a decision with a number of columns of log-odds."""
    return np.dtype([
        ("key", "<u4"),  # hash of customer and time, which selects the sample
        ("day", "<i4"),  # of the decision, since 1970
        ("churned", "?"),
        ("probability", "<f4"),  # as predicted
        ("log_odds", "<f2", (columns,)),  # of the experts and their ensemble
    ])  # fmt: skip


class Sample:
    """The decisions whose key lies below a bar, which is halved whenever there are too many.

    Args:
        columns: of log-odds.
        rows: as stored.
        bar: as stored.

    >>> sample = Sample(1)
    >>> sample.add(np.zeros(3, dtype=row_type(1)))
    >>> len(sample.rows), sample.bar == EVERYBODY
    (3, True)
    """

    def __init__(self, columns: int, rows: bytes = b"", bar: int = EVERYBODY) -> None:
        self.rows: npt.NDArray[np.void] = np.frombuffer(rows, dtype=row_type(columns))
        self.bar = bar

    def add(self, rows: npt.NDArray[np.void]) -> None:
        """Add decisions."""
        self.rows = np.concatenate([self.rows, rows[rows["key"] < self.bar]])
        while len(self.rows) > ROWS:
            self.bar //= 2
            self.rows = self.rows[self.rows["key"] < self.bar]

    def forget_before(self, day: int) -> None:
        """Remove the decisions before a day."""
        self.rows = self.rows[self.rows["day"] >= day]
