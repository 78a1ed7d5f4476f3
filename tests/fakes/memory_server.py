"""The content of a store's server, in memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stream_app.adapters.redis.completeness import digest_of, require_complete
from stream_app.ports import NOTHING_LEARNED, ModelVersion, Published


@dataclass
class Counted:
    """Base class of stored content. The number of entries at the last commit shows whether some were lost."""

    counts: dict[str, int] = field(default_factory=dict)  # entries at the last commit
    topics: dict[str, str] = field(default_factory=dict)  # ids by role

    @property
    def sizes(self) -> dict[str, int]:
        raise NotImplementedError

    def require_complete(self, what: str, *, committed: bool) -> None:
        counts = {kind: (self.counts.get(kind), found) for kind, found in self.sizes.items()}
        require_complete(what, committed, counts)

    def keep_topics(self, ids: Mapping[str, str], *, committed: bool) -> dict[str, str]:
        """Keep the ids of new roles, and all ids before the first commit, as topics.lua does."""
        self.topics |= {role: self.topics.get(role, one) if committed else one for role, one in ids.items()}
        return {role: self.topics[role] for role in ids}


@dataclass
class StoredPartition(Counted):
    position: bytes = b""
    summary: bytes = b""
    sequence: int = 0  # of the last record
    states: dict[str, bytes] = field(default_factory=dict)
    alerts: dict[str, bytes] = field(default_factory=dict)
    outbox: list[bytes] = field(default_factory=list)  # not relayed yet; the last one has the number `sequence`
    epochs: dict[str, int] = field(default_factory=dict)  # by instance
    last_batch: tuple[int, str, int] | None = None  # epoch, batch id, first sequence
    digest: int = 0  # over all states

    @property
    def sizes(self) -> dict[str, int]:
        return {"states": len(self.states), "outbox": len(self.outbox), "episodes": len(self.alerts)}

    def put(self, states: Mapping[str, bytes]) -> None:
        for customer, state in states.items():
            before = self.states.get(customer)
            self.digest += part_digest(customer, state) - (0 if before is None else part_digest(customer, before))
            self.states[customer] = state

    def note(self, alerts: Mapping[str, bytes]) -> None:
        """Update the notes of open alerts. An empty value removes a note."""
        self.alerts |= alerts
        for gone in [key for key, note in alerts.items() if not note]:
            del self.alerts[gone]

    def drop(self, through: int) -> None:
        del self.outbox[: max(through - (self.sequence - len(self.outbox)), 0)]
        self.counts["outbox"] = len(self.outbox)


@dataclass
class StoredModels(Counted):
    epoch: int = 0
    number: int = 0
    written_in: int = 0  # epoch
    checkpoint: bytes = b""
    through: int = NOTHING_LEARNED
    newest: int = 0
    pinned: int | None = None
    versions: dict[int, tuple[ModelVersion, bytes]] = field(default_factory=dict)
    index: list[tuple[int, int]] = field(default_factory=list)  # effective_at, number; ascending

    @property
    def sizes(self) -> dict[str, int]:
        return {"versions": len(self.versions), "index": len(self.index)}

    def prune(self, keep: int, indexed: int) -> None:
        """Remove old versions except the pinned one."""
        del self.index[:-indexed]
        for number in sorted(self.versions, reverse=True)[keep:]:
            if number != self.pinned:
                del self.versions[number]


@dataclass
class StoredLease:
    holder: str | None = None
    until: float = 0.0  # seconds, by the server's clock
    last: int | None = None


@dataclass
class StoredPolicies:
    contents: dict[str, bytes] = field(default_factory=dict)
    published: set[Published] = field(default_factory=set)


@dataclass
class MemoryServer:
    """A server's content. Several stores on one server act like the connections of several processes.

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
    policies: StoredPolicies = field(default_factory=StoredPolicies)


def part_digest(customer: str, state: bytes) -> int:
    """Return the contribution of a customer to the digest over all states."""
    return digest_of(customer.encode("utf-8", "surrogatepass"), state)
