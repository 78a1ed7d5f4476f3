"""Values formatted as Grafana does, for the units of our dashboards."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

_SECONDS: Final = (
    (1e-3, 1e6, "µs"),
    (1.0, 1e3, "ms"),
    (60.0, 1.0, "s"),
    (3600.0, 1 / 60, "min"),
    (86400.0, 1 / 3600, "h"),
)


# Labels of an axis, as expressions of Vega.
AXIS_LABELS: Final = {
    unit: f"format(datum.value, '{form}') + '{suffix}'"
    for unit, form, suffix in (
        ("short", "~s", ""),
        ("percentunit", "~%", ""),
        ("s", "~s", "s"),
        ("bytes", "~s", "B"),
        ("cps", "~s", " c/s"),
    )
}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit.

    >>> written(0.0123, "s"), written(2_500_000, "short"), written(0.256, "percentunit"), written(3e6, "bytes")
    ('12.3 ms', '2.5 Mil', '25.6%', '2.86 MiB')
    """
    if math.isnan(value):
        return "NaN"
    return _WRITERS.get(unit, _short)(value, decimals)


def _short(value: float, decimals: int | None) -> str:
    return _scaled(value, 1000.0, ("", " K", " Mil", " Bil"), decimals)


def _moment(milliseconds: float, _decimals: int | None) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _seconds(value: float, decimals: int | None) -> str:
    if not value:
        return "0 s"
    for below, factor, name in _SECONDS:
        if abs(value) < below:
            return f"{_rounded(value * factor, decimals)} {name}"
    return f"{_rounded(value / 86400, decimals)} d"


def _scaled(value: float, base: float, names: tuple[str, ...], decimals: int | None) -> str:
    place = 0
    while abs(value) >= base and place < len(names) - 1:
        value, place = value / base, place + 1
    return f"{_rounded(value, None if place else decimals)}{names[place]}"


def _rounded(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    size = abs(value)
    return f"{value:.3g}" if 0 < size < 1000 else f"{value:.0f}"


_WRITERS: Final = {
    "s": _seconds,
    "percentunit": lambda value, decimals: f"{_rounded(value * 100, decimals)}%",
    "bytes": lambda value, decimals: _scaled(value, 1024.0, (" B", " KiB", " MiB", " GiB"), decimals),
    "cps": lambda value, decimals: f"{_short(value, decimals)} c/s",
    "dateTimeAsIso": _moment,
}
