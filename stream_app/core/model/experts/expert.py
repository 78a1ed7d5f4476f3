"""The interface of experts, and the rows that they score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats

Labels = npt.NDArray[np.int8]

LIMIT = 8.0  # largest absolute log-odds of an expert


@dataclass(frozen=True)
class Rows:
    """Input of the experts: n decisions.

    Attributes:
        features: shape (n, number of features), rounded to float16, as stored until the label is known.
        prior: log-odds of the prior, shape (n,).
    """

    features: Floats
    prior: Floats


def row_sums(products: Floats) -> Floats:
    """Return the sum of each row, bit-for-bit independent of the other rows.

    numpy's order of additions follows the memory layout, which is ambiguous for a single row, so the layout is fixed. A
    matrix product `x @ w` would give other last bits for another number of rows.
    """
    return np.ascontiguousarray(products).sum(axis=1)


class Expert(Protocol):
    """A churn model behind a small interface. One contract suite tests all experts.

    `log_odds` does not change the model; `learn` takes labelled rows in the order in which they matured.
    """

    name: ClassVar[str]
    cheap: ClassVar[bool]  # whether it scores every event, or decisions only
    mixed: ClassVar[bool]  # whether it is part of the ensemble, or only compared

    def log_odds(self, rows: Rows) -> Floats:
        """Return the log-odds of churn, shape (n,), between -LIMIT and LIMIT."""

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn from decisions and their labels; 1 means churned."""
