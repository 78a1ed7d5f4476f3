"""What every expert can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats

Labels = npt.NDArray[np.int8]

LIMIT = 8.0  # log-odds; no expert may be surer than that


@dataclass(frozen=True)
class Rows:
    """Decisions as the experts see them: n rows.

    Attributes:
        features: shape (n, number of features), already rounded to float16, as kept until the label is known.
        prior: log-odds of churn by the prior, shape (n,).
    """

    features: Floats
    prior: Floats


def row_sums(products: Floats) -> Floats:
    """The sum of each row, bit by bit the same whatever rows stand beside it.

    numpy adds in an order that follows the layout in memory, and a single row looks like either layout: so fix one. A
    matrix product would not do: `x @ w` gives other last bits at another number of rows.
    """
    return np.ascontiguousarray(products).sum(axis=1)


class Expert(Protocol):
    """A model of churn behind one small interface. A contract suite runs over all of them.

    `log_odds` never changes the model; `learn` takes labelled rows in the order of their maturity.
    """

    name: ClassVar[str]
    cheap: ClassVar[bool]  # cheap enough to score every event, not decisions only
    mixed: ClassVar[bool]  # part of the mixture; else a baseline or a challenger, only compared

    def log_odds(self, rows: Rows) -> Floats:
        """Log-odds of churn, shape (n,), between -LIMIT and LIMIT."""
        ...

    def learn(self, rows: Rows, labels: Labels) -> None:
        """Learn from decisions whose labels (1: churned) have become known."""
        ...
