"""Drift detection on the model's loss."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Final

from river import drift

RECENT_DAYS: Final = 28  # days in the mean after a change, since ADWIN's window may still hold days from before it
CONFIDENCE: Final = 0.002  # ADWIN's delta: probability of a false alarm per test


@dataclass(frozen=True, slots=True)
class Drift:
    """A significant change in the mean daily log-loss."""

    at: int  # microseconds
    before: float  # mean daily log-loss
    after: float


class DriftWatch:
    """ADWIN over the mean log-loss of each day (Bifet, Gavaldà: Learning from time-changing data, SDM 2007).

    Days are used instead of rows, because rows are correlated and would raise an alarm with every season.
    """

    def __init__(self) -> None:
        self._adwin = drift.ADWIN(delta=CONFIDENCE, clock=1)
        self._window: list[float] = []  # losses in ADWIN's window; ADWIN does not report the ones it drops
        self.seen: list[Drift] = []

    @property
    def window(self) -> tuple[int, float]:
        """Number of labelled days in ADWIN's window, and their mean log-loss, which is NaN if there are none."""
        return len(self._window), fmean(self._window) if self._window else float("nan")

    def observe(self, at: int, loss: float) -> None:
        """Add a day's mean log-loss."""
        self._window.append(loss)
        self._adwin.update(loss)
        kept = max(int(self._adwin.width), 1)
        dropped, self._window = self._window[:-kept], self._window[-kept:]
        if self._adwin.drift_detected and dropped:
            self.seen.append(Drift(at, fmean(dropped), fmean(self._window[-RECENT_DAYS:])))
