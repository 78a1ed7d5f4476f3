"""Port for the trainer's checkpoint and the model versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from stream_app.ports.outcome import Outcome

NOTHING_LEARNED: Final = -(1 << 62)  # microseconds; earlier than any event
VERSIONS_INDEXED: Final = 10_000  # number of versions whose effective time is kept: 27 years of daily versions


class ModelVersion(msgspec.Struct, frozen=True):
    """Metadata of a model version."""

    number: int  # ascending
    effective_at: int  # event time in microseconds; decisions from then on may use the version
    fingerprint: str  # digest of predictions on fixed rows, because pickles of equal models differ
    examples: int  # number of training examples
    stored_bytes: int  # size of the snapshot
    shares: dict[str, float]  # weight of each expert in the ensemble
    created_at: int  # wall-clock time of the trainer in microseconds, for display only


class ModelStore(Protocol):
    """The trainer's checkpoint and the latest model versions. Only the process with the latest claim may write.

    All bytes are verified when they are read: `UnusableSnapshot` is raised for bytes that this installation did not
    store.
    """

    async def claim(self, instance: str) -> int:
        """Become the only trainer and return the epoch. All earlier claims are fenced off.

        Raises `StoreIncomplete`, as `verify` does.
        """

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Store topic ids by role; see `StateStore.keep_topics`."""

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """Replace the stored id of a topic."""

    async def verify(self) -> None:
        """Raise `StoreIncomplete` if part of the stored data is missing."""

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
        """Store a checkpoint and, optionally, a new model version, atomically.

        Args:
            base: number of the preceding checkpoint; 0 for the first.
            number: base + 1. Repeating a number in the same process repeats the checkpoint.
            checkpoint: the trainer's entire state.
            through: event time up to which the trainer has learned, microseconds.
            version: new version, if any.
            snapshot: bytes of the new version; required if and only if `version` is given.

        Raises:
            NotClaimed: `claim` was not called.
            VersionOutOfOrder: the version does not follow the newest one.
            StoreIncomplete: part of the stored data is missing.
        """

    async def latest(self) -> tuple[int, bytes] | None:
        """Return the number and the bytes of the stored checkpoint, or None before the first one."""

    async def through(self) -> int:
        """Return the event time up to which the trainer has learned, in microseconds, or NOTHING_LEARNED."""

    async def snapshot(self, number: int) -> bytes | None:
        """Return the snapshot of a version, or None if it is not kept."""

    async def versions(self) -> list[ModelVersion]:
        """Return the kept versions in ascending order: the latest ones and the pinned one."""

    async def pin(self, number: int | None) -> None:
        """Pin the version that ticks activate, for a rollback. None goes back to the newest version.

        A pinned version is not deleted. Raises `UnknownVersion` for a version that is not kept.
        """

    async def pinned(self) -> int | None:
        """Return the pinned version, or None if ticks activate the newest one."""

    async def version_at(self, moment: int) -> int | None:
        """Return the latest version in effect at the given time (microseconds), or None.

        Also finds versions whose bytes have been deleted, up to VERSIONS_INDEXED versions back. Of two versions with
        the same effective time, the one with the higher number wins. Raises `StoreIncomplete`, as `verify` does.
        """
