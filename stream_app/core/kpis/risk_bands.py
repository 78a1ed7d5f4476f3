"""Risk bands of the churn probability, shared by metrics, dashboards, pages and messages."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats, Ints

BANDS: Final = ("low", "medium", "high", "very_high")
EDGES: Final = (0.25, 0.5, 0.75)  # probabilities at which the next band starts


def bounds(band: str) -> tuple[float, float]:
    """Return the lower bound of a band, which is inclusive, and its upper bound.

    >>> bounds("low"), bounds("very_high")
    ((0.0, 0.25), (0.75, 1.0))
    """
    return list(pairwise((0.0, *EDGES, 1.0)))[BANDS.index(band)]


def band_of(probability: float) -> str:
    """Return the risk band of a probability.

    >>> band_of(0.1), band_of(0.25), band_of(1.0)
    ('low', 'medium', 'very_high')
    """
    return BANDS[sum(probability >= edge for edge in EDGES)]


def bands(probability: Floats) -> Ints:
    """Return the band of each probability as an index into BANDS, or -1 for NaN (customers without a score).

    >>> [BANDS[band] for band in bands(np.array([0.1, 0.25, 0.8]))], bands(np.array([np.nan])).tolist()
    (['low', 'medium', 'very_high'], [-1])
    """
    found = np.searchsorted(EDGES, probability, side="right")
    return np.where(np.isnan(probability), -1, found)
