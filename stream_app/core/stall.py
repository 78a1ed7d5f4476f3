"""Detects stalled processes: work is waiting, but the position does not change."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a process.

    Attributes:
        position: a value that changes with every commit.
        lag: number of waiting records, or None if unknown, which counts as if records were waiting.
        waiting: whether the process is waiting for another one, such as the trainer.
    """

    position: Hashable
    lag: int | None
    waiting: bool = False


class Stall:
    """Detects a process that has been stalled for too long.

    Consumers have been reported to stop silently after days while all other health signals looked fine. Only the
    position reveals it.

    Args:
        after: a process counts as stalled after this many seconds without progress while records are waiting.
        longest_look: maximum seconds that one check may add. If a process was suspended or a machine slept, the time
            between two checks says nothing about progress.

    >>> stall = Stall(after=60, longest_look=20)
    >>> busy = Progress(position=7, lag=3)
    >>> [stall.stalled(now, busy) for now in (0, 20, 40, 59, 61)]
    [False, False, False, False, True]
    >>> stall.stalled(62, Progress(position=8, lag=3)), stall.still_seconds
    (False, 0.0)
    """

    def __init__(self, after: float, longest_look: float) -> None:
        self.after = after
        self.longest_look = longest_look
        self.still_seconds = 0.0
        self._position: Hashable = None
        self._looked: float | None = None

    def stalled(self, now: float, progress: Progress) -> bool:
        """Check the progress of the process; return whether it is stalled.

        Args:
            now: monotonic clock, seconds.
            progress: current progress of the process.
        """
        looked, self._looked = self._looked, now
        idle = progress.lag == 0 or progress.waiting
        if looked is None or idle or progress.position != self._position:
            self._position, self.still_seconds = progress.position, 0.0
            return False
        self.still_seconds += min(now - looked, self.longest_look)
        return self.still_seconds >= self.after
