"""Shopping intensity by hour, weekday and campaign (618, 双11, Spring Festival), in the shop's time zone.

A "busy clock", which runs faster when the shop is busy, converts constant customer rates to the shop's rhythm: times
that are uniform on the busy clock are dense at peaks and sparse in lulls on the ordinary clock (a time-changed Poisson
process).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.units import DAY_SECONDS, HOUR_SECONDS

SHOP_ZONE: Final = timezone(timedelta(hours=8))  # Asia/Shanghai has had no daylight saving time since 1991

MORNING: Final = (0.5, 0.25, 0.12, 0.08, 0.06, 0.1, 0.25, 0.5, 0.8, 1.1, 1.3, 1.3)  # per hour, from midnight
EVENING: Final = (1.4, 1.3, 1.2, 1.2, 1.2, 1.1, 1.1, 1.4, 1.9, 2.2, 1.9, 1.1)
HOURS: Final = np.array([*MORNING, *EVENING])
WEEKDAYS: Final = np.array([0.97, 0.95, 0.95, 0.97, 1.02, 1.1, 1.04])  # Monday first

# First days of the Chinese year. The simulation has no Spring Festival in other years.
SPRING_FESTIVALS: Final = tuple(
    date(year, month, day)
    for year, month, day in (
        *((2020, 1, 25), (2021, 2, 12), (2022, 2, 1), (2023, 1, 22), (2024, 2, 10), (2025, 1, 29), (2026, 2, 17)),
        *((2027, 2, 6), (2028, 1, 26), (2029, 2, 13), (2030, 2, 3), (2031, 1, 23), (2032, 2, 11), (2033, 1, 31)),
    )
)
# (first and last day relative to the festival, intensity): stocking up, holiday, back to work
FESTIVAL_PHASES: Final = ((-20, -8, 1.5), (-7, 6, 0.4), (7, 13, 1.15))
# (first and last day, intensity): a lull while customers wait, then the peak
CAMPAIGN_PHASES: Final = (
    ((5, 20), (5, 30), 0.75),
    ((5, 31), (6, 16), 1.5),
    ((6, 17), (6, 18), 3.0),
    ((10, 15), (10, 30), 0.7),
    ((10, 31), (11, 9), 1.7),
    ((11, 10), (11, 11), 4.5),
    ((12, 11), (12, 12), 1.8),
)
CAMPAIGN_LEVEL: Final = 1.4  # minimum intensity at which campaign prices apply


def day_intensity(day: date) -> float:
    """Return the shopping intensity of a day due to campaigns and the festival; 1.0 on an ordinary day.

    >>> day_intensity(date(2025, 11, 11)), day_intensity(date(2025, 1, 29)), day_intensity(date(2025, 3, 12))
    (4.5, 0.4, 1.0)
    """
    for first, last, level in CAMPAIGN_PHASES:
        if first <= (day.month, day.day) <= last:
            return level
    for festival in SPRING_FESTIVALS:
        for begin, end, level in FESTIVAL_PHASES:
            if begin <= (day - festival).days <= end:
                return level
    return 1.0


class BusyClock:
    """Converts between ordinary and busy seconds since the start of the log.

    >>> clock = BusyClock(datetime(2025, 11, 1, tzinfo=SHOP_ZONE), 20)
    >>> bool(np.allclose(clock.ordinary(clock.busy(np.array([0.0, 1e6]))), [0.0, 1e6]))
    True
    """

    def __init__(self, start: datetime, days: int) -> None:
        first_hour = start.astimezone(SHOP_ZONE)
        moments = [first_hour + timedelta(hours=hour) for hour in range(days * 24)]
        by_day = {day: day_intensity(day) for day in {moment.date() for moment in moments}}
        self.campaign = np.array([by_day[moment.date()] for moment in moments])
        hours = HOURS[[moment.hour for moment in moments]] / HOURS.mean()
        weekdays = WEEKDAYS[[moment.weekday() for moment in moments]] / WEEKDAYS.mean()
        self._ordinary = np.arange(days * 24 + 1) * HOUR_SECONDS
        self._busy = np.concatenate([[0.0], np.cumsum(hours * weekdays * self.campaign) * HOUR_SECONDS])
        self.end = days * DAY_SECONDS

    def busy(self, seconds: Floats) -> Floats:
        """Convert ordinary seconds to busy seconds, clipped to the log."""
        return np.interp(seconds, self._ordinary, self._busy)

    def ordinary(self, busy_seconds: Floats) -> Floats:
        """Convert busy seconds to ordinary seconds, clipped to the log."""
        return np.interp(busy_seconds, self._busy, self._ordinary)

    def in_campaign(self, seconds: Floats) -> Floats:
        """Return 1.0 for times at which campaign prices apply, otherwise 0.0."""
        hour = np.clip(seconds // HOUR_SECONDS, 0, len(self.campaign) - 1).astype(np.int64)
        return (self.campaign[hour] >= CAMPAIGN_LEVEL).astype(np.float64)
