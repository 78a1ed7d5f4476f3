"""Array helpers of the simulator: grouped rows, running sums, weighted draws, codes and structured tables."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats, Ints

Table = npt.NDArray[np.void]


def within_group(counts: Ints) -> Ints:
    """Return 0, 1, 2, … restarting in each group; `counts` are the sizes of the groups.

    >>> within_group(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(starts, counts)


def owners(counts: Ints) -> Ints:
    """Return the group number of each row, given the sizes of the groups.

    >>> owners(np.array([2, 0, 3])).tolist()
    [0, 0, 2, 2, 2]
    """
    return np.repeat(np.arange(len(counts)), counts)


def running_sum(values: Floats, counts: Ints) -> Floats:
    """Return, for each row, the sum of the preceding values in its group.

    >>> running_sum(np.array([1.0, 2.0, 5.0, 6.0]), np.array([2, 2])).tolist()
    [0.0, 1.0, 0.0, 5.0]
    """
    before = np.concatenate([[0.0], np.cumsum(values)])
    return before[:-1] - np.repeat(before[np.cumsum(counts) - counts], counts)


def pick(rng: np.random.Generator, weights: Floats, size: int) -> Ints:
    """Draw `size` indices with the given weights, which need not sum to 1.

    >>> pick(np.random.default_rng(0), np.array([0.0, 2.0]), 3).tolist()
    [1, 1, 1]
    """
    cumulative = np.cumsum(weights)
    drawn = rng.random(size) * cumulative[-1]
    return np.minimum(np.searchsorted(cumulative, drawn, side="right"), len(weights) - 1)


def code(member: Enum) -> int:
    """Return the code of an enumeration's member in tables: its position in the enumeration."""
    return list(type(member)).index(member)


def rows(size: int, dtype: np.dtype[np.void], **columns: Any) -> Table:
    """Return a structured table of `size` rows. Columns that are not given are 0."""
    table = np.zeros(size, dtype)
    for name, values in columns.items():
        table[name] = values
    return table
