"""Port for customer states, positions and outboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stream_app.core.partition.commit import Commit
from stream_app.ports.outcome import Outcome

INSTANCES: Final = 64  # number of instances whose epochs a partition keeps, newest first


@dataclass(frozen=True, slots=True)
class Opened:
    """Stored state of a partition: position, summary, and sequence number of the next outbox record."""

    position: bytes  # b"" if never committed
    summary: bytes
    next_sequence: int  # starts at 1


class StateStore(Protocol):
    """Source of truth for states, positions and outboxes, by partition number.

    Call `claim` once when the process starts. For each assigned partition call `open`, then read `states`, in this
    order: if another process commits in between, the first commit returns WRONG_BASE. Then call `commit` for each
    batch. `open`, `commit` and `trim` raise `NotClaimed` before `claim`.
    """

    async def claim(self, instance: str) -> int:
        """Register a new process of an instance and return its epoch, which is greater than every earlier epoch.

        Call this once when the process starts, never at a rebalance: the fence compares processes of one instance.
        """

    async def open(self, partition: int) -> Opened:
        """Take ownership of a partition and return its stored state.

        From now on, earlier processes of the same instance are fenced off from the partition.

        Raises:
            Fenced: a newer process of the instance has opened the partition.
            StoreIncomplete: part of the stored data is missing.
        """

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        """Store the ids of the topics that a partition's positions refer to, and return the stored ids by role.

        Once a commit exists, stored ids are not replaced; the caller compares them with the current ones.
        """

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        """Replace the stored id of a topic."""

    def close(self, partition: int) -> None:
        """Release a partition."""

    def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Iterate over all states of a partition in chunks of (customer, encoded state).

        Each customer occurs once; the order is unspecified. Raises `StoreIncomplete` after the last chunk if this
        process has opened the partition and the states differ from those committed.
        """

    async def state(self, partition: int, customer: str) -> bytes | None:
        """Return the encoded state of one customer, or None."""

    async def alerts(self, partition: int) -> dict[str, bytes]:
        """Return the notes on a partition's open alerts, by key (see core/alerts/staff_actions.py)."""

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        """Store a batch atomically.

        Args:
            commit: data to store.
            batch: id of the batch, unique within this process; repeating an id repeats the batch.
            relayed: outbox records up to this sequence number have been delivered and are deleted.

        Returns:
            The outcome, and the sequence number of the batch's first outbox record, or of the next record if the batch
            has none. The number is meaningful only if `Outcome.stored`.

        Raises:
            StoreIncomplete: part of the stored data is missing. `trim` and `skip` raise it too.
        """

    async def outbox(self, partition: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return outbox records that have not been deleted, in order.

        Args:
            partition: partition number.
            after: return only records with a greater sequence number.
            limit: maximum number of records.

        Returns:
            Pairs of sequence number and record.
        """

    async def trim(self, partition: int, through: int) -> None:
        """Delete outbox records up to and including a sequence number. Raises `Fenced`."""

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        """Move the outbox past sequence numbers in Kafka that are missing from this store after a restored backup.

        Records that are still in the outbox get new numbers, since they may or may not have been relayed. Does nothing
        if `seen` is known.

        Args:
            partition: partition number.
            seen: highest relayed sequence number.
            first_void: number of the oldest record in the outbox, or of the next record if the outbox is empty.
            records: retractions, inserted before all other records of the outbox.

        Returns:
            The sequence number of the first retraction; 0 if there was nothing to do; -1 if `first_void` is no longer
            correct because the outbox was trimmed meanwhile.

        Raises:
            Fenced: as for `trim`.
        """

    async def positions(self, partitions: Iterable[int]) -> dict[int, bytes]:
        """Return the positions of partitions without opening them; b"" for a partition that was never committed."""

    async def summaries(self, partitions: Iterable[int]) -> dict[int, bytes]:
        """Return the summaries of partitions without opening them; b"" for a partition that was never committed."""
