"""Durations as people write them: 60d or 36h in a shop, 5m or 250ms in a machine."""

from __future__ import annotations

import re
from typing import Final

from stream_app.core.units import DAY_US
from stream_app.errors import BadOption

_UNITS: Final = {"w": 7 * DAY_US, "d": DAY_US, "h": DAY_US // 24, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
_LONG: Final = ("w", "d", "h")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[wdhms]?)")


def duration(text: str) -> int:
    """A shop's duration in microseconds; a number without a unit is days. Raises BadOption.

    Minutes are not read: who writes 2m for a horizon means months.

    >>> duration("60d") == duration("60") == 60 * DAY_US, duration("36h") / DAY_US, duration("2w") / DAY_US
    (True, 1.5, 14.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or match[2] not in {"", *_LONG}:
        raise BadOption(option="a duration", value=text, remedy="Write 60d, 36h or 2w.")
    return round(float(match[1]) * _UNITS[match[2] or "d"])


def short_duration(text: str) -> int:
    """A machine's duration in microseconds; only 0 may stand without a unit. Raises BadOption.

    >>> short_duration("5m"), short_duration("250ms"), short_duration("1.5s"), short_duration("0")
    (300000000, 250000, 1500000, 0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or (not match[2] and float(match[1])):
        raise BadOption(option="a duration", value=text, remedy="Write 250ms, 10s, 5m, 36h or 7d.")
    return round(float(match[1]) * _UNITS[match[2] or "s"])


def written(span: int) -> str:
    """A duration of whole milliseconds as it is read above, in the longest unit (but weeks) that leaves no rest.

    >>> written(60 * DAY_US), written(DAY_US * 3 // 2), written(250_000), written(0)
    ('60d', '36h', '250ms', '0')
    """
    units = [unit for unit, length in _UNITS.items() if unit != "w" and span % length == 0]
    return f"{span // _UNITS[units[0]]}{units[0]}" if span and units else f"{span:g}"
