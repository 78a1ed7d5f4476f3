"""Orderly shutdown of commands when a signal arrives."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag


@contextmanager
def stopped_by_signals(*others: signal.Signals) -> Iterator[Flag]:
    """Yield a flag that SIGINT, SIGTERM and the given other signals set. Restore the previous handlers afterwards."""
    stop = Flag()
    numbers = (signal.SIGINT, signal.SIGTERM, *others)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
