"""The commit of a partition: everything that a crash either keeps as a whole or loses as a whole.

`adapters/redis/scripts/commit.lua` stores it. docs/architecture.md describes what a crash does at each point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Commit:
    """A batch of one partition, stored as a whole or not at all.

    Args:
        partition: its number.
        base: position of the states before the batch; b"" for a partition that was never committed.
        position: position after the batch. It must differ from every earlier position of the partition.
        states: changed states, encoded, by customer. Names may contain lone surrogates.
        summary: state of the partition apart from its customers, encoded.
        outbox: records to send, in order. Each gets the next sequence number of the partition, from 1.
        alerts: changed descriptions of open alerts, by key (`staff_actions.py`); an empty value removes the key.

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
