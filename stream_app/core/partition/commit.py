"""Commit of a partition: everything that is stored atomically, so that a crash keeps or loses it as a whole.

It is stored by `adapters/redis/scripts/commit.lua`. The table "What a crash does" in docs/architecture.md describes
what happens if a process crashes at each point, and names the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Commit:
    """A partition's batch of changes, stored atomically.

    Args:
        partition: partition number.
        base: position before the batch, or b"" if the partition has never been committed.
        position: position after the batch, which must differ from all earlier positions of the partition.
        states: encoded states that have changed, by customer id. Ids may contain lone surrogates.
        summary: encoded state of the partition, excluding its customers.
        outbox: records to send, in order. Each is given the partition's next sequence number, starting at 1.
        alerts: changed notes on open alerts, by key, see `core/alerts/staff_actions.py`. An empty value removes a key.

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
