"""When a process stands still: work is waiting, and the position does not move."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a process has come, as a watchdog sees it.

    Attributes:
        position: anything that changes with every commit.
        lag: records that wait; None: not known, so there may be some.
        waiting: it waits for another part of the system, such as at a tick for the trainer's answer.
    """

    position: Hashable
    lag: int | None
    waiting: bool = False


class Stall:
    """Tells whether a process has stood still for too long.

    Old reports have consumers that go silent after days while everything looks well: only the position tells.

    Args:
        after: seconds without a move, while there is lag, that are too long.
        longest_look: seconds that one look may add. A process that was stopped and goes on, or a machine that slept,
            has not stood still in all the time that nobody looked.

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
        """Look at the process.

        Args:
            now: seconds of a clock that never goes back.
            progress: as it is now.
        """
        looked, self._looked = self._looked, now
        idle = progress.lag == 0 or progress.waiting
        if looked is None or idle or progress.position != self._position:
            self._position, self.still_seconds = progress.position, 0.0
            return False
        self.still_seconds += min(now - looked, self.longest_look)
        return self.still_seconds >= self.after
