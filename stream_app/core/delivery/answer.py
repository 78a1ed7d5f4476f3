"""What a channel says of an attempt: a value, so that the pure code decides what follows from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may go well later.

    Attributes:
        reason: in words, without any secret.
        after: the receiver asks to be left alone for so long, microseconds; None: it did not say.
    """

    reason: str
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It will not go well until somebody changes something; `remedy` says what."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants nothing any more: the channel is closed until it is opened again."""

    reason: str


Answer = Delivered | Retry | Refused | Gone
