"""The stage of a customer's life with a shop, read from the trend of his own gaps and not from fixed day counts."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats

STAGES: Final = ("new", "one_time", "growing", "stable", "declining", "lost")
NEW, ONE_TIME, GROWING, STABLE, DECLINING, LOST = range(len(STAGES))
FASTER: Final = 0.75  # the last gap against the usual one: orders speed up
SLOWER: Final = 1.5  # the last gap or the present silence against the usual gap: the need fades


class Life(Protocol):
    """What the stage of n customers is read from; a View is one. All in days."""

    @property
    def recency(self) -> Floats:
        """Since the last order."""
        ...

    @property
    def mean_gap(self) -> Floats:
        """Usual gap between order days."""
        ...

    @property
    def last_gap(self) -> Floats:
        """Last gap between order days."""
        ...

    @property
    def order_days(self) -> Floats:
        """How many there are."""
        ...

    @property
    def horizon(self) -> float:
        """Within which an order means that a customer stayed."""
        ...


def stages(life: Life, lost_after_days: float) -> npt.NDArray[np.int8]:
    """The stage of n customers, indices into STAGES, shape (n,).

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
