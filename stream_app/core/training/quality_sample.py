"""A bounded uniform sample of labelled decisions. It does not depend on partitions, restarts or arrival order."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

ROWS: Final = 20_000  # maximum number of rows; a ROC-AUC over 20,000 rows has a standard error of about 0.004
EVERYBODY: Final = 1 << 32


def row_type(columns: int) -> np.dtype[np.void]:
    """Return the row format of a decision, with the given number of log-odds columns."""
    return np.dtype([
        ("key", "<u4"),  # hash of customer and time, which selects the sample
        ("day", "<i4"),  # day of the decision, counted from 1970
        ("churned", "?"),
        ("probability", "<f4"),  # the reported probability
        ("log_odds", "<f2", (columns,)),  # log-odds of the experts and their ensemble
    ])  # fmt: skip


class Sample:
    """The decisions with a key below a bar. The bar is halved whenever there are too many.

    Args:
        columns: number of log-odds columns.
        rows: stored rows.
        bar: stored bar.

    >>> sample = Sample(1)
    >>> sample.add(np.zeros(3, dtype=row_type(1)))
    >>> len(sample.rows), sample.bar == EVERYBODY
    (3, True)
    """

    def __init__(self, columns: int, rows: bytes = b"", bar: int = EVERYBODY) -> None:
        self.rows: npt.NDArray[np.void] = np.frombuffer(rows, dtype=row_type(columns))
        self.bar = bar

    def add(self, rows: npt.NDArray[np.void]) -> None:
        """Add decisions to the sample."""
        self.rows = np.concatenate([self.rows, rows[rows["key"] < self.bar]])
        while len(self.rows) > ROWS:
            self.bar //= 2
            self.rows = self.rows[self.rows["key"] < self.bar]

    def forget_before(self, day: int) -> None:
        """Remove the decisions before a day."""
        self.rows = self.rows[self.rows["day"] >= day]
