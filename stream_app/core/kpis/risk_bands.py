"""Bands of the churn probability: the one definition for metrics, dashboards, pages and messages."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

BANDS: Final = ("low", "medium", "high", "very_high")
EDGES: Final = (0.25, 0.5, 0.75)  # probabilities at which the next band begins


def bounds(band: str) -> tuple[float, float]:
    """Return the lowest probability of a band, which belongs to it, and the first one above it.

    >>> bounds("low"), bounds("very_high")
    ((0.0, 0.25), (0.75, 1.0))
    """
    return list(pairwise((0.0, *EDGES, 1.0)))[BANDS.index(band)]


def band_of(probability: float) -> str:
    """Return the band of a probability.

    >>> band_of(0.1), band_of(0.25), band_of(1.0)
    ('low', 'medium', 'very_high')
    """
    return BANDS[sum(probability >= edge for edge in EDGES)]


def bands(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The band of each probability, indices into BANDS; -1 for NaN: there is no score.

    >>> [BANDS[band] for band in bands(np.array([0.1, 0.25, 0.8]))], bands(np.array([np.nan])).tolist()
    (['low', 'medium', 'very_high'], [-1])
    """
    found = np.searchsorted(EDGES, probability, side="right")
    return np.where(np.isnan(probability), -1, found)
