"""Converts instants to days and months in the shop's time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.units import from_micros, micros


def local(at: int, zone: ZoneInfo) -> datetime:
    """Convert an instant to the shop's time zone."""
    return from_micros(int(at)).astimezone(zone)


def iso_day(at: int, zone: ZoneInfo) -> str:
    """Return the day of an instant in ISO 8601.

    >>> iso_day(0, ZoneInfo("Asia/Shanghai"))
    '1970-01-01'
    """
    return local(at, zone).date().isoformat()


def midnights(first: int, last: int, zone: ZoneInfo) -> Ints:
    """Return the starts of all days from the day of `first` to the day after `last`, in microseconds."""
    day = local(first, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found: list[int] = []
    while not found or found[-1] <= last:
        found.append(micros(day.replace(tzinfo=zone)))
        day += timedelta(days=1)
    return np.array(found, np.int64)


def month_starts(first: int, last: int, zone: ZoneInfo) -> tuple[Ints, list[str]]:
    """Return starts and names (such as 2026-03) of the months from that of `first` to the one after `last`."""
    start = local(first, zone)
    year, month = start.year, start.month
    found: list[int] = []
    names: list[str] = []
    while not found or found[-1] <= last:
        found.append(micros(datetime(year, month, 1, tzinfo=zone)))
        names.append(f"{year:04d}-{month:02d}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return np.array(found, np.int64), names


def index_of(at: Ints, starts: Ints) -> Ints:
    """Return, for each instant, the index of the span that contains it; spans begin at `starts`."""
    return (np.searchsorted(starts, at, side="right") - 1).astype(np.int64)


def call_times(first: int, last: int, zone: ZoneInfo, working_days: tuple[int, ...], hour: int) -> Ints:
    """Return the times of the staff's daily list: `hour` on each working day in [first, last], microseconds.

    >>> from stream_app.core.units import DAY_US
    >>> monday = micros(datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC")))
    >>> len(call_times(monday, monday + 7 * DAY_US - 1, ZoneInfo("UTC"), (0, 1, 2, 3, 4), 9))
    5
    """
    found = []
    day = local(first, zone).replace(hour=hour, minute=0, second=0, microsecond=0, tzinfo=None)
    while (at := micros(day.replace(tzinfo=zone))) <= last:
        if at >= first and day.weekday() in working_days:
            found.append(at)
        day += timedelta(days=1)
    return np.array(found, np.int64)
