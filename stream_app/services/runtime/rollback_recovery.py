"""Going on from a store that was set back to an older file, while Kafka has gone on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream_app.errors import StoreBehind
from stream_app.ports import Opened, StateStore

Voids = Callable[[int], Sequence[bytes]]  # the last number that is not void -> what tells the receivers


def is_behind(opened: Opened, sent: int, what: object) -> bool:
    """Whether Kafka has more of an outbox than the store knows of. Raises StoreBehind where the store knows nothing.

    Args:
        opened: as it is stored.
        sent: the highest sequence number that Kafka has.
        what: for the error: a partition's number, or whose outbox it is.

    >>> is_behind(Opened(b"position", b"", next_sequence=8), sent=7, what=0)
    False
    """
    if sent < opened.next_sequence:
        return False
    if not opened.position:
        raise StoreBehind(partition=what, found=sent)
    return True


async def go_on_behind(store: StateStore, number: int, opened: Opened, sent: int, voids: Voids) -> bool:
    """Give the next record a number that nobody has heard, and tell the receivers what is void.

    Returns: False if somebody has moved the store meanwhile, so that nothing was to be done.
    """
    while True:
        waiting = await store.outbox(number, 0, 1)
        first_void = waiting[0][0] if waiting else opened.next_sequence
        first = await store.skip(number, sent, first_void, voids(first_void - 1))
        if first >= 0:
            return first > 0
