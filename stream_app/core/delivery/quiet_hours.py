"""Quiet hours and digest times on the shop's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from stream_app.core.units import EPOCH, MICROSECOND


@dataclass(frozen=True)
class QuietHours:
    """A time of day in which nothing is sent; it may include midnight.

    >>> night = QuietHours(time(22), time(8), ZoneInfo("Asia/Shanghai"))
    >>> hour = 3_600_000_000
    >>> night.ends(15 * hour) // hour, night.ends(1 * hour)  # 23:00 and 09:00 in Shanghai
    (24, None)
    """

    begin: time
    end: time
    zone: ZoneInfo

    def ends(self, at: int) -> int | None:
        """Return when the quiet hours at a time end, microseconds; None: it is not within quiet hours."""
        local = _local(at, self.zone)
        now = local.time()
        if self.begin < self.end:
            quiet, tomorrow = self.begin <= now < self.end, False
        else:
            quiet, tomorrow = now >= self.begin or now < self.end, now >= self.begin
        return _on_day(local, self.end, self.zone, days=int(tomorrow)) if quiet else None


def digest_due(opened_at: int, hour: int, zone: ZoneInfo) -> int:
    """Return when the digest with an alert is due: at the first digest hour at or after its opening.

    Alerts carry the exact time of the allocator's hour and arrive later. So an alert opened at 09:00 belongs to the
    digest of that 09:00, whenever it arrives.

    >>> hour = 3_600_000_000
    >>> digest_due(9 * hour, 9, ZoneInfo("UTC")) // hour, digest_due(9 * hour + 1, 9, ZoneInfo("UTC")) // hour
    (9, 33)
    """
    local = _local(opened_at, zone)
    today = _on_day(local, time(hour), zone)
    return today if today >= opened_at else _on_day(local, time(hour), zone, days=1)


def _local(at: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + at * MICROSECOND).astimezone(zone)


def _on_day(local: datetime, at: time, zone: ZoneInfo, days: int = 0) -> int:
    day = local.date() + timedelta(days=days)
    return (datetime.combine(day, at, tzinfo=zone) - EPOCH) // MICROSECOND
