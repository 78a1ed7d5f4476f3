"""Parsing of the times in foreign logs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from stream_app.core.units import EPOCH

ReadTime = Callable[[str], datetime]

# Year first only: 3/4/2024 may be in March or April, and a wrong guess would distort every gap.
YEAR_FIRST: Final = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y年%m月%d日")
# Times repeat (lines of an invoice, whole days); strptime takes 8 µs, a cache hit 0.1 µs.
CACHED_TIMES: Final = 65_536


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text[:-4] + "+00:00" if text.endswith(" UTC") else text)


def _epoch(text: str, unit: timedelta) -> datetime:
    number = int(text) if text.isdecimal() else float(text)
    return EPOCH + number * unit


def _auto(text: str) -> datetime:
    digits = text.partition(".")[0]
    if digits.isdecimal() and len(digits) in (9, 10, 13, 16):
        exponent = max(len(digits) - 10, 0) // 3
        return _epoch(text, timedelta(seconds=1) / 1000**exponent)
    try:
        return _iso(text)
    except ValueError:
        return _first_that_fits(text, [functools.partial(_strptime, layout=layout) for layout in YEAR_FIRST])


def _strptime(text: str, layout: str) -> datetime:
    return datetime.strptime(text, layout)  # noqa: DTZ007  # the caller adds the mapping's time zone


def _first_that_fits(text: str, readers: Sequence[ReadTime]) -> datetime:
    for read in readers:
        try:
            return read(text)
        except ValueError:
            continue
    raise ValueError(text)


NAMED_FORMATS: Final[dict[str, ReadTime]] = {
    "auto": _auto,
    "iso": _iso,
    "epoch_s": functools.partial(_epoch, unit=timedelta(seconds=1)),
    "epoch_ms": functools.partial(_epoch, unit=timedelta(milliseconds=1)),
    "epoch_us": functools.partial(_epoch, unit=timedelta(microseconds=1)),
}


def time_reader(formats: Sequence[str], zone: tzinfo) -> ReadTime:
    """Return a function that parses a text into an instant in UTC. It raises ValueError if no format matches.

    Args:
        formats: formats to try in order: `auto`, `iso`, `epoch_s`, `epoch_ms`, `epoch_us` or a strptime layout.
        zone: time zone of times without an offset. Ambiguous times are read as the earlier instant.

    >>> from zoneinfo import ZoneInfo
    >>> time_reader(["auto"], ZoneInfo("Asia/Shanghai"))("2024-11-11 08:00:00").isoformat()
    '2024-11-11T00:00:00+00:00'
    >>> time_reader(["auto"], UTC)("19970101").isoformat(), time_reader(["auto"], UTC)("1511544070").isoformat()
    ('1997-01-01T00:00:00+00:00', '2017-11-24T17:21:10+00:00')
    """
    readers = [NAMED_FORMATS.get(name) or functools.partial(_strptime, layout=name) for name in formats]
    read_any = readers[0] if len(readers) == 1 else functools.partial(_first_that_fits, readers=readers)

    @functools.lru_cache(CACHED_TIMES)
    def read(text: str) -> datetime:
        try:
            at = read_any(text)
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
        except OverflowError as error:
            raise ValueError(text) from error

    return read
