"""Drift: whether the model's loss has changed for good."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Final

from river import drift

RECENT_DAYS: Final = 28  # ADWIN drops too little rather than too much: its window still holds days from before
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
        self._window: list[float] = []  # the losses of ADWIN's window: it tells their mean, but not that of the dropped
        self.seen: list[Drift] = []

    @property
    def window(self) -> tuple[int, float]:
        """What ADWIN holds for one regime: how many days with labels, and their mean log-loss; NaN of none."""
        return len(self._window), fmean(self._window) if self._window else float("nan")

    def observe(self, at: int, loss: float) -> None:
        """Note a day's mean log-loss."""
        self._window.append(loss)
        self._adwin.update(loss)
        kept = max(int(self._adwin.width), 1)
        dropped, self._window = self._window[:-kept], self._window[-kept:]
        if self._adwin.drift_detected and dropped:
            self.seen.append(Drift(at, fmean(dropped), fmean(self._window[-RECENT_DAYS:])))
