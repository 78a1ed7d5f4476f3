"""Quartiles and histogram of lead times."""

from __future__ import annotations

import numpy as np

from stream_app.core.arrays import Floats


def lead_summary(days: Floats) -> dict[str, object]:
    """Return the quartiles and a histogram of lead times in days."""
    if not len(days):
        return {"n": 0, "median_days": None, "q25_days": None, "q75_days": None, "histogram": []}
    q25, median, q75 = np.quantile(days, (0.25, 0.5, 0.75))
    width = nice_width(float(days.max()))
    edges = np.arange(0, days.max() + width, width)
    counts, _ = np.histogram(days, edges)
    bars = [
        {"from_days": float(a), "to_days": float(a + width), "n": int(n)}
        for a, n in zip(edges[:-1], counts, strict=True)
    ]
    return {
        "n": len(days),
        "median_days": float(median),
        "q25_days": float(q25),
        "q75_days": float(q75),
        "histogram": bars,
    }


def nice_width(span: float, bars: int = 24) -> float:
    """Return a bin width of 1, 2, 5, 7, 10, ... days for which a span has at most `bars` bins.

    >>> nice_width(180)
    10
    """
    widths = (1, 2, 5, 7, 10, 14, 28, 56, 112)
    return next((w for w in widths if span / w <= bars), 224)
