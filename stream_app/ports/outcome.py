"""Outcome of a commit."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """Outcome of a commit or a checkpoint. After FENCED or WRONG_BASE the process must discard its state and exit."""

    DONE = 0  # stored by this call
    ALREADY_DONE = 1  # stored by an earlier call whose reply was lost
    FENCED = 2  # not stored: a newer process with the same name has taken over
    WRONG_BASE = 3  # not stored: the stored position is not the one on which the commit is based

    @property
    def stored(self) -> bool:
        """Whether the data is stored.

        >>> [outcome.name for outcome in Outcome if outcome.stored]
        ['DONE', 'ALREADY_DONE']
        """
        return self in {Outcome.DONE, Outcome.ALREADY_DONE}
