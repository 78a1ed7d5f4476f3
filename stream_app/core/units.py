"""Units of time: durations are whole microseconds, instants are microseconds since the Unix epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

MICROSECOND_NS: Final = 1_000
MILLISECOND_US: Final = 1_000
SECOND_US: Final = 1_000 * MILLISECOND_US
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
HOUR_SECONDS: Final = 3_600.0
DAY_SECONDS: Final = 86_400.0
MONTH_DAYS: Final = 30.44  # mean length of a month
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = -(1 << 62)  # instant of something that has not happened; before all other instants
NOT_DUE: Final = 1 << 62  # instant of something that is not scheduled; after all other instants


def micros(at: datetime) -> int:
    """Return a time as microseconds since the Unix epoch."""
    return (at - EPOCH) // MICROSECOND


def from_micros(at: int) -> datetime:
    """Return the time, in UTC, that is `at` microseconds after the Unix epoch."""
    return EPOCH + at * MICROSECOND
