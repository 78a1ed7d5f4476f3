"""The expert interface, and the rows that experts score."""

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
    """Input to the experts: n decisions.

    Attributes:
        features: shape (n, number of features), rounded to float16 because they are stored that way until labelled.
        prior: log-odds of the prior, shape (n,).
    """

    features: Floats
    prior: Floats


def row_sums(products: Floats) -> Floats:
    """Return the sum of each row. Results are bit-for-bit independent of the other rows.

    numpy adds in the order of the memory layout, which is ambiguous for a single row, so the layout is fixed here. A
    matrix product `x @ w` could differ in the last bits depending on the number of rows.
    """
    return np.ascontiguousarray(products).sum(axis=1)


class Expert(Protocol):
    """Interface of a churn model in the ensemble. The same contract tests run against all experts.

    `log_odds` never changes the model. `learn` receives labelled rows in the order in which they matured.
    """

    name: ClassVar[str]

    def log_odds(self, rows: Rows) -> Floats:
        """Return the log-odds of churn, shape (n,), clipped to [-LIMIT, LIMIT]."""

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn from decisions and their labels, where 1 means churned."""


def probability_of(log_odds: Floats) -> Floats:
    """Convert log-odds to probabilities."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -LIMIT, LIMIT)))
