"""Port for the published contact policies."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Published(NamedTuple):
    """A policy that was put in force."""

    effective_at: int  # event time in microseconds; ticks from then on name the version
    version: str


class PolicyStore(Protocol):
    """Contents of contact policies by version, and the times from which they are in force."""

    async def publish(self, version: str, content: bytes, effective_at: int | None = None) -> tuple[Published, bool]:
        """Store a policy and put it in force. Return it, and whether anything has changed.

        Publishing the version that was published last changes nothing.

        Args:
            version: version of the policy.
            content: its content.
            effective_at: time in a recorded log, microseconds; None: now, and later than the last tick.
        """

    async def content(self, version: str) -> bytes | None:
        """Return the content of a version, or None if it is not stored."""

    async def published(self) -> list[Published]:
        """Return all policies that were put in force, in order of time."""
