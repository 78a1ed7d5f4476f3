"""Parsing and formatting of durations: shop settings use weeks, days and hours; technical settings go down to ms."""

from __future__ import annotations

import re
from typing import Final

from stream_app.core.units import DAY_US, HOUR_US, MILLISECOND_US, MINUTE_US, SECOND_US
from stream_app.errors import BadOption

_UNITS: Final = {
    "w": 7 * DAY_US,
    "d": DAY_US,
    "h": HOUR_US,
    "m": MINUTE_US,
    "s": SECOND_US,
    "ms": MILLISECOND_US,
}
_LONG: Final = ("w", "d", "h")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms]?)")


def duration(text: str) -> int:
    """Convert a duration in weeks, days or hours to microseconds. A number without a unit is in days.

    Minutes are rejected, since a horizon of "2m" most likely means months.

    Raises:
        BadOption: the text is not a valid duration.

    >>> duration("60d") == duration("60") == 60 * DAY_US, duration("36h") / DAY_US, duration("2w") / DAY_US
    (True, 1.5, 14.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or match[2] not in {"", *_LONG}:
        raise BadOption(option="a duration", value=text, remedy="Use a form such as 60d, 36h or 2w.")
    return round(float(match[1]) * _UNITS[match[2] or "d"])


def short_duration(text: str) -> int:
    """Convert a duration in weeks, days, hours, minutes, seconds or milliseconds to microseconds. Only 0 needs no unit.

    Raises:
        BadOption: the text is not a valid duration.

    >>> short_duration("5m"), short_duration("250ms"), short_duration("1.5s"), short_duration("0")
    (300000000, 250000, 1500000, 0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or (not match[2] and float(match[1])):
        raise BadOption(option="a duration", value=text, remedy="Use a form such as 250ms, 10s, 5m, 36h or 7d.")
    return round(float(match[1]) * _UNITS[match[2] or "s"])


def format_duration(span: int) -> str:
    """Format a duration of whole milliseconds in the largest unit, up to days, that divides it.

    >>> format_duration(60 * DAY_US), format_duration(DAY_US * 3 // 2), format_duration(250_000), format_duration(0)
    ('60d', '36h', '250ms', '0')
    """
    units = [unit for unit, length in _UNITS.items() if unit != "w" and span % length == 0]
    return f"{span // _UNITS[units[0]]}{units[0]}" if span and units else f"{span:g}"
