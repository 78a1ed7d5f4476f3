"""Outcome of a commit."""

from __future__ import annotations

import enum

from stream_app.errors import CommitRefused


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

    @property
    def label(self) -> str:
        """Name for metrics and messages.

        >>> Outcome.WRONG_BASE.label
        'wrong_base'
        """
        return self.name.lower()

    def require_stored(self, partition: object) -> None:
        """Raise CommitRefused if the data is not stored. `partition` names it in the message."""
        if not self.stored:
            raise CommitRefused(partition=partition, outcome=self.label)
