"""Reads the outboxes of all partitions from one internal topic, yielding each message exactly once and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from stream_app.core.messages.outgoing import is_duplicate

MessageT = TypeVar("MessageT")


class ReadPosition(msgspec.Struct, frozen=True):
    """Read position in a partition's outbox."""

    offset: int = 0  # offset of the next record to read
    sequence: int = 0  # sequence number of the last record read


class OutboxReader(Generic[MessageT]):
    """Buffers messages from all partitions until they are processed.

    Args:
        partitions: number of partitions.

    >>> reader = OutboxReader[str](1)
    >>> reader.receive(0, offset=5, sequence=1, message="a"), reader.receive(0, offset=6, sequence=1, message="a")
    (True, False)
    >>> reader.fetched(0), list(reader.waiting[0])
    (7, [('a', ReadPosition(offset=6, sequence=1))])
    """

    def __init__(self, partitions: int) -> None:
        numbers = range(partitions)
        self.waiting: dict[int, deque[tuple[MessageT, ReadPosition]]] = {number: deque() for number in numbers}
        self._received = dict.fromkeys(numbers, ReadPosition())

    def resume(self, read: Mapping[int, ReadPosition]) -> None:
        """Resume after the messages that have already been processed."""
        self._received = dict(read)

    def fetched(self, partition: int) -> int:
        """Return the next offset to fetch from a partition."""
        return self._received[partition].offset

    def skip(self, partition: int, offset: int) -> None:
        """Skip a record that cannot be read."""
        received = self._received[partition]
        self._received[partition] = ReadPosition(max(received.offset, offset + 1), received.sequence)

    def receive(self, partition: int, offset: int, sequence: int, message: MessageT) -> bool:
        """Buffer a message. Return False for a duplicate: an outbox may resend messages after a crash."""
        self.skip(partition, offset)
        received = self._received[partition]
        if is_duplicate(sequence, received.sequence):
            return False
        self._received[partition] = ReadPosition(received.offset, sequence)
        self.waiting[partition].append((message, ReadPosition(offset + 1, sequence)))
        return True

    def retract(self, partition: int, since: int) -> None:
        """Drop the buffered messages after the given sequence number, except the latest one, which retracts them."""
        *earlier, latest = self.waiting[partition]
        self.waiting[partition] = deque([*(one for one in earlier if one[1].sequence <= since), latest])


def rewound(read: Mapping[int, ReadPosition]) -> dict[int, ReadPosition]:
    """Return positions at the start of the topic that keep their sequence numbers.

    >>> rewound({3: ReadPosition(offset=7, sequence=9)})
    {3: ReadPosition(offset=0, sequence=9)}
    """
    return {number: ReadPosition(0, one.sequence) for number, one in read.items()}
