"""Port for the lease on writing ticks."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """A lease with a time limit. It guards one increasing value: the time of the last tick."""

    async def now(self) -> int:
        """Return the store's wall-clock time in microseconds since 1970.

        All holders use this one clock. The guarded value only increases, so a holder whose own clock is a year ahead
        would stop event time for all partitions.
        """

    async def acquire(self, holder: str, ttl_ms: int) -> bool:
        """Acquire or renew the lease for `ttl_ms` milliseconds. Return whether `holder` owns it.

        Call this again well before the lease expires.
        """

    async def release(self, holder: str) -> None:
        """Release the lease if `holder` owns it."""

    async def advance(self, holder: str, value: int) -> bool:
        """Raise the guarded value to `value` (microseconds).

        Return whether `holder` owns the lease and the value is now `value`. The value never decreases; setting the
        current value again succeeds.
        """

    async def last(self) -> int | None:
        """Return the guarded value, or None before the first `advance`."""
