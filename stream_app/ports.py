"""What the shells need of the world outside, as protocols.

Each has an adapter on Redis and a twin in memory, and one contract suite runs over both (tests/contract/). Every write
may be repeated without harm, because clients repeat what got no reply. Whatever stands behind a port raises
`StoreUnavailable` when it cannot be reached or refuses.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from stream_app.core.delivery.records import DeliveryChanges, DeliveryState
from stream_app.core.partition.commit import Commit

NOTHING_LEARNED: Final = -(1 << 62)  # microseconds: before every moment
INSTANCES: Final = 64  # whose epochs a partition remembers; of more, those that came last
VERSIONS_INDEXED: Final = 10_000  # versions of which the store remembers when they came into force: 27 years of days


class Outcome(enum.Enum):
    """What became of a commit or a checkpoint. After the last two the process must drop what it holds and exit."""

    DONE = 0  # it is stored
    ALREADY_DONE = 1  # it was stored by an earlier call whose reply was lost; the same as done
    FENCED = 2  # a later process of the same name has taken over; nothing was stored
    WRONG_BASE = 3  # what is stored is not what this was computed from; nothing was stored

    @property
    def stored(self) -> bool:
        """Whether it is in the store now.

        >>> [outcome.name for outcome in Outcome if outcome.stored]
        ['DONE', 'ALREADY_DONE']
        """
        return self in {Outcome.DONE, Outcome.ALREADY_DONE}


@dataclass(frozen=True, slots=True)
class Opened:
    """A partition as it is stored: where it stands, its own variables, and the number that the next record gets."""

    position: bytes  # b"": never committed
    summary: bytes
    next_sequence: int  # from 1


class StateStore(Protocol):
    """The truth of states, positions and outboxes, by partition number.

    Use: `claim` once when the process starts; for each partition that is assigned, `open` it, then read `states`, in
    this order: whoever commits in between makes our first commit end as WRONG_BASE. Then `commit` batch after batch.
    `open`, `commit` and `trim` raise `NotClaimed` before `claim`.
    """

    async def claim(self, instance: str) -> int:
        """Begin a life of this instance; returns its epoch, greater than every epoch that was ever given.

        Call it once when the process starts, never at a rebalance: the fence compares lives of one instance id.
        """
        ...

    async def open(self, partition: int) -> Opened:
        """Say that this life works on a partition now, and return what is stored there.

        From here on every earlier life of the same instance is fenced from the partition. Raises `Fenced` if a later
        one has opened it already, and `StoreIncomplete` if something that belongs to the position is gone.
        """
        ...

    async def keep_topics(self, partition: int, ids: Mapping[str, str]) -> dict[str, str]:
        """Keep the ids of the topics in which a partition's positions count, by role; returns those that are kept.

        An id that is kept stays once a commit is stored, whatever is given: the caller compares.
        """
        ...

    async def accept_topic(self, partition: int, role: str, topic_id: str) -> None:
        """Replace the id of a topic, of which nothing has been read since."""
        ...

    def close(self, partition: int) -> None:
        """Say that this life no longer works on a partition."""
        ...

    def states(self, partition: int) -> AsyncIterator[list[tuple[str, bytes]]]:
        """All states of a partition as (customer, encoded state), in chunks, each customer once, in no order.

        Raises `StoreIncomplete` after the last chunk if this life has opened the partition and the states are not those
        that its commits have stored.
        """
        ...

    async def state(self, partition: int, customer: str) -> bytes | None:
        """The state of one customer, encoded; None if there is none."""
        ...

    async def alerts(self, partition: int) -> dict[str, bytes]:
        """Return the notes on the open alerts of a partition, by key (see core/alerts/staff_actions.py)."""
        ...

    async def commit(self, commit: Commit, batch: str, relayed: int) -> tuple[Outcome, int]:
        """Store a batch as a whole or not at all.

        Args:
            commit: what to store.
            batch: its id, unique within this life of the process. The same id again is the same batch again.
            relayed: records of the outbox up to and including this sequence number have been delivered and are dropped.

        Returns: the outcome, and the sequence number of the batch's first record (where it has none, of the record that
            comes next). The number means something only if the outcome says that it is stored.

        Raises `StoreIncomplete` if something that belongs to the position is gone; so do `trim` and `skip`.
        """
        ...

    async def outbox(self, partition: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Records that have not been dropped yet, as (sequence number, record), in order.

        Args:
            partition: its number.
            after: only sequence numbers greater than this.
            limit: so many at most.
        """
        ...

    async def trim(self, partition: int, through: int) -> None:
        """Drop records up to and including a sequence number. Raises `Fenced` as `commit` would be."""
        ...

    async def skip(self, partition: int, seen: int, first_void: int, records: Sequence[bytes]) -> int:
        """Go on behind sequence numbers that were given by a life which this store does not know: it was set back.

        What the outbox holds may have been relayed or not: it stays, under new numbers. Nothing happens if `seen` is
        known.

        Args:
            partition: its number.
            seen: the highest sequence number that was relayed.
            first_void: number of the oldest record in the outbox; if it is empty, of the next one that would be given.
            records: for the outbox, before all that it holds: what tells the receivers what is void.

        Returns: the sequence number of the first record; 0 if nothing was to be done; -1 if `first_void` is not right,
            since somebody has trimmed the outbox meanwhile. Raises `Fenced` as `trim` does.
        """
        ...

    async def positions(self, partitions: Iterable[int]) -> dict[int, bytes]:
        """Where partitions stand, without opening them; b"" for one that was never committed."""
        ...

    async def summaries(self, partitions: Iterable[int]) -> dict[int, bytes]:
        """The partitions' own variables, without opening them; b"" for one that was never committed."""
        ...


class ModelVersion(msgspec.Struct, frozen=True):
    """What is known of a version of the model beside its bytes."""

    number: int  # greater than that of every earlier version
    effective_at: int  # microseconds, event time: decisions from here on may use it
    fingerprint: str  # of its predictions on fixed rows: pickles of one model differ
    examples: int  # that it has learned from
    stored_bytes: int  # of its snapshot
    shares: dict[str, float]  # what each expert counts for in the mixture
    created_at: int  # microseconds, wall clock of the trainer: for people only


class ModelStore(Protocol):
    """The trainer's checkpoint, and the last versions of the model. There is one learner: the latest claim wins.

    What others could have changed is verified: bytes that this installation did not store raise `UnusableSnapshot`.
    """

    async def claim(self, instance: str) -> int:
        """Become the only trainer: every earlier claim, of whatever instance, is fenced. Returns the epoch.

        Raises `StoreIncomplete` as `verify` does.
        """
        ...

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Keep the ids of the topics that are read, by role; see `StateStore.keep_topics`."""
        ...

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """Replace the id of a topic, of which nothing has been read since."""
        ...

    async def verify(self) -> None:
        """Raise `StoreIncomplete` if something that belongs to the checkpoint is gone."""
        ...

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
        """Store where the trainer stands, and the version that it has just made, as a whole or not at all.

        Args:
            base: the number of the checkpoint that this one follows; 0 for the first.
            number: base + 1. The same number again in one life of the trainer is the same checkpoint again.
            checkpoint: the learner, its position and seeds: one value.
            through: the moment up to which it has learned, microseconds of event time.
            version: a new version, if there is one; `snapshot` are its bytes.
            snapshot: given if and only if `version` is.

        Raises `NotClaimed` before `claim`, `VersionOutOfOrder` for a version that does not follow the newest one, and
        `StoreIncomplete` as `verify` does.
        """
        ...

    async def latest(self) -> tuple[int, bytes] | None:
        """The number and the bytes of the checkpoint that is stored; None before the first."""
        ...

    async def through(self) -> int:
        """The moment up to which the trainer has learned, microseconds; NOTHING_LEARNED before the first checkpoint."""
        ...

    async def snapshot(self, number: int) -> bytes | None:
        """The bytes of a version; None if it is not kept."""
        ...

    async def versions(self) -> list[ModelVersion]:
        """The versions that are kept, ascending: the last few, and the pinned one."""
        ...

    async def pin(self, number: int | None) -> None:
        """Roll back: name the version that ticks are to put in force; None: the newest again.

        A pinned version is kept. Raises `UnknownVersion` for one that is not kept.
        """
        ...

    async def pinned(self) -> int | None:
        """The version that `pin` named; None: the newest."""
        ...

    async def version_at(self, moment: int) -> int | None:
        """The version that came into force last at or before a moment (microseconds); of two at once the higher number.

        Versions whose bytes are gone are found too, back to VERSIONS_INDEXED versions ago. Raises `StoreIncomplete` as
        `verify` does.
        """
        ...


class Lease(Protocol):
    """Who owns the clock, for a limited time, and how far it has been moved."""

    async def now(self) -> int:
        """The store's own wall clock, microseconds since 1970.

        One clock for all holders: the value that is guarded only ever rises, so one machine whose own clock runs a year
        ahead would stop time for everybody.
        """
        ...

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        """Take the lease, or prolong it; whether `holder` has it for the next `ttl_ms` milliseconds.

        Call it again well before that time has passed.
        """
        ...

    async def release(self, holder: str) -> None:
        """Give the lease back, if `holder` has it."""
        ...

    async def advance(self, holder: str, value: int) -> bool:
        """Move the guarded value (the moment of the last tick, microseconds) up to `value`.

        Whether `holder` has the lease and the value stands at `value` now: it is never lowered, and the same value
        again is a repetition, which succeeds.
        """
        ...

    async def last(self) -> int | None:
        """The guarded value; None before the first `advance`."""
        ...


class DeliveryStore(Protocol):
    """The truth of what is delivered to the staff. One deliverer writes, the latest that has claimed; others may ask.

    Use: `claim` once when the process starts, `load`, then `commit` after `commit`, each with what changed.
    """

    async def claim(self, instance: str) -> int:
        """Become the only deliverer: the writes of every earlier one are refused from now on. Returns the epoch.

        Raises `StoreIncomplete` if something that belongs to the last commit is gone; so do `commit` and `forget`.
        """
        ...

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Keep the ids of the topics that are read, by role; see `StateStore.keep_topics`."""
        ...

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """Replace the id of a topic, of which nothing has been read since."""
        ...

    async def load(self) -> DeliveryState:
        """What a deliverer takes up: where it stands, and all that is pending."""
        ...

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        """Store changes as a whole or not at all; `batch` is their id, unique within this life of the process.

        Raises `NotClaimed` before `claim`.
        """
        ...

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these deliveries have been made before, whatever became of them."""
        ...

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Some deliveries, encoded, by id; those that are not kept are left out."""
        ...

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Some letters, encoded, by id; those that are not kept are left out."""
        ...

    async def channels(self) -> dict[str, bytes]:
        """What is remembered of channels, encoded, by name."""
        ...

    def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        """All deliveries, encoded, in chunks, each once, in no order."""
        ...

    async def dead(self) -> list[str]:
        """The ids of all dead deliveries, in order."""
        ...

    async def ask(self, request: bytes) -> None:
        """Leave a request to the deliverer. Anybody may."""
        ...

    async def asked(self, limit: int) -> list[bytes]:
        """The oldest requests that have not been carried out."""
        ...

    async def forget(self, before: int, keep: int) -> int:
        """Drop some deliveries that ended before a moment (microseconds), or are not among the last `keep` that ended.

        Returns how many were dropped; call it again until there are none. Raises `Fenced` and `NotClaimed`.
        """
        ...
