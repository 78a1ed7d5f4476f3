"""Twins of the adapters, in memory. They ship with the package: the demo, tests and notebooks run on them.

What a server would hold is a value of its own (`MemoryServer`); each store on it is one process' connection. So two
processes, crashes and restarts can be played without any server. No lock is needed: nothing here awaits.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream_app.adapters.redis.completeness import OTHER_VALUES, digest_of, require_complete, written
from stream_app.core.partition.commit import Commit
from stream_app.errors import Fenced, NotClaimed, StoreIncomplete, UnknownVersion, VersionOutOfOrder
from stream_app.ports import INSTANCES, NOTHING_LEARNED, VERSIONS_INDEXED, ModelVersion, Opened, Outcome

PAGE = 1_000  # states of one chunk


@dataclass
class StoredPartition:
    """What is stored of a partition."""

    position: bytes = b""
    summary: bytes = b""
    sequence: int = 0  # of the last record
    states: dict[str, bytes] = field(default_factory=dict)
    alerts: dict[str, bytes] = field(default_factory=dict)
    outbox: list[bytes] = field(default_factory=list)  # not delivered yet; the last one has the number `sequence`
    epochs: dict[str, int] = field(default_factory=dict)  # by instance
    last_batch: tuple[int, str, int] | None = None  # epoch, batch id, first sequence
    counts: dict[str, int] = field(default_factory=dict)  # entries that the last commit left
    digest: int = 0  # over all states
    topics: dict[str, str] = field(default_factory=dict)  # ids by role

    @property
    def sizes(self) -> dict[str, int]:
        """The entries that there are."""
        return {"states": len(self.states), "outbox": len(self.outbox), "episodes": len(self.alerts)}

    def put(self, states: Mapping[str, bytes]) -> None:
        """Replace states."""
        for customer, state in states.items():
            before = self.states.get(customer)
            self.digest += _part(customer, state) - (0 if before is None else _part(customer, before))
            self.states[customer] = state

    def note(self, alerts: Mapping[str, bytes]) -> None:
        """Note what has changed of the open episodes."""
        self.alerts |= alerts
        for gone in [key for key, note in alerts.items() if not note]:
            del self.alerts[gone]

    def drop(self, through: int) -> None:
        """Drop records up to and including a sequence number."""
        del self.outbox[: max(through - (self.sequence - len(self.outbox)), 0)]
        self.counts["outbox"] = len(self.outbox)


@dataclass
class StoredModels:
    """What is stored of the trainer and its models."""

    epoch: int = 0
    number: int = 0
    written_in: int = 0  # epoch
    checkpoint: bytes = b""
    through: int = NOTHING_LEARNED
    newest: int = 0
    pinned: int | None = None
    versions: dict[int, tuple[ModelVersion, bytes]] = field(default_factory=dict)
    index: list[tuple[int, int]] = field(default_factory=list)  # effective_at, number; ascending
    counts: dict[str, int] = field(default_factory=dict)  # entries that the last checkpoint left
    topics: dict[str, str] = field(default_factory=dict)  # ids by role

    @property
    def sizes(self) -> dict[str, int]:
        """The entries that there are."""
        return {"versions": len(self.versions), "index": len(self.index)}

    def prune(self, keep: int, indexed: int) -> None:
        """Forget old versions, but never the pinned one."""
        del self.index[:-indexed]
        for number in sorted(self.versions, reverse=True)[keep:]:
            if number != self.pinned:
                del self.versions[number]


@dataclass
class StoredLease:
    """What is stored of the lease."""

    holder: str | None = None
    until: float = 0.0  # seconds of the twin's clock
    last: int | None = None


@dataclass
class MemoryServer:
    """What a server would hold. Hand the same one to several stores, as if they were processes.

    Args:
        now_seconds: the clock by which the lease expires.
        now_us: the wall clock, microseconds since 1970.
    """

    now_seconds: Callable[[], float] = time.monotonic
    now_us: Callable[[], int] = lambda: time.time_ns() // 1_000
    epoch: int = 0
    partitions: defaultdict[int, StoredPartition] = field(default_factory=lambda: defaultdict(StoredPartition))
    models: StoredModels = field(default_factory=StoredModels)
    lease: StoredLease = field(default_factory=StoredLease)


class MemoryStateStore:
    """A `ports.StateStore` in memory.

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
        """See `StateStore.claim`."""
        self._server.epoch += 1
        self._life = (instance, self._server.epoch)
        return self._server.epoch

    async def open(self, partition: int) -> Opened:
        """See `StateStore.open`."""
        self._fence(partition)
        self._require_complete(partition)
        instance, epoch = self._claimed()
        stored = self._server.partitions[partition]
        latest = sorted((stored.epochs | {instance: epoch}).items(), key=lambda known: known[1])[-INSTANCES:]
        stored.epochs = dict(latest) | {instance: epoch}
        self._opened.add(partition)
        return Opened(stored.position, stored.summary, stored.sequence + 1)

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        """See `StateStore.keep_topics`."""
        stored = self._server.partitions[partition]
        return keep_topics(stored.topics, ids, committed=bool(stored.position))

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        """See `StateStore.accept_topic`."""
        self._server.partitions[partition].topics[role] = topic_id

    def close(self, partition: int) -> None:
        """See `StateStore.close`."""
        self._opened.discard(partition)

    async def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        """See `StateStore.states`."""
        stored = self._server.partitions[partition]
        states, position, digest = list(stored.states.items()), stored.position, written(stored.digest)
        for start in range(0, len(states), PAGE):
            yield states[start : start + PAGE]
        found = written(sum(_part(customer, state) for customer, state in states))
        if partition in self._opened and position == stored.position and found != digest:
            raise StoreIncomplete(what=f"partition {partition}", problem=OTHER_VALUES)

    async def state(self, partition: int, customer: str) -> bytes | None:
        """See `StateStore.state`."""
        return self._server.partitions[partition].states.get(customer)

    async def alerts(self, partition: int) -> dict[str, bytes]:
        """See `StateStore.episodes`."""
        return dict(self._server.partitions[partition].alerts)

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        """See `StateStore.commit`; the steps are those of commit.lua."""
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
        """See `StateStore.outbox`."""
        stored = self._server.partitions[partition]
        numbered = enumerate(stored.outbox, stored.sequence - len(stored.outbox) + 1)
        return [(number, record) for number, record in numbered if number > after][:limit]

    async def trim(self, partition: int, through: int) -> None:
        """See `StateStore.trim`."""
        self._fence(partition)
        self._require_complete(partition)
        self._server.partitions[partition].drop(through)

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        """See `StateStore.skip`."""
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
        """See `StateStore.positions`."""
        return {number: self._server.partitions[number].position for number in partitions}

    async def summaries(self, partitions: Iterable[int]) -> dict[int, bytes]:
        """See `StateStore.summaries`."""
        return {number: self._server.partitions[number].summary for number in partitions}

    def _claimed(self) -> tuple[str, int]:
        if self._life is None:
            raise NotClaimed(store="state store")
        return self._life

    def _require_complete(self, partition: int) -> None:
        stored = self._server.partitions[partition]
        counts = {kind: (stored.counts.get(kind), found) for kind, found in stored.sizes.items()}
        require_complete(f"partition {partition}", bool(stored.position), counts)

    def _later(self, partition: int) -> int | None:
        """The epoch of a later life of this instance at a partition."""
        instance, epoch = self._claimed()
        registered = self._server.partitions[partition].epochs.get(instance, 0)
        return registered if registered > epoch else None

    def _fence(self, partition: int) -> None:
        later = self._later(partition)
        if later is not None:
            instance, epoch = self._claimed()
            raise Fenced(instance=instance, epoch=epoch, later=later, what=f"partition {partition}")


def keep_topics(kept: dict[str, str], ids: Mapping[str, str], *, committed: bool) -> dict[str, str]:
    """Keep ids where none is kept yet, and all of them before the first commit; the steps are those of topics.lua."""
    kept |= {role: kept.get(role, one) if committed else one for role, one in ids.items()}
    return {role: kept[role] for role in ids}


def _part(customer: str, state: bytes) -> int:
    return digest_of(customer.encode("utf-8", "surrogatepass"), state)


class MemoryModelStore:
    """A `ports.ModelStore` in memory.

    Args:
        server: what is stored.
        keep: so many versions are kept, and the pinned one; at least 1.
        indexed: of so many versions it is remembered when they came into force.
    """

    def __init__(self, server: MemoryServer, keep: int, indexed: int = VERSIONS_INDEXED) -> None:
        self._models = server.models
        self._keep, self._indexed = max(keep, 1), indexed
        self._epoch: int | None = None

    async def claim(self, instance: str) -> int:  # noqa: ARG002 - of whatever instance, the latest claim wins
        """See `ModelStore.claim`."""
        self._models.epoch += 1
        self._epoch = self._models.epoch
        await self.verify()
        return self._epoch

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """See `ModelStore.keep_topics`."""
        return keep_topics(self._models.topics, ids, committed=bool(self._models.number))

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """See `ModelStore.accept_topic`."""
        self._models.topics[role] = topic_id

    async def verify(self) -> None:
        """See `ModelStore.verify`."""
        models = self._models
        counts = {kind: (models.counts.get(kind), found) for kind, found in models.sizes.items()}
        require_complete("the trainer", bool(models.number), counts)

    async def checkpoint(
        self,
        *,
        base: int,
        number: int,
        checkpoint: bytes,
        through: int,
        version: ModelVersion | None = None,
        snapshot: bytes | None = None,
    ) -> Outcome:
        """See `ModelStore.checkpoint`; the steps are those of checkpoint.lua."""
        if self._epoch is None:
            raise NotClaimed(store="model store")
        if (version is None) != (snapshot is None):
            raise ValueError("a version and its snapshot belong together")
        models = self._models
        if models.epoch > self._epoch:
            return Outcome.FENCED
        if (models.number, models.written_in) == (number, self._epoch):
            return Outcome.ALREADY_DONE
        if models.number != base:
            return Outcome.WRONG_BASE
        await self.verify()
        if version is not None and version.number <= models.newest:
            raise VersionOutOfOrder(number=version.number, newest=models.newest)
        models.number, models.written_in = number, self._epoch
        models.checkpoint, models.through = checkpoint, through
        if version is not None and snapshot is not None:
            models.newest = version.number
            models.versions[version.number] = (version, snapshot)
            models.index = sorted([*models.index, (version.effective_at, version.number)])
            models.prune(self._keep, self._indexed)
        models.counts = models.sizes
        return Outcome.DONE

    async def latest(self) -> tuple[int, bytes] | None:
        """See `ModelStore.latest`."""
        return (self._models.number, self._models.checkpoint) if self._models.number else None

    async def through(self) -> int:
        """See `ModelStore.through`."""
        return self._models.through

    async def snapshot(self, number: int) -> bytes | None:
        """See `ModelStore.snapshot`."""
        found = self._models.versions.get(number)
        return None if found is None else found[1]

    async def versions(self) -> list[ModelVersion]:
        """See `ModelStore.versions`."""
        return [self._models.versions[number][0] for number in sorted(self._models.versions)]

    async def pin(self, number: int | None) -> None:
        """See `ModelStore.pin`."""
        if number is not None and number not in self._models.versions:
            raise UnknownVersion(number=number, kept=", ".join(map(str, sorted(self._models.versions))) or "none")
        self._models.pinned = number

    async def pinned(self) -> int | None:
        """See `ModelStore.pinned`."""
        return self._models.pinned

    async def version_at(self, moment: int) -> int | None:
        """See `ModelStore.version_at`."""
        if not self._models.index:  # a lost index would put the prior in force
            await self.verify()
        return next((number for effective_at, number in reversed(self._models.index) if effective_at <= moment), None)


class MemoryLease:
    """A `ports.Lease` in memory."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def now(self) -> int:
        """See `Lease.now`."""
        return self._server.now_us()

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        """See `Lease.acquire`."""
        if self._holder() not in {None, holder}:
            return False
        lease = self._server.lease
        lease.holder, lease.until = holder, self._server.now_seconds() + ttl_ms / 1_000
        return True

    async def release(self, holder: str) -> None:
        """See `Lease.release`."""
        if self._holder() == holder:
            self._server.lease.holder = None

    async def advance(self, holder: str, value: int) -> bool:
        """See `Lease.advance`."""
        last = self._server.lease.last
        if self._holder() != holder or (last is not None and last > value):
            return False
        self._server.lease.last = value
        return True

    async def last(self) -> int | None:
        """See `Lease.last`."""
        return self._server.lease.last

    def _holder(self) -> str | None:
        lease = self._server.lease
        return lease.holder if self._server.now_seconds() < lease.until else None
