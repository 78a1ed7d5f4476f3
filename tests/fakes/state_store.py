"""The fake of the state store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from stream_app.adapters.redis.completeness import OTHER_VALUES, written
from stream_app.core.partition.commit import Commit
from stream_app.errors import Fenced, NotClaimed, StoreIncomplete
from stream_app.ports import INSTANCES, Opened, Outcome
from tests.fakes.memory_server import MemoryServer, part_digest

PAGE = 1_000  # states per chunk


class MemoryStateStore:
    """A `ports.StateStore` in memory; the port documents the methods.

    >>> import asyncio
    >>> async def first_batch() -> bytes:
    ...     store = MemoryStateStore(MemoryServer())
    ...     await store.claim("worker-1")
    ...     base = (await store.open(7)).position
    ...     await store.commit(Commit(7, base, b"position 1", {"ann": b"state"}, b"", []), "batch 1", 0)
    ...     return (await store.open(7)).position
    >>> asyncio.run(first_batch())
    b'position 1'
    """

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._life: tuple[str, int] | None = None
        self._opened: set[int] = set()

    async def claim(self, instance: str) -> int:
        self._server.epoch += 1
        self._life = (instance, self._server.epoch)
        return self._server.epoch

    async def open(self, partition: int) -> Opened:
        self._fence(partition)
        self._require_complete(partition)
        instance, epoch = self._claimed()
        stored = self._server.partitions[partition]
        latest = sorted((stored.epochs | {instance: epoch}).items(), key=lambda known: known[1])[-INSTANCES:]
        stored.epochs = dict(latest) | {instance: epoch}
        self._opened.add(partition)
        return Opened(stored.position, stored.summary, stored.sequence + 1)

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        stored = self._server.partitions[partition]
        return stored.keep_topics(ids, committed=bool(stored.position))

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        self._server.partitions[partition].topics[role] = topic_id

    def close(self, partition: int) -> None:
        self._opened.discard(partition)

    async def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        stored = self._server.partitions[partition]
        states, position, digest = list(stored.states.items()), stored.position, written(stored.digest)
        for start in range(0, len(states), PAGE):
            yield states[start : start + PAGE]
        found = written(sum(part_digest(customer, state) for customer, state in states))
        if partition in self._opened and position == stored.position and found != digest:
            raise StoreIncomplete(what=f"partition {partition}", problem=OTHER_VALUES)

    async def state(self, partition: int, customer: str) -> bytes | None:
        return self._server.partitions[partition].states.get(customer)

    async def alerts(self, partition: int) -> dict[str, bytes]:
        return dict(self._server.partitions[partition].alerts)

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        # The steps are those of commit.lua.
        _, epoch = self._claimed()
        stored = self._server.partitions[commit.partition]
        if self._later(commit.partition):
            return Outcome.FENCED, 0
        if stored.last_batch and stored.last_batch[:2] == (epoch, batch):
            return Outcome.ALREADY_DONE, stored.last_batch[2]
        if stored.position != commit.base:
            return Outcome.WRONG_BASE, 0
        self._require_complete(commit.partition)
        first = stored.sequence + 1
        stored.drop(relayed)
        stored.put(commit.states)
        stored.note(commit.alerts)
        stored.outbox += commit.outbox
        stored.sequence += len(commit.outbox)
        stored.position, stored.summary = commit.position, commit.summary
        stored.last_batch, stored.counts = (epoch, batch, first), stored.sizes
        return Outcome.DONE, first

    async def outbox(self, partition: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        stored = self._server.partitions[partition]
        numbered = enumerate(stored.outbox, stored.sequence - len(stored.outbox) + 1)
        return [(number, record) for number, record in numbered if number > after][:limit]

    async def trim(self, partition: int, through: int) -> None:
        self._fence(partition)
        self._require_complete(partition)
        self._server.partitions[partition].drop(through)

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        self._fence(partition)
        self._require_complete(partition)
        stored = self._server.partitions[partition]
        if stored.sequence >= seen:
            return 0
        if stored.sequence - len(stored.outbox) + 1 != first_void:
            return -1
        stored.outbox = [*records, *stored.outbox]
        stored.sequence = seen + len(stored.outbox)
        stored.counts["outbox"] = len(stored.outbox)
        return seen + 1

    async def positions(self, partitions: Iterable[int]) -> dict[int, bytes]:
        return {number: self._server.partitions[number].position for number in partitions}

    async def summaries(self, partitions: Iterable[int]) -> dict[int, bytes]:
        return {number: self._server.partitions[number].summary for number in partitions}

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store="state store")
        return self._life

    def _require_complete(self, partition: int) -> None:
        stored = self._server.partitions[partition]
        stored.require_complete(f"partition {partition}", committed=bool(stored.position))

    def _later(self, partition: int) -> int | None:
        """Return the epoch of a newer process with this instance name, if the partition has one."""
        instance, epoch = self._claimed()
        registered = self._server.partitions[partition].epochs.get(instance, 0)
        return registered if registered > epoch else None

    def _fence(self, partition: int) -> None:
        later = self._later(partition)
        if later is not None:
            instance, epoch = self._claimed()
            raise Fenced(instance=instance, epoch=epoch, later=later, what=f"partition {partition}")
