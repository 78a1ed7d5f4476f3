"""Bands of risk: in words, how likely it is that a customer is leaving."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

BANDS: Final = ("low", "medium", "high", "very_high")
EDGES: Final = (0.25, 0.5, 0.75)  # probabilities at which the next band begins


def bands(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The band of each probability, indices into BANDS; -1 for NaN: there is no score.

    >>> [BANDS[band] for band in bands(np.array([0.1, 0.25, 0.8]))], bands(np.array([np.nan])).tolist()
    (['low', 'medium', 'very_high'], [-1])
    """
    found = np.searchsorted(EDGES, probability, side="right")
    return np.where(np.isnan(probability), -1, found)
