"""Hours in which staff may contact customers: their working hours without the customers' quiet hours."""

from __future__ import annotations

from typing import Final

DAY_MINUTES: Final = 24 * 60


def minutes_of(hours: str) -> set[int]:
    """Return the minutes of the day in a period that may span midnight; an empty text has none.

    >>> sorted(minutes_of("23:59-00:02"))
    [0, 1, 1439]
    """
    if not hours:
        return set()
    begin, end = (60 * int(text[:2]) + int(text[3:]) for text in hours.split("-"))
    return {minute % DAY_MINUTES for minute in range(begin, end + DAY_MINUTES * (end < begin))}


def contact_minutes(working_hours: str, quiet_hours: str) -> set[int]:
    """Return the minutes of the day in which customers may be contacted. Without hours, these are all."""
    working = minutes_of(working_hours) if working_hours else set(range(DAY_MINUTES))
    return working - minutes_of(quiet_hours)


def contact_hours(working_hours: str, quiet_hours: str) -> tuple[str, ...]:
    """Return the periods in which customers may be contacted, by their beginning; none if there is no limit.

    >>> contact_hours("09:00-20:00", "12:00-14:00"), contact_hours("", "21:00-09:00"), contact_hours("", "")
    (('09:00-12:00', '14:00-20:00'), ('09:00-21:00',), ())
    """
    minutes = contact_minutes(working_hours, quiet_hours)
    begins = sorted(one for one in minutes if (one - 1) % DAY_MINUTES not in minutes)
    ends = sorted((one + 1) % DAY_MINUTES for one in minutes if (one + 1) % DAY_MINUTES not in minutes)
    return tuple(f"{_time(begin)}-{_time(_next(begin, ends))}" for begin in begins)


def _next(begin: int, ends: list[int]) -> int:
    return next((end for end in ends if end > begin), ends[0])


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
