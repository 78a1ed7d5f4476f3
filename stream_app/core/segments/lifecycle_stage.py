"""Lifecycle stages of customers, derived from the trend in their gaps between orders."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats

STAGES: Final = ("new", "one_time", "growing", "stable", "declining", "lost")
NEW, ONE_TIME, GROWING, STABLE, DECLINING, LOST = range(len(STAGES))
FASTER: Final = 0.75  # orders are speeding up if the last gap is at most this multiple of the usual gap
SLOWER: Final = 1.5  # orders are slowing down if the last gap or the silence is at least this multiple of the usual gap


class Life(Protocol):
    """Columns that stages are derived from, for n customers, in days. A StateFrame implements this protocol."""

    @property
    def recency(self) -> Floats:
        """Days since the last order."""

    @property
    def mean_gap(self) -> Floats:
        """Typical gap between order days."""

    @property
    def last_gap(self) -> Floats:
        """Last gap between order days."""

    @property
    def order_days(self) -> Floats:
        """Number of order days."""

    @property
    def horizon(self) -> float:
        """Horizon: a customer who orders within it is retained."""


def stages(life: Life, lost_after_days: float) -> npt.NDArray[np.int8]:
    """Return the stages of n customers as indices into STAGES, shape (n,).

    lost: no order for lost_after. new: one order day, less than half a horizon ago. one_time: one order day, longer
        ago. declining: the last gap or the current silence is at least SLOWER times the usual gap. growing: two order
        days, or the last gap is at most FASTER times the usual gap. stable: all others.
    """
    silence_ratio = life.recency / np.maximum(life.mean_gap, 0.5)
    gap_ratio = life.last_gap / np.maximum(life.mean_gap, 0.5)
    stage = np.full(len(life.recency), STABLE, dtype=np.int8)
    stage[(gap_ratio <= FASTER) | (life.order_days == 2)] = GROWING
    stage[(gap_ratio >= SLOWER) | (silence_ratio >= SLOWER)] = DECLINING
    once = life.order_days <= 1
    stage[once] = ONE_TIME
    stage[once & (life.recency < life.horizon / 2)] = NEW
    stage[life.recency > lost_after_days] = LOST
    return stage
