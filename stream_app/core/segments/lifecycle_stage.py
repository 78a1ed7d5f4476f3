"""Lifecycle stages of customers, derived from the trend of their own gaps between orders."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats

STAGES: Final = ("new", "one_time", "growing", "stable", "declining", "lost")
NEW, ONE_TIME, GROWING, STABLE, DECLINING, LOST = range(len(STAGES))
FASTER: Final = 0.75  # ratio of the last gap to the usual one up to which orders speed up
SLOWER: Final = 1.5  # ratio of the last gap, or of the silence, to the usual gap from which orders slow down


class Life(Protocol):
    """What the stages of n customers are derived from, in days; a StateFrame satisfies it."""

    @property
    def recency(self) -> Floats:
        """Days since the last order."""

    @property
    def mean_gap(self) -> Floats:
        """Usual gap between order days."""

    @property
    def last_gap(self) -> Floats:
        """Last gap between order days."""

    @property
    def order_days(self) -> Floats:
        """Number of order days."""

    @property
    def horizon(self) -> float:
        """Days within which an order means that a customer has stayed."""


def stages(life: Life, lost_after_days: float) -> npt.NDArray[np.int8]:
    """Return the stages of n customers as indices into STAGES, shape (n,).

    lost: no order for lost_after. new: one order day, less than half a horizon ago. one_time: one order day, longer
    ago. declining: the last gap, or the present silence, is SLOWER times the usual gap or more. growing: two order
    days, or a last gap of FASTER times the usual one or less. stable: all others.
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
