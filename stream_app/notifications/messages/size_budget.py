"""Size budgets of a message, which define what to omit first when an alert does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SizeBudget:
    """Maximum number of entries of each kind. `extras` are the segment, the shop and the contact limit."""

    causes: int
    evidence: int
    steps: int
    never: int
    extras: bool


# From the full message down to the minimum: customer, risk, likeliest cause, first step.
ALERT_BUDGETS: Final = (
    SizeBudget(3, 5, 6, 6, extras=True),
    SizeBudget(3, 4, 6, 3, extras=True),
    SizeBudget(3, 3, 4, 2, extras=True),
    SizeBudget(2, 3, 3, 2, extras=True),
    SizeBudget(2, 3, 3, 1, extras=False),
    SizeBudget(2, 2, 2, 1, extras=False),
    SizeBudget(1, 2, 1, 1, extras=False),
    SizeBudget(1, 1, 1, 1, extras=False),
    SizeBudget(1, 1, 1, 0, extras=False),
    SizeBudget(1, 0, 1, 0, extras=False),
)
ITEM_BUDGETS: Final = (
    SizeBudget(2, 2, 1, 1, extras=True),
    SizeBudget(2, 1, 1, 0, extras=True),
    SizeBudget(1, 1, 1, 0, extras=False),
    SizeBudget(1, 0, 1, 0, extras=False),
)


def cut(text: str, max_bytes: int) -> str:
    """Truncate a text to at most `max_bytes` of UTF-8, between characters, with an ellipsis if that fits.

    >>> cut("客户流失", 9), cut("客户流失", 2), cut("short", 9)
    ('客户…', '', 'short')
    """
    if size(text) <= max_bytes:
        return text
    ellipsis = "…" if max_bytes > size("…") else ""
    kept = text.encode()[: max(max_bytes - size(ellipsis), 0)].decode("utf-8", "ignore")
    return kept + ellipsis if kept else ""


def size(text: str) -> int:
    """Return the size of a text in UTF-8 bytes."""
    return len(text.encode())
