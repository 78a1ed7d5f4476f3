"""Ends the process if background work fails."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

Crash = Callable[[BaseException], None]  # ends the process with an error


async def guarded(work: Coroutine[Any, Any, None], crash: Crash) -> None:
    """Await background work; end the process if it fails."""
    try:
        await work
    except Exception as error:
        crash(error)
        raise
