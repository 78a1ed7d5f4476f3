"""Converts instants to days and months in the shop's time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
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


def days(first: int, last: int, zone: ZoneInfo) -> list[date]:
    """Return the days from the day of `first` to the day after `last`."""
    start = local(first, zone).date()
    count = (local(last, zone).date() - start).days + 2
    return [start + timedelta(days=number) for number in range(count)]


def month_starts(first: int, last: int, zone: ZoneInfo) -> tuple[Ints, list[str]]:
    """Return starts and names (such as 2026-03) of the months from the month of `first` to the month after `last`."""
    first_month, last_month = (np.datetime64(iso_day(at, zone), "M") for at in (first, last))
    names: list[str] = np.arange(first_month, last_month + 2).astype(str).tolist()
    starts = [micros(datetime.fromisoformat(f"{name}-01").replace(tzinfo=zone)) for name in names]
    return np.array(starts, np.int64), names


def call_times(first: int, last: int, zone: ZoneInfo, working_days: tuple[int, ...], hour: int) -> Ints:
    """Return the times of the staff's daily list: `hour` on each working day in [first, last], microseconds.

    >>> from stream_app.core.units import DAY_US
    >>> monday = micros(datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC")))
    >>> len(call_times(monday, monday + 7 * DAY_US - 1, ZoneInfo("UTC"), (0, 1, 2, 3, 4), 9))
    5
    """
    working = [day for day in days(first, last, zone) if day.weekday() in working_days]
    times = [micros(datetime.combine(day, time(hour), zone)) for day in working]
    return np.array([at for at in times if first <= at <= last], np.int64)
