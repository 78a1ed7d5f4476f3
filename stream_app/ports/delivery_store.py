"""Port for alert deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from stream_app.core.delivery.records import DeliveryChanges, DeliveryState
from stream_app.ports.outcome import Outcome


class DeliveryStore(Protocol):
    """Source of truth for deliveries. Only the notifier with the latest claim writes; any process may leave requests.

    Call `claim` once when the process starts, then `load`, then `commit` for each set of changes.
    """

    async def claim(self, instance: str) -> int:
        """Become the only notifier and return the epoch. Writes by earlier notifiers are refused from now on.

        Raises `StoreIncomplete` if part of the stored data is missing; so do `commit` and `forget`.
        """

    async def keep_topics(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Store topic ids by role; see `StateStore.keep_topics`."""

    async def accept_topic(self, role: str, topic_id: str) -> None:
        """Replace the stored id of a topic."""

    async def load(self) -> DeliveryState:
        """Return the stored position and everything that is pending."""

    async def commit(self, changes: DeliveryChanges, batch: str) -> Outcome:
        """Store changes atomically. Raises `NotClaimed` before `claim`.

        Args:
            changes: changes to store.
            batch: id of the batch, unique within this process; repeating an id repeats the batch.
        """

    async def deliveries(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return encoded deliveries by id, omitting those that are no longer stored."""

    async def messages(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return encoded messages by id, omitting those that are no longer stored."""

    async def channels(self) -> dict[str, bytes]:
        """Return the encoded state of all channels by name."""

    def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        """Iterate over all encoded deliveries in chunks. Each delivery occurs once; the order is unspecified."""

    async def dead(self) -> list[str]:
        """Return the ids of all dead deliveries in ascending order."""

    async def ask(self, request: bytes) -> None:
        """Append a request to the notifier's queue."""

    async def asked(self, limit: int) -> list[bytes]:
        """Return up to `limit` requests that have not been carried out, oldest first."""

    async def forget(self, before: int, keep: int) -> int:
        """Delete some of the deliveries that ended before a given time or are not among the last `keep` that ended.

        Args:
            before: wall-clock time, microseconds.
            keep: number of ended deliveries to keep.

        Returns:
            The number of deliveries deleted; call again until it is 0.

        Raises:
            Fenced: another notifier has claimed the store.
            NotClaimed: `claim` was not called.
        """
