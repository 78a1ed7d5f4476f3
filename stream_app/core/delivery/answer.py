"""Answer of a channel to an attempt, as a value from which the scheduler decides what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has accepted the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt has failed and may succeed later.

    Attributes:
        reason: for people, without secrets.
        after: minimum pause requested by the receiver, microseconds; None: not given.
    """

    reason: str
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No attempt can succeed until somebody applies the remedy."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver accepts no more messages: the channel is closed until it is enabled again."""

    reason: str


Answer = Delivered | Retry | Refused | Gone
