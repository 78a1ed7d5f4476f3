"""Quiet hours and digest times in the shop's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from stream_app.core.units import from_micros, micros


@dataclass(frozen=True)
class QuietHours:
    """A daily period in which no messages are sent. It may span midnight.

    >>> night = QuietHours(time(22), time(8), ZoneInfo("Asia/Shanghai"))
    >>> hour = 3_600_000_000
    >>> night.ends(15 * hour) // hour, night.ends(1 * hour)  # 23:00 and 09:00 in Shanghai
    (24, None)
    """

    begin: time
    end: time
    zone: ZoneInfo

    def ends(self, at: int) -> int | None:
        """Return when the quiet hours that contain the given time end, microseconds, or None outside quiet hours."""
        local = _local(at, self.zone)
        now = local.time()
        if self.begin < self.end:
            quiet, tomorrow = self.begin <= now < self.end, False
        else:
            quiet, tomorrow = now >= self.begin or now < self.end, now >= self.begin
        return _on_day(local, self.end, self.zone, days=int(tomorrow)) if quiet else None


def digest_due(opened_at: int, hour: int, zone: ZoneInfo) -> int:
    """Return when the digest that contains an alert is due: the first digest hour at or after the alert opened.

    Alerts are stamped with the exact hour of the allocation but arrive later. An alert opened at 09:00 therefore
    belongs to the 09:00 digest, no matter when it arrives.

    >>> hour = 3_600_000_000
    >>> digest_due(9 * hour, 9, ZoneInfo("UTC")) // hour, digest_due(9 * hour + 1, 9, ZoneInfo("UTC")) // hour
    (9, 33)
    """
    local = _local(opened_at, zone)
    today = _on_day(local, time(hour), zone)
    return today if today >= opened_at else _on_day(local, time(hour), zone, days=1)


def _local(at: int, zone: ZoneInfo) -> datetime:
    return from_micros(at).astimezone(zone)


def _on_day(local: datetime, at: time, zone: ZoneInfo, days: int = 0) -> int:
    day = local.date() + timedelta(days=days)
    return micros(datetime.combine(day, at, tzinfo=zone))
