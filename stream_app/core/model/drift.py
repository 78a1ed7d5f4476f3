"""Drift detection on the model's loss."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Final

from river import drift

RECENT_DAYS: Final = 28  # mean after a change: ADWIN's window may still hold days from before it
CONFIDENCE: Final = 0.002  # ADWIN's delta: probability of a false alarm per test


@dataclass(frozen=True, slots=True)
class Drift:
    """A significant change of the mean daily log-loss."""

    at: int  # microseconds
    before: float  # mean daily log-loss
    after: float


class DriftWatch:
    """ADWIN over the mean log-loss of each day (Bifet, Gavaldà: Learning from time-changing data, SDM 2007).

    Days are used instead of rows, because rows are correlated and would trigger an alarm at every season.
    """

    def __init__(self) -> None:
        self._adwin = drift.ADWIN(delta=CONFIDENCE, clock=1)
        self._window: list[float] = []  # losses in ADWIN's window; ADWIN does not report those that it drops
        self.seen: list[Drift] = []

    @property
    def window(self) -> tuple[int, float]:
        """Number of days with labels in ADWIN's window, and their mean log-loss; NaN without any."""
        return len(self._window), fmean(self._window) if self._window else float("nan")

    def observe(self, at: int, loss: float) -> None:
        """Add the mean log-loss of a day."""
        self._window.append(loss)
        self._adwin.update(loss)
        kept = max(int(self._adwin.width), 1)
        dropped, self._window = self._window[:-kept], self._window[-kept:]
        if self._adwin.drift_detected and dropped:
            self.seen.append(Drift(at, fmean(dropped), fmean(self._window[-RECENT_DAYS:])))
