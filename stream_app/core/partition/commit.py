"""What a partition has to store at once: the worker's unit of progress, as a plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Commit:
    """A batch of one partition, stored as a whole or not at all.

    Args:
        partition: its number.
        base: the position that the states were at before the batch; b"" for a partition that was never committed.
        position: the position after the batch. It must differ from every earlier one of the partition.
        states: what changed, encoded, by customer. Names may hold lone surrogates.
        summary: the partition's own variables, encoded.
        outbox: what leaves, in order. Each record gets the next sequence number of the partition, from 1.
        episodes: what has changed of the open ones, by key (casework.py); an empty value takes it out.

    >>> Commit(7, base=b"", position=b"1", states={"ann": b"state"}, summary=b"", outbox=[b"alert"]).partition
    7
    """

    partition: int
    base: bytes
    position: bytes
    states: Mapping[str, bytes]
    summary: bytes
    outbox: Sequence[bytes]
    alerts: Mapping[str, bytes] = field(default_factory=dict)
