"""Drift: whether the model's loss has changed for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from river import drift

CONFIDENCE: Final = 0.002  # ADWIN's delta: the probability of a false alarm a test


@dataclass(frozen=True, slots=True)
class Drift:
    """A change of the mean log-loss of a day that chance does not explain."""

    at: int  # microseconds
    before: float  # mean daily log-loss
    after: float


class DriftWatch:
    """ADWIN over the mean log-loss of each day (Bifet, Gavaldà: Learning from time-changing data, SDM 2007).

    Days and not rows, because rows repeat one another and would raise an alarm at every season.
    """

    def __init__(self) -> None:
        self._adwin = drift.ADWIN(delta=CONFIDENCE, clock=1)
        self.seen: list[Drift] = []

    def observe(self, at: int, loss: float) -> None:
        """Note a day's mean log-loss."""
        before = float(self._adwin.estimation)
        self._adwin.update(loss)
        if self._adwin.drift_detected:
            self.seen.append(Drift(at, before, float(self._adwin.estimation)))
