"""Days and months on the shop's own clock, for whole columns of instants at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.units import EPOCH, MICROSECOND


def instant(local: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (local - EPOCH) // MICROSECOND


def local(at: int, zone: ZoneInfo) -> datetime:
    """An instant on the shop's clock."""
    return (EPOCH + int(at) * MICROSECOND).astimezone(zone)


def iso_day(at: int, zone: ZoneInfo) -> str:
    """The day of an instant as text.

    >>> iso_day(0, ZoneInfo("Asia/Shanghai"))
    '1970-01-01'
    """
    return local(at, zone).date().isoformat()


def midnights(first: int, last: int, zone: ZoneInfo) -> Ints:
    """The starts of all the shop's days from that of `first` to the one after `last`; microseconds."""
    day = local(first, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found: list[int] = []
    while not found or found[-1] <= last:
        found.append(instant(day.replace(tzinfo=zone)))
        day += timedelta(days=1)
    return np.array(found, np.int64)


def month_starts(first: int, last: int, zone: ZoneInfo) -> tuple[Ints, list[str]]:
    """The starts of the shop's months from that of `first` to the one after `last`, and their names like 2026-03."""
    start = local(first, zone)
    year, month = start.year, start.month
    found: list[int] = []
    names: list[str] = []
    while not found or found[-1] <= last:
        found.append(instant(datetime(year, month, 1, tzinfo=zone)))
        names.append(f"{year:04d}-{month:02d}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return np.array(found, np.int64), names


def index_of(at: Ints, starts: Ints) -> Ints:
    """In which of the spans that begin at `starts` each instant lies, from 0."""
    return (np.searchsorted(starts, at, side="right") - 1).astype(np.int64)


def call_times(first: int, last: int, zone: ZoneInfo, working_days: tuple[int, ...], hour: int) -> Ints:
    """When the staff gets its list: `hour` on each working day (Monday is 0) in [first, last]; microseconds.

    >>> monday = instant(datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC")))
    >>> len(call_times(monday, monday + 7 * DAY_US - 1, ZoneInfo("UTC"), (0, 1, 2, 3, 4), 9))
    5
    """
    found = []
    day = local(first, zone).replace(hour=hour, minute=0, second=0, microsecond=0, tzinfo=None)
    while (at := instant(day.replace(tzinfo=zone))) <= last:
        if at >= first and day.weekday() in working_days:
            found.append(at)
        day += timedelta(days=1)
    return np.array(found, np.int64)
