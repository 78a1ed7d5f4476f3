"""Results of a delivery attempt, which determine what the scheduler does next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver accepted the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed but may succeed later.

    Attributes:
        reason: human-readable reason that contains no secrets.
        after: minimum pause requested by the receiver, microseconds; None if it requested none.
    """

    reason: str
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt failed permanently; no retry can succeed until the remedy is applied."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver no longer accepts messages. The channel stays closed until it is enabled again."""

    reason: str


Answer = Delivered | Retry | Refused | Gone
