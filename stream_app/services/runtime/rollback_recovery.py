"""Recovery of an outbox after Redis was restored from a backup while Kafka has newer records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream_app.errors import StoreBehind
from stream_app.ports import Opened, StateStore


def is_behind(opened: Opened, sent: int, what: object) -> bool:
    """Return whether Kafka has outbox records that are unknown to the store.

    Args:
        opened: stored state of the partition.
        sent: highest sequence number in Kafka.
        what: partition number or owner of the outbox, for the error message.

    Raises:
        StoreBehind: the store is empty.

    >>> is_behind(Opened(b"position", b"", next_sequence=8), sent=7, what=0)
    False
    """
    if sent < opened.next_sequence:
        return False
    if not opened.position:
        raise StoreBehind(partition=what, found=sent)
    return True


async def skip_sent(
    store: StateStore, number: int, opened: Opened, sent: int, retractions: Callable[[int], Sequence[bytes]]
) -> bool:
    """Move the outbox past all sequence numbers in Kafka and retract the records that are unknown to the store.

    Args:
        store: store with the outbox.
        number: partition number.
        opened: stored state of the partition.
        sent: highest sequence number in Kafka.
        retractions: returns the records that retract all later ones, given the last valid sequence number.

    Returns:
        False if another process has already done so.
    """
    while True:
        waiting = await store.outbox(number, 0, 1)
        first_void = waiting[0][0] if waiting else opened.next_sequence
        first = await store.skip(number, sent, first_void, retractions(first_void - 1))
        if first >= 0:
            return first > 0
